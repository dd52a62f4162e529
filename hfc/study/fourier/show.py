"""The photographs of chapter 1, and its figures but for those of single waves."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hfc import display
from hfc.display import Picture

__all__ = [
    "PHOTOGRAPHS",
    "energy_by_radius",
    "falling_amplitudes",
    "halves",
    "off_centre",
    "photograph",
    "photographs",
    "ringing",
    "ringing_row",
    "shifted_spectrum",
    "swapped_phases",
]

PHOTOGRAPHS = {
    "astronaut": ("astronaut", 0, 96, 256),
    "cat": ("chelsea", 0, 100, 300),
    "coffee": ("coffee", 0, 100, 400),
    "rocket": ("rocket", 0, 180, 400),
}
"""For each photograph its name in ``skimage.data`` and the square that is cut out of it: top, left
and side in pixels. All four are free of copyright restrictions."""


def photograph(name: str, size: int) -> Tensor:
    """Square part of a photograph that comes with scikit-image, averaged down.

    Parameters
    ----------
    name : str
        A key of :data:`PHOTOGRAPHS`.
    size : int
        Height and width wanted, in pixels; at most the side of the square.

    Returns
    -------
    Tensor
        ``(3, size, size)``, float64, in [0, 1].

    Raises
    ------
    ValueError
        If there is no such photograph, or the size is out of range.
    """
    from skimage import data

    if name not in PHOTOGRAPHS:
        raise ValueError(f"name must be one of {', '.join(PHOTOGRAPHS)}, got {name!r}")
    source, top, left, side = PHOTOGRAPHS[name]
    if not 1 <= size <= side:
        raise ValueError(f"size must be from 1 to {side} pixels for the {name}, got {size}")
    pixels = torch.from_numpy(getattr(data, source)()).permute(2, 0, 1).double() / 255
    pixels = pixels[:, top : top + side, left : left + side]
    return F.interpolate(pixels[None], size, mode="area")[0]


# Photographs --------------------------------------------------------------------------------


def halves(image: Tensor, low: Tensor, high: Tensor) -> Picture:
    """The portrait of the astronaut beside its two components, ``(3, H, W)`` each."""
    return display.panels(
        [image, low, high],
        ["original", "low frequencies", "high frequencies, around grey"],
        alts=[
            "Portrait of an astronaut in an orange suit",
            "The same portrait, very blurred: the large shapes and colours remain",
            "A grey picture in which only the outlines and fine detail of the portrait stand out",
        ],
        roles=["original", "low", "high"],
        width=200,
    )


def photographs() -> Picture:
    """The four photographs, 128 × 128 pixels, and who took them."""
    return display.panels(
        [photograph(name, 128) for name in PHOTOGRAPHS],
        ["astronaut (NASA)", "cat (S. van der Walt)", "coffee (R. Michetti)", "rocket (SpaceX)"],
        alts=[
            "Portrait of an astronaut in an orange suit",
            "Face of a cat, close up",
            "Cup of coffee on a red saucer on a wooden table",
            "White rocket on its launch pad against a dark blue evening sky",
        ],
        roles=["original"] * 4,
    )


# Spectra ------------------------------------------------------------------------------------


def shifted_spectrum(image: Tensor) -> Picture:
    """The grey cat, ``(H, W)``, and its amplitudes before and after ``fftshift``."""
    return display.panels(
        [image, display.log_amplitude(image, shift=False), display.log_amplitude(image)],
        ["the cat, in grey", "its amplitudes, as fft2 returns them", "the same after fftshift"],
        alts=[
            "Face of the cat in grey",
            "Amplitude spectrum: bright in the four corners, dark in the middle",
            "Amplitude spectrum after fftshift: one bright spot in the centre, fading outwards, "
            "with a faint cross",
        ],
        roles=["original", None, None],
        width=200,
    )


def swapped_phases(
    astronaut: Tensor, cat: Tensor, cat_phase: Tensor, astronaut_phase: Tensor
) -> Picture:
    """Two grey photographs and, ``(H, W)`` each, the two that exchange their phases."""
    return display.panels(
        [astronaut, cat, cat_phase, astronaut_phase],
        [
            "astronaut",
            "cat",
            "amplitudes of the astronaut,\nphases of the cat",
            "amplitudes of the cat,\nphases of the astronaut",
        ],
        alts=[
            "Portrait of the astronaut in grey",
            "Face of the cat in grey",
            "A cloudy picture in which the face of the cat is recognised",
            "A cloudy picture in which the portrait of the astronaut is recognised",
        ],
        roles=["original", "original", None, None],
    )


def falling_amplitudes(photographs: Tensor, noise: Tensor) -> Picture:
    """Amplitude against distance to DC, on logarithmic axes.

    Parameters
    ----------
    photographs : Tensor
        ``(N, R)``: amplitude of each photograph at distance 1, 2, ..., R, in pixel units.
    noise : Tensor
        ``(R,)``: the same of noise.
    """
    distance = torch.arange(1, len(noise) + 1)
    middle = photographs.log().mean(0).exp()
    return display.line_plot(
        {
            "four photographs: mean and range": (distance, middle, *photographs.aminmax(dim=0)),
            "noise as strong in total": (distance, noise),
            "1/d": (distance, middle[0] / distance),
        },
        roles={
            "four photographs: mean and range": "original",
            "noise as strong in total": "both",
            "1/d": "neither",
        },
        markers=False,
        log="xy",
        xlabel="distance to DC, d (waves per image)",
        ylabel="amplitude (pixel units)",
        alt="Amplitude against distance to DC, both axes logarithmic. The photographs fall along "
        "an almost straight line, a little steeper than 1/d; noise is flat.",
    )


def energy_by_radius(inside: Tensor, share: Tensor) -> Picture:
    """How the energy of LFC and the number of waves grow with the radius.

    Parameters
    ----------
    inside : Tensor
        ``(R,)``: share of the waves inside the circle of radius 0, 1, 2, ..., in [0, 1].
    share : Tensor
        ``(R, N)``: share of the energy that LFC holds, for each photograph, in [0, 1].
    """
    radius = range(len(inside))
    energy, waves = 100 * share, 100 * inside
    return display.line_plot(
        {
            "energy in LFC: mean and range": (radius, energy.mean(1), *energy.aminmax(dim=1)),
            "waves inside the circle": (radius, waves),
        },
        roles={"energy in LFC: mean and range": "low", "waves inside the circle": "original"},
        xlabel="radius r (waves per image)",
        ylabel="share (%)",
        alt="Share of the energy and share of the waves inside the circle, against the radius, "
        "for four photographs. The energy rises steeply at once, the number of waves slowly; "
        f"both reach 100 % at radius {len(inside) - 1}.",
    )


# Corner cases -------------------------------------------------------------------------------


def ringing_row(edge: Tensor, low: Tensor) -> Picture:
    """One row of an edge and of its LFC(8), ``(W,)`` each."""
    pixel = range(len(edge))
    return display.line_plot(
        {"the edge": (pixel, edge), "LFC(8)": (pixel, low)},
        roles={"the edge": "original", "LFC(8)": "low"},
        xlabel="position along a row (pixels)",
        ylabel="brightness (0 black, 1 white)",
        alt=f"An edge from 0 to 1 along a row of {len(edge)} pixels, and its low-frequency "
        "component, which swings around the edge: below 0 before it and above 1 after it.",
    )


def ringing(edge: Tensor, edge_low: Tensor, coffee: Tensor, coffee_low: Tensor) -> Picture:
    """An edge, ``(H, W)``, with its LFC(8), and the coffee, ``(3, H, W)``, with its LFC(12)."""
    return display.panels(
        [edge, edge_low, coffee, coffee_low],
        ["the edge", "LFC(8)", "coffee", "LFC(12)"],
        alts=[
            "A picture with a black left half and a white right half",
            "The same with a soft edge and faint stripes parallel to it",
            "Cup of coffee on a red saucer",
            "The cup, blurred, with faint echoes of its rim",
        ],
        roles=["original", "low", "original", "low"],
    )


def off_centre(right: Tensor, wrong: Tensor, filtered: Tensor) -> Picture:
    """What a circle does that is half a pixel off.

    Parameters
    ----------
    right, wrong : Tensor
        ``(32, 32)``, bool, as ``fft2`` orders them: circles around 16 and around 15.5.
    filtered : Tensor
        ``(3, 32, 32)``, complex: the cat after the wrong one.
    """
    circles = [torch.fft.fftshift(circle).double() for circle in (right, wrong)]
    return display.panels(
        [*circles, filtered.real, filtered.imag],
        [
            "circle around 16",
            "circle around 15.5",
            "what comes back, real part",
            "imaginary part, around grey",
        ],
        alts=[
            "White disc of radius 4 around pixel 16 of 32",
            "White disc of radius 4, half a pixel up and to the left of the other",
            "The cat, blurred",
            "Faint coloured ripples: the imaginary part, which should be plain grey",
        ],
        roles=[None, None, "low", "high"],
    )
