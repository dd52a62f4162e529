"""Changes to a batch of images, each with an explicit source of randomness."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfc.arguments import Count, Images, Labels, checked
from hfc.models import check_labels, check_pixels, evaluation_mode, frozen

__all__ = ["crop_flip", "mixup", "pgd"]


@checked
def crop_flip(images: Images, *, shift: int, flip: bool, generator: torch.Generator) -> Tensor:
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


@checked
def mixup(
    images: Images, labels: Labels, *, alpha: float, num_classes: Count, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend every image, and its label, with another one of the batch.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``.
    labels : Tensor
        ``(N,)``, int64.
    alpha : float
        The share of an image's own pixels is one draw from Beta(alpha, alpha) for the whole
        batch; above 0.
    num_classes : int
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    images : Tensor
        Shape, dtype and device of ``images``.
    targets : Tensor
        ``(N, num_classes)``, in the dtype of ``images``: the label's share and the partner's.

    Raises
    ------
    ValueError
        If ``alpha`` is not above 0, or a label is none of the classes.

    Notes
    -----
    Zhang et al. 2018, "mixup: Beyond empirical risk minimization", section 2.
    """
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"alpha must be a finite number above 0, got {alpha}")
    seed = int(torch.randint(2**31, (), generator=generator))
    own = float(
        np.random.default_rng(seed).beta(alpha, alpha)
    )  # torch has no beta with a generator
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    check_labels(labels, num_classes)
    targets = F.one_hot(labels, num_classes).to(images.dtype)
    return (
        own * images + (1 - own) * images[partner],
        own * targets + (1 - own) * targets[partner],
    )


@checked
def pgd(
    model: nn.Module,
    images: Images,
    labels: Labels,
    *,
    epsilon: float,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """Images changed by projected gradient ascent so that the model errs: for training.

    Parameters
    ----------
    model : nn.Module
        Attacked in evaluation mode; every layer is left in the mode it came in, without
        gradients.
    images : Tensor
        ``(N, C, H, W)`` in [0, 1].
    labels : Tensor
        ``(N,)``, int64.
    epsilon : float
        No pixel changes by more; in pixel units, so 8/255, not 8.
    steps : int
        Steps of ``2.5 * epsilon / steps`` along the sign of the gradient, from a random start.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``images``; in [0, 1] and within ``epsilon`` of them.

    Raises
    ------
    ValueError
        If ``epsilon`` or ``steps`` is out of range, images are not in [0, 1], or labels name
        none of the model's classes.

    Notes
    -----
    Madry et al. 2018, section 2.1.
    """
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon must be in pixel units, above 0 and at most 1, got {epsilon}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    check_pixels(images)
    with evaluation_mode(model), frozen(model):
        start = torch.rand(images.shape, generator=generator).to(images)
        changed = (images + epsilon * (2 * start - 1)).clamp(0, 1)
        for step in range(steps):
            changed.requires_grad_()
            logits = model(changed).float()
            if step == 0:
                check_labels(labels, logits.shape[1])
            loss = F.cross_entropy(logits, labels)
            (gradient,) = torch.autograd.grad(loss, changed)
            changed = changed.detach() + 2.5 * epsilon / steps * gradient.sign()
            change = (changed - images).clamp(-epsilon, epsilon)
            changed = (images + change).clamp(0, 1)
        return changed
