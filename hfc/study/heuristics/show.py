"""Figures and tables of chapter 4: five ways to train."""

from collections.abc import Iterable

import pandas as pd
from torch import Tensor

from hfc import display
from hfc.display import Picture, Said, Table
from hfc.frequency import split
from hfc.study.measured import Measured, Measurements
from hfc.study.results import Result
from hfc.study.settings import RADII
from hfc.study.verdict import claims

__all__ = [
    "against_paper",
    "at_the_same_accuracy",
    "changes",
    "copies_by_epoch",
    "high_by_radius",
    "what_is_left",
    "what_paper_read",
]

_CLAIMS = {
    "vanilla": "C08",
    "dropout": "C09",
    "mixup": "C10",
    "BatchNorm": "C11a",
    "adversarial": "C12",
}
_STANDARD = ("vanilla", "dropout", "mixup", "BatchNorm")  # adversarial training never gets as far
_LINES = {
    "test images": ("original", 8),
    "LFC, r = 8": ("low", 8),
    "LFC, r = 4": ("low", 4),
    "HFC + mean, r = 8": ("high + mean", 8),
    "HFC + mean, r = 4": ("high + mean", 4),
}


def what_paper_read(heuristic: str, copies: str, radius: float) -> float:
    """Accuracy on copies in figure 5 of Wang et al. 2020, read off by eye, in [0, 1].

    Parameters
    ----------
    heuristic : str
        "vanilla", "dropout", "mixup", "BatchNorm" or "adversarial".
    copies : {"low", "high"}
    radius : float
        4, 8, 12 or 16.
    """
    paper = claims()[_CLAIMS[heuristic]]["paper"]
    return paper[copies][paper["radii"].index(radius)]


def paper_line(heuristic: str) -> tuple:
    """The paper's accuracy on HFC copies over the radius, in percent, to be drawn."""
    return RADII, [100 * what_paper_read(heuristic, "high", radius) for radius in RADII]


def percents(measured: Measured) -> tuple[float, float, float]:
    """Mean and ends of the interval, in percent, to be drawn."""
    return 100 * measured.mean, 100 * measured.low, 100 * measured.high


def line(x: Iterable, measured: Iterable[Measured]) -> tuple:
    """A line with a band through numbers that stand at different places."""
    return list(x), *map(list, zip(*map(percents, measured), strict=True))


def changes(result: Result, heuristics: Iterable[str], radius: float = 4) -> Said:
    """What tricks do to accuracy on raw HFC copies at the same accuracy, in a sentence.

    Parameters
    ----------
    result : Result
        Of the experiment ``heuristics``.
    heuristics : iterable of str
    radius : float

    Returns
    -------
    Said
        Such as "dropout adds −5 ± 10 and mixup adds 2 ± 3 points": differences to the plain
        network, paired by seed.
    """
    test = result.at(images="test").without(heuristic="adversarial")
    high = matched(test)[1].at(radius=radius).high
    plain = high.at(heuristic="vanilla")
    told = [f"{name} adds {high.at(heuristic=name) - plain}" for name in heuristics]
    return Said(f"{display.listed(told)} points")


def what_is_left(photograph: Tensor) -> Picture:
    """A photograph and its HFC copies, with the share that the paper's networks get right.

    Parameters
    ----------
    photograph : Tensor
        ``(3, 32, 32)`` in [0, 1].

    Returns
    -------
    Picture
    """
    shares = {
        r: [display.percent(what_paper_read(name, "high", r)) for name in ("vanilla", "BatchNorm")]
        for r in RADII
    }
    return display.panels(
        [photograph, *(split(photograph, r)[1] for r in RADII)],
        ["a photograph", *(f"r = {r}\n{b} with,\n{p} without" for r, (p, b) in shares.items())],
        alts=[
            "A small photograph",
            *(
                f"Its high frequencies, r = {r}: in the paper a plain network gets {p} of such "
                f"copies right, one with BatchNorm {b}"
                for r, (p, b) in shares.items()
            ),
        ],
        roles=["original", *["high"] * len(RADII)],
        width=110,
    )


# Five ways to train -------------------------------------------------------------------------


