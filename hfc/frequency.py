"""Split images by a circle in Fourier space.

Every function works on the last two axes of a real tensor ``(..., H, W)``: one image, a
colour image or a whole batch, on any device. Frequencies are integers, counted in waves per
image (``fftfreq(n) * n``), with the constant image (DC) at exactly 0. The radius of a
coefficient is its Euclidean distance to DC. A coefficient within ``radius`` belongs to the
low-frequency component (LFC), every other to the high-frequency component (HFC).

>>> import torch
>>> images = torch.rand(8, 3, 32, 32)
>>> low, high = split(images, radius=8)
>>> torch.allclose(low + high, images, atol=1e-6)
True
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hfc.arguments import Colour, checked

__all__ = [
    "COMPONENTS",
    "RadialSpectrum",
    "amplitude_phase",
    "band_pass",
    "component",
    "fourier_basis",
    "high_pass",
    "low_pass",
    "max_scale",
    "radial_mask",
    "radial_spectrum",
    "recombine",
    "split",
]


@checked
def radial_mask(height: int, width: int, radius: float, *, closed: bool = True, device=None):
    """Mask of the coefficients within a circle around DC.

    Parameters
    ----------
    height, width : int
        Image size in pixels, both at least 1.
    radius : float
        Radius of the circle in waves per image, at least 0.
    closed : bool
        ``True`` keeps distances <= radius (the paper), ``False`` < radius (the authors' code).
    device : torch.device, optional
        Where the mask is made.

    Returns
    -------
    Tensor
        ``(height, width)``, bool, in the order of ``torch.fft.fft2`` (DC at ``[0, 0]``).

    Raises
    ------
    ValueError
        If a size is below 1, or the radius is negative or NaN.

    Notes
    -----
    Wang et al. 2020, section 3.
    """
    radius = _check_radius(radius, "radius")
    return _mask(_distance(height, width), -math.inf, radius, closed).to(device)


@checked
def low_pass(x: Tensor, radius: float, *, closed: bool = True) -> Tensor:
    """Low-frequency component: what is left of ``x`` inside the circle.

    Parameters
    ----------
    x : Tensor
        ``(..., H, W)``, floating point, finite. Images are in [0, 1]; nothing is clipped.
    radius : float
        Radius of the circle in waves per image, at least 0.
    closed : bool
        ``True`` keeps distances <= radius (the paper), ``False`` < radius (the authors' code).

    Returns
    -------
    Tensor
        Shape, dtype and device of ``x``. Can leave [0, 1] by ringing.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor.
    ValueError
        If ``x`` has fewer than two axes, is empty or holds NaN or infinity, or the radius is
        negative or NaN.

    Notes
    -----
    Wang et al. 2020, section 3. The low-pass is an orthogonal projection, so its gradient is
    the low-pass of the incoming gradient.
    """
    _check_images(x, "x")
    return _Ring.apply(x, -math.inf, _check_radius(radius, "radius"), closed)


@checked
def high_pass(x: Tensor, radius: float, *, closed: bool = True) -> Tensor:
    """High-frequency component: ``x - low_pass(x, radius)``.

    Parameters, errors and source as in :func:`low_pass`. The result has shape, dtype and
    device of ``x`` and a mean of zero: it is dark where ``x`` is smooth, and half of it is
    negative.
    """
    return split(x, radius, closed=closed)[1]


@checked
def split(x: Tensor, radius: float, *, closed: bool = True) -> tuple[Tensor, Tensor]:
    """Low- and high-frequency component of ``x``, which add up to ``x``.

    Parameters, errors and source as in :func:`low_pass`.

    Returns
    -------
    low, high : Tensor
        Each of shape, dtype and device of ``x``.
    """
    _check_images(x, "x")
    return _Split.apply(x, _check_radius(radius, "radius"), closed)


@checked
def band_pass(x: Tensor, inner: float, outer: float, *, closed: bool = True) -> Tensor:
    """Component of ``x`` between two circles: outside ``inner``, inside ``outer``.

    Parameters
    ----------
    x : Tensor
        ``(..., H, W)``, floating point, finite.
    inner, outer : float
        Radii in waves per image, ``0 <= inner <= outer``.
    closed : bool
        As in :func:`low_pass`, for both circles, so that ``low_pass(x, inner) +
        band_pass(x, inner, outer) == low_pass(x, outer)``.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``x``.

    Raises
    ------
    TypeError, ValueError
        As :func:`low_pass`; also if ``inner > outer``.
    """
    _check_images(x, "x")
    inner, outer = _check_radius(inner, "inner"), _check_radius(outer, "outer")
    if inner > outer:
        raise ValueError(f"inner must not exceed outer, got inner={inner} and outer={outer}")
    return _Ring.apply(x, inner, outer, closed)


@checked
def max_scale(x: Tensor) -> Tensor:
    """Multiply every image so that its brightest value becomes 1.

    Parameters
    ----------
    x : Tensor
        ``(..., C, H, W)``, floating point, finite.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``x``. An image without a value above 0 stays as it is.

    Raises
    ------
    TypeError, ValueError
        As :func:`low_pass`; also if there is no channel axis.

    Notes
    -----
    What the code of Wang et al. 2020 does with LFC and HFC copies (there to 255). It makes a
    faint component strong, and every image's by another factor.
    """
    _check_images(x, "x")
    if x.ndim < 3:
        raise ValueError(f"x must have shape (..., C, H, W), got {tuple(x.shape)}")
    brightest = x.amax(dim=(-3, -2, -1), keepdim=True)
    return x / torch.where(brightest > 0, brightest, 1)  # no 0 / 0, also not in gradients


@checked
def component(x: Tensor, name: str, radius: float, *, mean: Colour | None = None) -> Tensor:
    """Copies of images as an experiment shows them to a network.

    Parameters
    ----------
    x : Tensor
        ``(..., C, H, W)``, floating point, finite.
    name : str
        One of :data:`COMPONENTS`. ``"low"`` and ``"high"`` are :func:`low_pass` and
        :func:`high_pass`; ``"high + mean"`` has a mean colour in place of the one that an HFC
        lacks; ``"low, scaled"`` and ``"high, scaled"`` went through :func:`max_scale`, as in the
        authors' code; ``"low + half high"`` is what a mask of 1 inside the circle and 0.5
        outside keeps, as in one public version of that code.
    radius : float
        Radius of the circle in waves per image.
    mean : Tensor, optional
        ``(C, 1, 1)``, the colour for ``"high + mean"``.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``x``.

    Raises
    ------
    TypeError, ValueError
        As :func:`low_pass`; also if the name is unknown, or ``"high + mean"`` has no mean.
    """
    if name not in COMPONENTS:
        raise ValueError(f"name must be one of {', '.join(COMPONENTS)}, got {name!r}")
    if name == "high + mean" and mean is None:
        raise ValueError('mean must be given for "high + mean", got None')
    if mean is not None and x.ndim >= 3 and mean.shape != (x.shape[-3], 1, 1):
        wanted, got = (x.shape[-3], 1, 1), tuple(mean.shape)
        raise ValueError(f"mean must have shape {wanted}, a number for each channel, got {got}")
    if mean is not None and not mean.isfinite().all():
        raise ValueError("mean must be finite, but holds NaN or infinity")
    low, high = split(x, radius)
    if name == "low + half high":
        return low + high / 2
    if name == "high + mean":
        return high + mean.to(high)
    copies = low if name.startswith("low") else high
    return max_scale(copies) if name.endswith("scaled") else copies


COMPONENTS = ("low", "high", "high + mean", "low, scaled", "high, scaled", "low + half high")


class RadialSpectrum(NamedTuple):
    """Energy of images on rings around DC; ring ``k`` holds the distances that round to ``k``.

    Attributes
    ----------
    energy : Tensor
        ``(..., R)``: sum of squared coefficients on each ring. All rings together hold the
        sum of squared pixels (Parseval).
    count : Tensor
        ``(R,)``, int64: number of coefficients on each ring.
    """

    energy: Tensor
    count: Tensor

    @property
    def power(self) -> Tensor:
        """Mean energy per coefficient, ``(..., R)``; the 1/f law of photographs is about it."""
        return self.energy / self.count


@checked
def radial_spectrum(x: Tensor) -> RadialSpectrum:
    """Energy of ``x`` on rings of distance 0, 1, 2, ... around DC.

    Parameters
    ----------
    x : Tensor
        ``(..., H, W)``, floating point, finite.

    Returns
    -------
    RadialSpectrum
        ``energy`` of shape ``(..., R)``, float64 if ``x`` is, else float32, and ``count`` of
        shape ``(R,)``.

    Raises
    ------
    TypeError, ValueError
        As :func:`low_pass`.
    """
    _check_images(x, "x")
    ring = _distance(*x.shape[-2:]).round().long().flatten()
    squared = torch.fft.fft2(_at_least_float32(x), norm="ortho").abs().square().flatten(-2)
    count = torch.bincount(ring).to(x.device)
    energy = squared.new_zeros(*x.shape[:-2], len(count))
    energy = energy.index_add(-1, ring.to(x.device), squared)
    return RadialSpectrum(energy, count)


@checked
def amplitude_phase(x: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase of the two-dimensional Fourier transform, channel by channel.

    Parameters
    ----------
    x : Tensor
        ``(..., H, W)``, floating point, finite.

    Returns
    -------
    amplitude, phase : Tensor
        Each of shape and device of ``x``, in the order of ``torch.fft.fft2``; float64 if ``x``
        is, else float32 (sums over many pixels overflow in 16 bits); amplitude >= 0, phase in
        [-pi, pi].

    Raises
    ------
    TypeError, ValueError
        As :func:`low_pass`.

    Notes
    -----
    Chen et al. 2021, section 3.
    """
    _check_images(x, "x")
    coefficients = torch.fft.fft2(_at_least_float32(x))
    return coefficients.abs(), coefficients.angle()


@checked
def recombine(amplitude: Tensor, phase: Tensor) -> Tensor:
    """Image with the amplitude of one image and the phase of another.

    Parameters
    ----------
    amplitude, phase : Tensor
        ``(..., H, W)`` as :func:`amplitude_phase` returns them, broadcastable against each
        other, on one device.

    Returns
    -------
    Tensor
        Real image of the broadcast shape, in the dtype of ``amplitude``.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor.
    ValueError
        If an argument is empty or not finite, or the two are on different devices or do not
        broadcast.

    Notes
    -----
    Chen et al. 2021, equation 1.
    """
    _check_images(amplitude, "amplitude")
    _check_images(phase, "phase")
    if amplitude.device != phase.device:
        raise ValueError(
            "amplitude and phase must be on one device, got "
            f"amplitude on {amplitude.device} and phase on {phase.device}"
        )
    try:
        torch.broadcast_shapes(amplitude.shape, phase.shape)
    except RuntimeError:
        raise ValueError(
            "amplitude and phase must have shapes that broadcast, got "
            f"{tuple(amplitude.shape)} and {tuple(phase.shape)}"
        ) from None
    magnitude, angle = _at_least_float32(amplitude), _at_least_float32(phase)
    coefficients = torch.complex(magnitude * angle.cos(), magnitude * angle.sin())
    return torch.fft.ifft2(coefficients).real.to(amplitude.dtype)


@checked
def fourier_basis(height: int, width: int, u: float, v: float) -> Tensor:
    """One wave as an image: a cosine of unit length (L2 norm 1).

    Parameters
    ----------
    height, width : int
        Image size in pixels.
    u, v : int
        Waves per image downwards and to the right, ``|u| <= height / 2``, ``|v| <= width / 2``.

    Returns
    -------
    Tensor
        ``(height, width)``, float32.

    Raises
    ------
    ValueError
        If a size is below 1 or a frequency is out of range.

    Notes
    -----
    Yin et al. 2019, section 2 (the basis of their Fourier heat map).
    """
    _check_size(height, width)
    for name, frequency, size in (("u", u, height), ("v", v, width)):
        if not 2 * abs(frequency) <= size or frequency % 1:
            raise ValueError(
                f"{name} must be a whole number from {-(size // 2)} to {size // 2}, got {frequency}"
            )
    y = torch.arange(height, dtype=torch.float64)[:, None] / height
    x = torch.arange(width, dtype=torch.float64) / width
    wave = torch.cos(2 * math.pi * (u * y + v * x))
    return (wave / wave.norm()).float()


# The filter itself ------------------------------------------------------------------------
#
# A ring keeps coefficient (u, v) if it keeps (-u, v), (u, -v) and (-u, -v). So it acts on
# products of real waves, cos or sin downwards times cos or sin to the right, and no complex
# number is needed: write each row in the real waves that the ring can hold (one product with
# a W x K matrix), keep the right waves of each of these K columns (one H x H projector per
# column), and go back (one product). For small images this is far cheaper than a full FFT.

_CHUNK = 2**19  # values filtered at a time: small enough to stay in a CPU's cache
_MOST_WAVES = 24  # K; the work per pixel grows with K, and beyond this the FFT is faster
_LARGEST_OPERATOR = 2**22  # values; larger ones take longer to make than to use


class _Ring(torch.autograd.Function):
    """Keep the ring ``inner < distance <= outer`` (``inner <= distance < outer`` if open)."""

    @staticmethod
    def forward(x, inner, outer, closed):
        return _filter(x, inner, outer, closed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.ring = inputs[1:]

    @staticmethod
    def backward(ctx, gradient):
        return _Ring.apply(gradient, *ctx.ring), None, None, None


class _Split(torch.autograd.Function):
    """The disc and the rest."""

    @staticmethod
    def forward(x, radius, closed):
        low = _filter(x, -math.inf, radius, closed)
        return low, torch.sub(x, low, out=_empty_like(x))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.disc = inputs[1:]

    @staticmethod
    def backward(ctx, low_gradient, high_gradient):
        difference = _Ring.apply(low_gradient - high_gradient, -math.inf, *ctx.disc)
        return high_gradient + difference, None, None


def _filter(x, inner, outer, closed):
    """The ring of ``x``, a chunk of images at a time."""
    images = _at_least_float32(x)
    kept = _empty_like(images)
    height, width = x.shape[-2:]
    waves = 2 * min(int(min(outer, width)), width // 2) + 1
    by_matrices = waves <= _MOST_WAVES and waves * height * height <= _LARGEST_OPERATOR
    ring = _ring_by_matrices if by_matrices else _ring_by_fft
    step = max(1, _CHUNK // (height * width)) if x.is_cpu else x.numel()
    chunks = (t.reshape(-1, height, width).split(step) for t in (images, kept))
    with torch.autocast(x.device.type, enabled=False):  # it would round the products
        for chunk, out in zip(*chunks, strict=True):  # (N, H, W) each
            ring(chunk, inner, outer, closed, out)
    return kept.to(x.dtype)


def _ring_by_matrices(images, inner, outer, closed, out):
    count, height, width = images.shape
    basis, projectors = _operators(
        height, width, inner, outer, closed, images.dtype, images.device
    )  # (K, W) and (K, H, H)
    rows = basis @ images.reshape(-1, width).T  # (K, N*H)
    columns = rows.view(-1, count, height) @ projectors  # (K, N, H)
    torch.mm(columns.view(-1, count * height).T, basis, out=out.view(-1, width))


def _ring_by_fft(images, inner, outer, closed, out):
    height, width = images.shape[-2:]
    mask = _mask(_distance(height, width), inner, outer, closed)[:, : width // 2 + 1]
    coefficients = torch.fft.rfft2(images).mul_(mask.to(images.device))
    torch.fft.irfft2(coefficients, s=(height, width), out=out)


def _empty_like(x):
    """Memory for a result; on a CPU it comes from NumPy, which asks Linux for huge pages.

    Otherwise the first touch of fresh memory takes as long as the filter itself.
    """
    if not x.is_cpu:
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    memory = np.empty(x.numel() * x.element_size(), np.uint8)
    return torch.frombuffer(memory, dtype=x.dtype).resize_(x.shape)  # not a view of anything


@lru_cache(maxsize=16)
def _operators(height, width, inner, outer, closed, dtype, device):
    """Waves that the ring can hold, ``(K, W)``, and a projector for each, ``(K, H, H)``."""
    with torch.inference_mode(False), torch.no_grad():
        right, v = _real_waves(width)
        down, u = _real_waves(height)
        keep = _mask(_length(u, v), inner, outer, closed).double()
        held = keep.any(dim=0)
        projectors = torch.einsum("hj,jk,ij->khi", down, keep[:, held], down)
        basis = right[:, held].T
        return tuple(o.to(device, dtype).contiguous() for o in (basis, projectors))


def _real_waves(n):
    """Orthonormal cosines and sines on n points, ``(n, n)``, and their frequencies ``(n,)``."""
    frequency = torch.arange(1, n + 1) // 2  # 0, 1, 1, 2, 2, ...
    is_sine = (torch.arange(n) % 2 == 0) & (frequency > 0)
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64)[:, None] * frequency / n
    waves = torch.where(is_sine, angle.sin(), angle.cos())
    return waves / waves.norm(dim=0), frequency.double()


def _distance(height, width):
    """Distance of each coefficient to DC, ``(H, W)``, float64, on the CPU."""
    _check_size(height, width)
    u, v = (torch.fft.fftfreq(n, 1 / n, dtype=torch.float64).round() for n in (height, width))
    return _length(u, v)


def _length(u, v):
    """Lengths of all ``(u, v)``. NumPy rounds roots correctly, torch not on every processor, and
    a radius may be the distance of a coefficient.
    """
    return torch.from_numpy(np.sqrt((u[:, None] ** 2 + v**2).numpy()))


def _mask(distance, inner, outer, closed):
    if closed:
        return (distance > inner) & (distance <= outer)
    return (distance >= inner) & (distance < outer)


def _at_least_float32(x):
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_images(x, name):
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(
            f"{name} must be a floating-point tensor, got {x.dtype}; "
            "for 8-bit images use images.float() / 255"
        )
    if x.ndim < 2:
        raise ValueError(f"{name} must have shape (..., H, W), got {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(x.shape)}")
    # The sum is quick and tells nearly always; large numbers can make it overflow.
    total = x.detach().sum(dtype=torch.promote_types(x.dtype, torch.float32))
    if not torch.isfinite(total) and not x.isfinite().all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")


def _check_radius(radius, name):
    radius = float(radius)
    if not radius >= 0:
        raise ValueError(f"{name} must be a number >= 0 (waves per image), got {radius}")
    return radius


def _check_size(height, width):
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be at least 1, got {height} and {width}")
