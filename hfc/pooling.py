"""Pooling that filters before it subsamples, in place of a plain maximum.

A map with half as many pixels can hold waves of up to a quarter of its old width only. What is
beyond comes back as a lower frequency (aliasing), and changes when an image moves by a pixel.

>>> import torch
>>> from hfc import models
>>> model = models.build("plain", num_classes=10).eval()
>>> blurred = replace_pooling(model, "blur")
>>> sum(isinstance(layer, BlurPool) for layer in blurred.modules())
3
>>> blurred(torch.rand(2, 3, 32, 32)).shape
torch.Size([2, 10])
"""

import copy
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfc.arguments import Images, checked

__all__ = ["KINDS", "BlurPool", "LowPassPool", "replace_pooling"]


class BlurPool(nn.Module):
    """Maximum over 2x2 pixels at every place, then a blur, of which every second pixel is kept.

    Notes
    -----
    Zhang 2019, with the 3-tap filter (1, 2, 1) / 4 along each axis. A map is
    continued beyond its border by its reflection.
    """

    @checked
    def forward(self, x: Images) -> Tensor:
        """Pool maps.

        Parameters
        ----------
        x : Tensor
            ``(N, C, H, W)``, floating point, H and W at least 3.

        Returns
        -------
        Tensor
            ``(N, C, H // 2, W // 2)``, dtype and device of ``x``; within the range of ``x``.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is no floating-point tensor of that shape.
        """
        _check_size(x, 3)
        with torch.autocast(x.device.type, enabled=False):  # it would change the dtype
            highest = F.pad(F.max_pool2d(x, 2, stride=1), (1, 1, 1, 1), mode="reflect")
            # (1, 1) / 2 twice is (1, 2, 1) / 4
            return F.avg_pool2d(F.avg_pool2d(highest, 2, stride=1), 2)


class LowPassPool(nn.Module):
    """Keep the lower half of a map's Fourier coefficients along each axis, and no maximum.

    Notes
    -----
    Grabinski et al. 2022, "FrequencyLowCut pooling". A wave below a quarter of the
    width comes out as it was, at every second pixel; beyond it nothing is left, and at it half
    of what the pixels show. Their code crops the shifted spectrum at ``[n / 4, 3 n / 4)``, which
    keeps the frequency ``-n / 4`` without its partner ``n / 4``, so that the result is complex;
    it takes the modulus, which makes every value positive, and it multiplies by 4, since the
    inverse transform divides by fewer pixels. Here each of the two partners counts half, so that
    the result is real and linear in ``x``, and a flat map stays as it is. An odd size is
    sampled anew, evenly. Products of float32 (of float64, if ``x`` is), in autocast too.
    """

    @checked
    def forward(self, x: Images) -> Tensor:
        """Pool maps.

        Parameters
        ----------
        x : Tensor
            ``(N, C, H, W)``, floating point, H and W at least 2.

        Returns
        -------
        Tensor
            ``(N, C, H // 2, W // 2)``, dtype and device of ``x``. Can leave the range of ``x``
            by ringing.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is no floating-point tensor of that shape.
        """
        _check_size(x, 2)
        maps = x if x.dtype == torch.float64 else x.float()
        down, right = (_halving(size, maps.dtype, maps.device) for size in maps.shape[-2:])
        with torch.autocast(x.device.type, enabled=False):  # it would round the products
            return (down @ maps @ right.T).to(x.dtype)


KINDS = {"max": partial(nn.MaxPool2d, 2), "blur": BlurPool, "low-pass": LowPassPool}
"""Kinds of pooling by name; each halves a map."""


@checked
def replace_pooling(model: nn.Module, kind: str) -> nn.Module:
    """Deep copy of a model, with other pooling.

    Parameters
    ----------
    model : nn.Module
        Left as it is. All its layers ``nn.MaxPool2d(2)`` are replaced, no other ones.
    kind : {"max", "blur", "low-pass"}
        What stands in their place: themselves, :class:`BlurPool` or :class:`LowPassPool`.

    Returns
    -------
    nn.Module
        With the weights of the model, and each layer in the mode that it had.

    Raises
    ------
    ValueError
        If ``kind`` is unknown, or the model has no such layer.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    changed, found = copy.deepcopy(model), 0
    for parent in list(changed.modules()):
        for name, layer in list(parent.named_children()):
            if _halves(layer):
                setattr(parent, name, KINDS[kind]().train(layer.training))
                found += 1
    if not found:
        raise ValueError(
            f"model must hold an nn.MaxPool2d(2), but this {type(model).__name__} has none"
        )
    return changed


def _halves(layer):
    if not isinstance(layer, nn.MaxPool2d) or layer.ceil_mode or layer.return_indices:
        return False
    wanted = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1}
    return all(getattr(layer, name) in (n, (n, n)) for name, n in wanted.items())


@lru_cache(maxsize=64)
def _halving(size, dtype, device):
    """The low-pass along one axis as a matrix, ``(size // 2, size)``."""
    half = size // 2
    first = size // 2 - half // 2  # of the shifted spectrum's middle
    with torch.inference_mode(False), torch.no_grad():
        spectrum = torch.fft.fft(torch.eye(size, dtype=torch.float64), dim=0)
        middle = torch.fft.fftshift(spectrum, dim=0)[first : first + half]
        # The real part gives a frequency that lost its partner half of what both had.
        kept = torch.fft.ifft(torch.fft.ifftshift(middle, dim=0), dim=0).real
        return (kept * half / size).to(device, dtype)


def _check_size(x, least):
    if min(x.shape[-2:]) < least:
        wanted, got = f"at least {least}x{least} pixels", "x".join(map(str, x.shape[-2:]))
        raise ValueError(f"x must hold maps of {wanted}, got {got}")
