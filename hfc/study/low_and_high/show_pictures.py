"""What chapter 2 shows of single pictures: components, and what the network says to them."""

from collections.abc import Iterable, Sequence

import ipywidgets
from torch import Tensor, nn

from hfc import display
from hfc.data import ImageSet
from hfc.display import Picture
from hfc.evaluation import is_right, logits
from hfc.frequency import low_pass, split

__all__ = ["components_by_radius", "radius_slider", "striking", "two_waves", "what_it_says"]

_TICKS = (0, 4, 8, 12, 16)


def striking(data: ImageSet, chosen: Tensor, count: int) -> list[int]:
    """Places of chosen images with strong colours, each of another class.

    Parameters
    ----------
    data : ImageSet
    chosen : Tensor
        ``(N,)``, bool: which images may be taken.
    count : int
        How many are wanted; fewer where there are no more classes.
    """
    contrast = low_pass(data.images, 4).std(dim=(1, 2, 3))
    order = (contrast * chosen).argsort(descending=True)[: int(chosen.sum())]
    best = {}
    for place in order.tolist():
        best.setdefault(int(data.labels[place]), place)
    return list(best.values())[:count]


def what_it_says(model: nn.Module, data: ImageSet, places: Iterable[int], radius: float) -> Picture:
    """Images and their two components, a row each, and what a network says to every picture.

    As figure 2 of Wang et al. 2020.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
    places : iterable of int
        Which images.
    radius : float
        In waves per image.
    """
    return _rows([_row(model, data, place, radius) for place in places])


def radius_slider(
    model: nn.Module, data: ImageSet, *, start: int = 8, radii: Sequence[int] = tuple(range(17))
) -> ipywidgets.Widget:
    """Slider over the radius: one image, its components, and what a network says to them.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
        The image is the one with the strongest colours that the network names from its HFC and
        not from its LFC, at radius ``start``.
    start : int
        Radius shown first.
    radii : sequence of int
        Radii of the frames, ``start`` among them.

    Raises
    ------
    ValueError
        If ``start`` is not among the radii, or there is no such image.
    """
    if start not in radii:
        raise ValueError(f"start must be one of {display.listed(radii)}, got {start}")
    low, high = split(data.images, start)
    original, low, high = (is_right(model, x, data.labels) for x in (data.images, low, high))
    places = striking(data, original & high & ~low, 1)
    if not places:
        raise ValueError(f"data must hold an image that is right on the HFC only at r = {start}")
    frames = [what_it_says(model, data, places, radius) for radius in radii]
    return display.slideshow(frames, radii, name="radius r", start=list(radii).index(start))


def two_waves(
    model: nn.Module, data: ImageSet, swapped: ImageSet, places: Iterable[int]
) -> Picture:
    """Images with two different waves, a row each, and what a network says to both.

    Parameters
    ----------
    model : nn.Module
    data, swapped : ImageSet
        The same images with other signatures.
    places : iterable of int
        Which images.
    """
    rows = []
    for place in places:
        truth, captions, alts = data.classes[data.labels[place]], [], []
        for images in (data, swapped):
            said, right = _answer(model, images, images.images[place], place)
            named = images.classes[images.signature[place]]
            captions.append(f"wave: “{named}”\nanswer: {said} ({right})")
            alts.append(
                f"A {truth} with a faint wave that names {named}: the network says {said}, "
                f"which is {right}"
            )
        one, other = data.images[place], swapped.images[place]
        rows.append(
            display.panels(
                [one, other, 4 * (one - other)],
                [*captions, "their difference,\nfour times as strong"],
                alts=[*alts, "The difference of the two: fine stripes on plain grey"],
                roles=["original", "original", "high"],
                width=190,
            )
        )
    return _rows(rows)


def components_by_radius(image: Tensor, name: str, radii: Sequence[float] = _TICKS[1:]) -> Picture:
    """LFC and, below, HFC of an image for several radii.

    Parameters
    ----------
    image : Tensor
        ``(3, H, W)``, in [0, 1].
    name : str
        What it shows, for those who cannot see it.
    radii : sequence of float
        In waves per image.
    """
    rows = []
    for part, role in (("LFC", "low"), ("HFC", "high")):
        rows.append(
            display.panels(
                [split(image, radius)[part == "HFC"] for radius in radii],
                [f"{part}, r = {radius:g}" for radius in radii],
                alts=[f"{part} of {name} for a radius of {radius:g}" for radius in radii],
                roles=[role] * len(radii),
                width=140,
            )
        )
    return _rows(rows)


def _row(model, data, place, radius):
    image = data.images[place]
    names = {"original": "original", "low": f"LFC, r = {radius:g}", "high": f"HFC, r = {radius:g}"}
    images = [image, *split(image, radius)]
    truth, captions, alts = data.classes[data.labels[place]], [], []
    for picture, name in zip(images, names.values(), strict=True):
        said, right = _answer(model, data, picture, place)
        captions.append(f"{name}\n{said} ({right})")
        alts.append(f"{name} of a {truth}: the network says {said}, which is {right}")
    return display.panels(images, captions, alts=alts, roles=list(names), width=190)


def _answer(model, data, picture, place):
    """What the network says and how sure it is, and whether that is right."""
    confidence, answer = logits(model, picture[None])[0].softmax(0).max(0)
    sure = ">\u00a099\u00a0%" if confidence > 0.99 else display.percent(confidence.item())
    return f"“{data.classes[answer]}”, {sure}", "right" if answer == data.labels[place] else "wrong"


def _rows(pictures):
    """One picture of several, below each other."""
    markup = "".join(f'<div style="margin-bottom:12px">{p.markup}</div>' for p in pictures)
    return Picture(markup, "; ".join(picture.alt for picture in pictures))
