"""Figures of single waves, and of sums that grow wave by wave."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import torch
from torch import Tensor

from hfc import display
from hfc.display import Picture
from hfc.frequency import fourier_basis

__all__ = ["stripes", "stripes_and_dots", "sums_along_row", "wave_by_wave"]

_TURNING = [(0, 5), (3, 4), (4, 3), (5, 0), (4, -3), (3, -4)]  # all at distance 5
_WAVES = [(0, 1), (0, 2), (0, 3), *_TURNING, (6, -8), (9, -12), (0, 16), (16, 16)]
_COUNTS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024, 2049)


def sums_along_row(row: Tensor, sums: Mapping[int, Tensor]) -> Picture:
    """A row of pixels of the cat, and sums of slow waves that come close to it.

    Parameters
    ----------
    row : Tensor
        ``(W,)``, brightness in [0, 1].
    sums : mapping of int to Tensor
        For a number of waves their sum, ``(W,)``; at most four.

    Raises
    ------
    ValueError
        If there are more sums than colours.
    """
    if len(sums) > 4:
        raise ValueError(f"sums must hold at most four sums, got {len(sums)}")
    pixel = range(len(row))
    lines = {f"mean and {count} slowest waves": (pixel, y) for count, y in sums.items()}
    return display.line_plot(
        {"the row of pixels": (pixel, row), **lines},
        roles={
            "the row of pixels": "original",
            **dict(zip(lines, ("low", "both", "high", "neither"), strict=False)),
        },
        markers=False,
        xlabel="position along the row (pixels)",
        ylabel="brightness (0 black, 1 white)",
        alt=f"Brightness along a row of {len(row)} pixels of the cat photograph, a jagged line, "
        f"and sums of {display.listed(sums)} waves. The more waves, the closer the sum follows.",
    )


def stripes(waves: Sequence[tuple[int, int]], *, size: int = 64) -> Picture:
    """Waves as pictures, side by side.

    Parameters
    ----------
    waves : sequence of tuple of int
        ``(u, v)``: how often each repeats from top to bottom and from left to right.
    size : int
        Height and width in pixels.
    """
    return display.panels(
        [_wave(size, u, v) for u, v in waves],
        [_named(u, v).replace(", ", "\n") for u, v in waves],
        alts=[_described(size, u, v) for u, v in waves],
        width=88,
    )


def stripes_and_dots(
    waves: Sequence[tuple[int, int]] = tuple(_WAVES), *, size: int = 32
) -> ipywidgets.Widget:
    """Slider over waves: stripes, and the two dots that they are in the spectrum.

    Parameters
    ----------
    waves : sequence of tuple of int
        ``(u, v)`` of each frame. By default the stripes first become finer, then turn, then
        become finer still.
    size : int
        Height and width of the pictures in pixels.
    """
    frames = [_stripes_and_dots(size, u, v) for u, v in waves]
    return display.slideshow(frames, [_named(u, v) for u, v in waves], name="wave")


def _stripes_and_dots(size, u, v):
    centre = size // 2
    strength = torch.fft.fftshift(torch.fft.fft2(fourier_basis(size, size, u, v)).abs())
    dots = strength > strength.max() / 2
    spectrum = dots.float()
    spectrum[centre] = spectrum[centre].clamp(min=0.3)  # the axes
    spectrum[:, centre] = spectrum[:, centre].clamp(min=0.3)
    places = [f"({_number(a)}, {_number(b)})" for a, b in (dots.nonzero() - centre).tolist()]
    where = f"{'two dots' if len(places) == 2 else 'one dot'} at {display.listed(places[::-1])}"
    return display.panels(
        [_wave(size, u, v), spectrum],
        [f"stripes, {_named(u, v)}", f"spectrum: {where}"],
        alts=[_described(size, u, v), f"Dark square with a cross of axes and {where}"],
        width=230,
    )


def wave_by_wave(
    image: Tensor, strongest_waves: Callable, counts: Sequence[int] = _COUNTS
) -> ipywidgets.Widget:
    """Slider over the number of waves: the wave added last, the sum, its spectrum, the aim.

    Parameters
    ----------
    image : Tensor
        ``(H, W)``, in [0, 1].
    strongest_waves : callable
        ``strongest_waves(image, count)`` is the mean of ``image`` plus its ``count`` strongest
        waves, ``(H, W)``.
    counts : sequence of int
        Numbers of waves of the frames.
    """
    frames = []
    for count in counts:
        total = strongest_waves(image, count)
        latest = total - strongest_waves(image, max(count - 1, 0))
        frames.append(_growing_sum(image, total, latest, count))
    return display.slideshow(frames, counts, name="number of waves", start=len(counts) // 3)


def _growing_sum(image, total, latest, count):
    energy = display.percent(total.var() / image.var())
    spectrum = (15 * display.log_amplitude(total - total.mean())).round() / 15
    return display.panels(
        [0.5 + 0.5 * latest / latest.abs().max().clamp(min=1e-9), total, spectrum, image],
        [
            "the wave added last, strengthened",
            f"sum of {count} waves, {energy} of the energy",
            "spectrum of the sum",
            "what we are after",
        ],
        alts=[
            f"Wave number {count}, by strength",
            f"Sum of the mean and the {count} strongest waves, {energy} of the energy",
            f"Spectrum of the sum: {2 * count} dots, the first of them near the centre",
            "The portrait of the astronaut in grey",
        ],
        roles=[None, "both", None, "original"],
        width=150,
    )


def _wave(size, u, v):
    wave = fourier_basis(size, size, u, v)
    return 0.5 + 0.5 * wave / wave.max()


def _number(number):
    return f"{number}".replace("-", "−")


def _named(u, v):
    return f"u = {_number(u)}, v = {_number(v)}"


def _described(size, u, v):
    if abs(2 * u) == abs(2 * v) == size:
        return "The finest chessboard: every pixel differs from its neighbours"
    if u == 0:
        return f"Vertical stripes: the wave repeats {abs(v)} times from left to right"
    if v == 0:
        return f"Horizontal stripes: the wave repeats {abs(u)} times from top to bottom"
    side = "left" if u * v > 0 else "right"
    return (
        f"Slanted stripes that fall to the {side}: the wave repeats {abs(u)} times from top to "
        f"bottom and {abs(v)} times from left to right"
    )