def copies_by_epoch(result: Result, *, top: int = 80) -> Picture:
    """Accuracy on test images and their copies after each epoch, a plot for each way to train.

    Parameters
    ----------
    result : Result
        Of the experiment ``heuristics``.
    top : int
        Where the axis of accuracy ends, in percent.

    Returns
    -------
    Picture
        In the layout of figure 5 of Wang et al. 2020.
    """
    test = result.at(images="test")
    names = test.labels("heuristic")
    plots = {
        name: {
            text: test.at(heuristic=name, radius=radius)[column].curve()
            for text, (column, radius) in _LINES.items()
        }
        for name in names
    }
    last = test.at(radius=8).last
    ends = ", ".join(
        f"{name} {at.original.percent} of test images, {at.low.percent} of LFC copies and "
        f"{at.high_mean.percent} of HFC copies with the mean"
        for name, at in ((name, last.at(heuristic=name)) for name in names)
    )
    return display.small_multiples(
        plots,
        roles=dict(zip(_LINES, ("original", "low", "neither", "high", "both"), strict=True)),
        ylim=(0, top),
        xticks=[epoch for epoch in test.labels("epoch") if epoch % 2 == 0],
        xlabel="epoch",
        ylabel="right (%)",
        alt="Accuracy on test images and on their LFC and HFC copies against the epoch, one plot "
        f"for each of five ways to train. In the end, at r = 8, these get right: {ends}.",
    )


def against_paper(result: Result) -> Table:
    """Accuracy on test images, LFC and raw HFC copies, the paper's beside ours.

    Parameters
    ----------
    result : Result
        Of the experiment ``heuristics``.

    Returns
    -------
    Table
        A row for each way to train. The paper's numbers are read off its figure 5.
    """
    last = result.at(images="test").last
    rows = {}
    for name, claim in _CLAIMS.items():
        at = last.at(heuristic=name)
        paper = display.percent(claims()[claim]["paper"]["original"])
        rows[name] = {
            ("test images", "paper"): paper,
            ("test images", "ours"): at.at(radius=4).original,
        }
        for column, text in (("low", "LFC"), ("high", "HFC")):
            for r in (4, 8):
                paper = display.percent(what_paper_read(name, column, r))
                rows[name][f"{text}, r = {r}", "paper"] = paper
                rows[name][f"{text}, r = {r}", "ours"] = at.at(radius=r)[column]
    label = "Accuracy of five ways to train on copies, the paper's numbers beside ours"
    return display.table(pd.DataFrame(rows).T, label)


def at_the_same_accuracy(result: Result) -> Table:
    """Accuracy on copies when networks are right on equally many test images.

    Parameters
    ----------
    result : Result
        Of the experiment ``heuristics``.

    Returns
    -------
    Table
        A row for each way to train but the adversarial one, which never gets that far.
    """
    level, there = matched(result.at(images="test").without(heuristic="adversarial"))
    rows = {
        name: {text: there.at(heuristic=name, radius=r)[c] for text, (c, r) in _LINES.items()}
        | {"HFC, r = 8": there.at(heuristic=name, radius=8).high}
        | {"HFC, r = 4": there.at(heuristic=name, radius=4).high}
        for name in _STANDARD
    }
    frame = pd.DataFrame(rows).T.rename_axis(f"at {display.percent(level)}")
    return display.table(frame, "Accuracy of four ways to train on copies, at the same accuracy")


def matched(measurements: Measurements) -> tuple[float, Measurements]:
    """The accuracy that all networks reached, and what was measured when each was there."""
    level = measurements.common_accuracy()
    return level, measurements.at_accuracy(level)


def high_by_radius(result: Result) -> Picture:
    """The order of figure 5, in the paper and in ours, before and after matching.

    Parameters
    ----------
    result : Result
        Of the experiment ``heuristics``.

    Returns
    -------
    Picture
        Accuracy on HFC copies against the radius: in the paper, and ours after the last epoch,
        at the same accuracy, and there with the mean added.
    """
    test = result.at(images="test").without(heuristic="adversarial")
    level, there = matched(test)
    plots = {
        "the paper": {name: paper_line(name) for name in _STANDARD},
        f"ours, epoch {max(test.labels('epoch'))}": _by_heuristic(test.last.high),
        f"ours, at {display.percent(level)}": _by_heuristic(there.high),
        f"at {display.percent(level)}, mean added": _by_heuristic(there.high_mean),
    }
    at4 = {title: {name: lines[name][1][0] for name in lines} for title, lines in plots.items()}
    said = "; ".join(
        f"{title}: " + ", ".join(f"{name} {value:.0f}" for name, value in values.items())
        for title, values in at4.items()
    )
    return display.small_multiples(
        plots,
        roles=dict(zip(_STANDARD, ("original", "neither", "both", "high"), strict=True)),
        ylim=(0, 80),
        xticks=RADII,
        xlabel="radius r (waves per image)",
        ylabel="HFC copies right (%)",
        alt="Accuracy on HFC copies against the radius for four ways to train. Percent right at "
        f"r = 4: {said}. The order is steep in the paper only.",
    )


def _by_heuristic(measured):
    return {name: measured.at(heuristic=name).curve() for name in _STANDARD}
