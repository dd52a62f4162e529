"""Changes to a batch of images, each with an explicit source of randomness."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["crop_flip"]


def crop_flip(images: Tensor, *, shift: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Shift every image by up to ``shift`` pixels and mirror half of them.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``.
    shift : int
        Largest shift along each axis, in pixels, at least 0 and below H and W. What enters
        at the border is the image's own reflection.
    flip : bool
        Whether half of the images, at random, are mirrored left to right.
    generator : torch.Generator
        On the CPU, whatever the images' device, so that a seed means the same everywhere.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``images``.

    Raises
    ------
    ValueError
        If ``shift`` is out of range.
    """
    n, _, height, width = images.shape
    if not 0 <= shift < min(height, width):
        raise ValueError(f"shift must be at least 0 and below {min(height, width)}, got {shift}")
    if flip:
        mirrored = torch.rand(n, generator=generator) < 0.5
        mirrored = mirrored.to(images.device)[:, None, None, None]
        images = torch.where(mirrored, images.flip(-1), images)
    if shift:
        dy, dx = torch.randint(2 * shift + 1, (2, n), generator=generator).to(images.device)
        windows = F.pad(images, (shift,) * 4, mode="reflect").unfold(2, height, 1)
        windows = windows.unfold(3, width, 1)  # (N, C, 2s+1, 2s+1, H, W), a view
        images = windows[torch.arange(n, device=images.device), :, dy, dx]
    return images
