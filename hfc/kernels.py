"""First-layer kernels: how smooth they are, and smoothing them.

A convolution's weight is a tensor ``(out, in, kh, kw)``: ``out`` *filters*, each of ``in``
*kernels* of ``kh`` x ``kw`` pixels.

To filter kernels by a circle, use :func:`hfc.frequency.low_pass` as it is; frequencies then
count waves per kernel. On 3x3 pixels only the distances 0, 1 and 1.41 exist, with 1, 4 and 4
coefficients; on 5x5 pixels 0, 1, 1.41, 2, 2.24 and 2.83, with 1, 4, 4, 4, 8 and 4.

>>> from hfc import models
>>> kernels = first_kernels(models.build("resnet32", num_classes=10))
>>> kernels.shape
torch.Size([16, 3, 3, 3])
>>> (roughness(smooth(kernels, rho=0.5)) < roughness(kernels)).all().item()
True
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfc.arguments import checked
from hfc.frequency import radial_mask

__all__ = [
    "first_kernels",
    "high_frequency_share",
    "replace",
    "roughness",
    "smooth",
]


@checked
def first_kernels(model: nn.Module) -> nn.Parameter:
    """Weight of a model's first convolution: the parameter itself, not a copy.

    Parameters
    ----------
    model : nn.Module
        May be wrapped. The first ``nn.Conv2d`` in the order of ``model.modules()`` counts.

    Returns
    -------
    nn.Parameter
        ``(out, in, kh, kw)``.

    Raises
    ------
    ValueError
        If there is none.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            return layer.weight
    raise ValueError(f"model must have a Conv2d layer, but this {type(model).__name__} has none")


@checked
def roughness(weight: Tensor, *, relative: bool = True) -> Tensor:
    """Sum of squared differences between neighbouring weights, for each filter.

    Parameters
    ----------
    weight : Tensor
        ``(out, in, kh, kw)``, floating point, finite. Pairs of neighbours, horizontal and
        vertical, count in all ``in`` kernels of a filter.
    relative : bool
        Whether to divide by the sum of the filter's squared weights, so that its size and sign
        do not count.

    Returns
    -------
    Tensor
        ``(out,)``, float64 if ``weight`` is, else float32. At least 0, relative values below 8;
        0 for a filter of zeros.

    Raises
    ------
    TypeError
        If ``weight`` is not a floating-point tensor.
    ValueError
        If it has not four axes, or is empty.

    Notes
    -----
    Ours; Wang et al. 2020 (section 6, figure 7) compare kernels by eye. Yardsticks for the
    relative values on k x k pixels: flat kernels have 0, the roughest ``4 + 4 cos(pi / k)``,
    and white noise ``4 (k - 1) / k`` in expectation (``2 k (k - 1)`` pairs, each of which
    differs by twice the variance): 2.67 for 3x3, 3.2 for 5x5, 3.43 for 7x7. That is exact for
    independent weights of one symmetric distribution, such as PyTorch's initial ones.
    """
    _check_weight(weight)
    kernels = _in_units_of_the_largest(weight) if relative else _at_least_float32(weight)
    differences = (kernels.diff(dim=2), kernels.diff(dim=3))
    total = sum(d.square().sum(dim=(1, 2, 3)) for d in differences)
    return _share(total, kernels.square().sum(dim=(1, 2, 3))) if relative else total


@checked
def high_frequency_share(weight: Tensor, *, size: int = 32, radius: float = 8) -> Tensor:
    """Share of each filter's energy that acts on the high-frequency component of images.

    Parameters
    ----------
    weight : Tensor
        ``(out, in, kh, kw)``, floating point, finite.
    size : int
        Height and width of the images in pixels, at least ``kh`` and ``kw``. Zeros around the
        kernels fill it.
    radius : float
        Radius of the circle in waves per image, at least 0.

    Returns
    -------
    Tensor
        ``(out,)``, float64 if ``weight`` is, else float32, in [0, 1]: squared Fourier
        coefficients of all ``in`` kernels at distances above ``radius``, divided by all. 0 for
        a filter of zeros.

    Raises
    ------
    TypeError, ValueError
        As :func:`roughness`; also if ``size`` or ``radius`` is out of range.

    Notes
    -----
    The radius as in Wang et al. 2020, section 3. Yardstick: a kernel of one single weight
    passes all frequencies alike, so its share is that of the coefficients outside the circle,
    827 of 1024 for the defaults, or 0.81. White noise has the same in expectation.
    """
    _check_weight(weight)
    side = max(weight.shape[2:])
    if size < side:
        raise ValueError(f"size must be at least {side}, the side of the kernels, got {size}")
    outside = ~radial_mask(size, size, radius, device=weight.device)
    spectrum = torch.fft.fft2(_in_units_of_the_largest(weight), s=(size, size))
    energy = (spectrum.real.square() + spectrum.imag.square()).sum(dim=1)  # (out, size, size)
    return _share((energy * outside).sum(dim=(1, 2)), energy.sum(dim=(1, 2)))


