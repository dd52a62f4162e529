"""Figures and tables of chapter 6 about objects: boxes, average precision, what is better."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from hfc import display
from hfc.detection import Detections, DetectionSet, detect
from hfc.display import Picture, Table
from hfc.frequency import low_pass
from hfc.study.results import Result

__all__ = [
    "ap_by_size",
    "average_precision",
    "box_explorer",
    "boxed",
    "detected_better",
    "explorer_of",
    "tuned_further",
]

SURE = 0.5  # score from which a box is drawn
_ROLES = ("low", "high", "neither", "both", "original")  # of the classes, in order
_CONTROLS = ("mirrored", "brighter", "JPEG")


def boxed(
    images: Sequence[Tensor],
    found: Sequence[Detections],
    captions: Sequence[str],
    classes: Sequence[str],
    *,
    roles: Sequence[str | None] | None = None,
    width: int = 195,
) -> Picture:
    """Pictures side by side with the boxes that a detector is sure of, by the letters of classes.

    Parameters
    ----------
    images : sequence of Tensor
        Each ``(3, H, W)``.
    found : sequence of Detections
        What to draw on each: scores of 0.5 and more.
    captions : sequence of str
    classes : sequence of str
        Their first letters stand in the boxes.
    roles, width
        As in :func:`hfc.display.panels`.

    Returns
    -------
    Picture
    """
    sure = [one.above(SURE) for one in found]
    boxes = [
        [
            (*box, _ROLES[label % len(_ROLES)], classes[label][0].upper())
            for box, label in zip(one.boxes.tolist(), one.labels.tolist(), strict=True)
        ]
        for one in sure
    ]
    alts = [
        f"{caption.splitlines()[0]}: {_counted(one, classes)}"
        for caption, one in zip(captions, sure, strict=True)
    ]
    return display.panels(images, captions, alts=alts, roles=roles, boxes=boxes, width=width)


def _counted(found, classes):
    counts = torch.bincount(found.labels, minlength=len(classes)).tolist()
    told = [f"{count} {name}" for count, name in zip(counts, classes, strict=True) if count]
    return ", ".join(told) or "no box"


def box_explorer(
    model: nn.Module, data: DetectionSet, which: int, shares: Sequence[float], *, start: int = 2
):
    """Slider over the radius: a picture, its LFC and its HFC, with the boxes that are found.

    Parameters
    ----------
    model : nn.Module
        A detector.
    data : DetectionSet
    which : int
        Index of the picture.
    shares : sequence of float
        Radii as shares of the Nyquist frequency.
    start : int
        Index of the one shown first.

    Returns
    -------
    ipywidgets.VBox
        See :func:`hfc.display.slideshow`.
    """
    image = data.images[which].cpu()
    found = {None: detect(model, [image])[0]}
    for share in shares:
        found[share] = detect(model, _split(image, share))
    return explorer_of(image, found, data.classes, start=start)


def explorer_of(image: Tensor, found: dict, classes: Sequence[str], *, start: int = 2):
    """The same of boxes that are known.

    Parameters
    ----------
    image : Tensor
        ``(3, H, W)``.
    found : dict
        By ``None`` the detections on the picture, by each share those on its LFC and its HFC.
    classes : sequence of str
    start : int
        Index of the share shown first.

    Returns
    -------
    ipywidgets.VBox
    """
    shares = [share for share in found if share is not None]
    whole = _counted(found[None].above(SURE), classes)
    frames, labels = [], []
    for share in shares:
        low, high = _split(image, share)
        told = [_counted(one.above(SURE), classes) for one in found[share]]
        captions = [f"original\n{whole}", f"LFC\n{told[0]}", f"HFC, around grey\n{told[1]}"]
        frames.append(
            boxed(
                [image, low, high],
                [found[None], *found[share]],
                captions,
                classes,
                roles=["original", "low", "high"],
            )
        )
        waves = share * min(image.shape[-2:]) / 2
        labels.append(f"{share:g}: {waves:.0f} waves")
    return display.slideshow(frames, labels, name="r of Nyquist", start=start)


def _split(image, share):
    """LFC and HFC of ``(3, H, W)``, the radius a share of the Nyquist frequency."""
    low = low_pass(image[None], share * min(image.shape[-2:]) / 2)[0]
    return [low, image - low]


def average_precision(result: Result, *, unit: str = "Nyquist") -> Picture:
    """MAP on originals and on components, over the radius.

    Parameters
    ----------
    result : Result
        Of the experiment ``detection``.
    unit : {"Nyquist", "waves"}
        What radii are counted in.

    Returns
    -------
    Picture
    """
    at = result.at(training="originals")
    original = at.at(copy="original", unit="none", radius=0).mAP
    lines = {}
    for copy in ("low", "high", "high + mean"):
        lines[copy] = at.at(copy=copy, unit=unit).mAP.curve()
    radii = lines["low"][0]
    whole = 100 * original.mean
    lines = {"original": (radii, [whole] * len(radii))} | lines
    told = "; ".join(
        f"{name} {values[1][0]:.0f} to {values[1][-1]:.0f}" for name, values in lines.items()
    )
    what = "share of the Nyquist frequency" if unit == "Nyquist" else "waves per image"
    return display.line_plot(
        lines,
        roles={"high + mean": "both"},
        xlabel=f"radius r ({what})",
        ylabel="mAP (%)",
        ylim=(0, None),
        alt=f"Average precision against the radius, from smallest to largest: {told} percent",
    )


def ap_by_size(result: Result, radius: float, *, unit: str = "Nyquist") -> Table:
    """AP by the size of objects, on originals and on components of one radius.

    Parameters
    ----------
    result : Result
    radius : float
    unit : str
        As in :func:`average_precision`.

    Returns
    -------
    Table
    """
    at = result.at(training="originals")
    rows = {"original": at.at(copy="original", unit="none", radius=0)}
    rows |= {
        {"low": "LFC", "high": "HFC", "high + mean": "HFC + mean"}[copy]: at.at(
            copy=copy, unit=unit, radius=radius
        )
        for copy in ("low", "high", "high + mean")
    }
    columns = [name for name in result.measured.columns if name == "mAP" or name.startswith("AP")]
    frame = pd.DataFrame(
        {name: {c: str(row[c]) for c in columns} for name, row in rows.items()}
    ).T.rename_axis("copy")
    return display.table(frame, f"AP in percent by the size of objects, r = {radius:g} of Nyquist")


def detected_better(result: Result) -> Table:
    """Objects and pictures that are detected better on a copy than on the original.

    Parameters
    ----------
    result : Result

    Returns
    -------
    Table
        First the changes that should not matter, then the LFC copies.
    """
    at = result.at(training="originals")
    rows = {f"{name}": at.at(copy=name, unit="none", radius=0) for name in _CONTROLS}
    low = at.at(copy="low", unit="Nyquist")
    rows |= {
        f"LFC, r = {share:g} of Nyquist": low.at(radius=share) for share in low.labels("radius")
    }
    names = {
        "better": "objects, higher score",
        "better, clearly": "objects, by 0.1",
        "images, better": "pictures with one, by 0.1",
    }
    frame = pd.DataFrame(
        {name: {said: str(row[c]) for c, said in names.items()} for name, row in rows.items()}
    ).T.rename_axis("copy")
    return display.table(frame, "Detected better than on the original, in percent")


def tuned_further(result: Result) -> Table:
    """MAP of detectors that learned further, from LFC copies or from originals.

    Parameters
    ----------
    result : Result

    Returns
    -------
    Table
    """
    rows = {}
    for training in result.measured.labels("training"):
        at = result.at(training=training)
        rows[training] = {"originals": str(at.at(copy="original", unit="none", radius=0).mAP)}
        low = at.at(copy="low", unit="Nyquist").mAP
        shares = [low.array["radius"].item()] if not low.keys else low.curve()[0]
        for share in _tuned(result):
            measured = share in shares
            value = low.at(radius=share) if low.keys and measured else low
            rows[training][f"LFC, r = {share:g}"] = str(value) if measured else "–"
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("learned further")
    return display.table(frame, "mAP in percent after further training")


def _tuned(result):
    """Shares of the Nyquist frequency that detectors learned further from."""
    titles = result.measured.labels("training")
    return [float(title.rpartition(", ")[2]) for title in titles if "LFC" in title]