@checked
def smooth(weight: Tensor, rho: float, *, normalised: bool = False) -> Tensor:
    """Add to each weight ``rho`` times the sum of its eight neighbours.

    Parameters
    ----------
    weight : Tensor
        ``(out, in, kh, kw)``, floating point, finite. Every kernel is smoothed on its own; a
        weight at its border counts once more for each neighbour that is missing there.
    rho : float
        At least 0, finite; 0.1, 0.25, 0.5 and 1 in the paper's table 2.
    normalised : bool
        Whether to divide by ``1 + 8 rho``, so that flat kernels stay as they are.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``weight``.

    Raises
    ------
    TypeError, ValueError
        As :func:`roughness`; also if ``rho`` is negative, NaN or infinite.

    Notes
    -----
    Wang et al. 2020, equation 3, with the borders of the authors' TensorFlow code. Their
    PyTorch version hands the weight to the same code without exchanging its axes, and so blurs
    across filters and channels.

    As published it makes flat kernels ``1 + 8 rho`` times as large. Kernels of 3x3 are never
    rougher afterwards if ``rho <= 1``; at 1 they keep 4 of their 9 dimensions. At 1 kernels of
    5x5 keep all 25: their finest horizontal and vertical waves change sign and grow 1.85
    times, while flat kernels grow 9 times.
    """
    _check_weight(weight)
    rho = float(rho)
    if not (rho >= 0 and math.isfinite(rho)):
        raise ValueError(f"rho must be a finite number of at least 0, got {rho}")
    height, width = weight.shape[2:]
    padded = F.pad(weight, (1, 1, 1, 1), mode="replicate")
    places = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    neighbours = sum(padded[:, :, i : i + height, j : j + width] for i, j in places)
    return (weight + rho * neighbours) / (1 + 8 * rho if normalised else 1)


@checked
@torch.no_grad()
def replace(model: nn.Module, weight: Tensor) -> nn.Module:
    """Deep copy of a model, with other first kernels.

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    weight : Tensor
        Of the shape of ``first_kernels(model)``, finite.

    Returns
    -------
    nn.Module
        BatchNorm still knows the old kernels' statistics, see :func:`hfc.batchnorm.recalibrate`.

    Raises
    ------
    TypeError, ValueError
        As :func:`roughness`; also if ``weight`` has another shape or is not finite, or the
        model has no convolution.
    """
    _check_weight(weight)
    wanted, got = tuple(first_kernels(model).shape), tuple(weight.shape)
    if got != wanted:
        raise ValueError(f"weight must have the shape of the first kernels, {wanted}, got {got}")
    if not weight.isfinite().all():
        raise ValueError("weight must be finite, but holds NaN or infinity")
    changed = copy.deepcopy(model)
    first_kernels(changed).copy_(weight)
    return changed


def _in_units_of_the_largest(weight):
    """Each filter divided by its largest weight: squares of tiny ones would become 0."""
    weight = _at_least_float32(weight)
    largest = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    return weight / torch.where(largest > 0, largest, 1)


def _share(part, whole):
    return part / torch.where(whole > 0, whole, 1)  # no 0 / 0, also not in gradients


def _at_least_float32(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check_weight(weight):
    if not isinstance(weight, Tensor):
        raise TypeError(f"weight must be a torch.Tensor, got {type(weight).__name__}")
    if not weight.is_floating_point():
        raise TypeError(f"weight must be a floating-point tensor, got {weight.dtype}")
    if weight.ndim != 4 or weight.numel() == 0:
        raise ValueError(f"weight must have shape (out, in, kh, kw), got {tuple(weight.shape)}")
