"""Figures and tables of chapter 4: BatchNorm, by running statistics and by the test batch's."""

import ipywidgets
import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.heuristics.show import line, matched, paper_line
from hfc.study.measured import Measured, Measurements
from hfc.study.results import Result
from hfc.study.settings import RADII
from hfc.study.verdict import claims

__all__ = [
    "added",
    "added_by_recipe",
    "added_in_brief",
    "authors_network",
    "by_statistics",
    "raw_and_scaled",
    "statistics_by_epoch",
    "suspects",
    "trained_on_low",
    "trained_on_low_table",
]

_PLAIN = {"norm": "none", "statistics": "running", "company": "alone"}
_RUNNING = {"norm": "BatchNorm", "statistics": "running", "company": "alone"}
_BATCH = {"norm": "BatchNorm", "statistics": "batch", "company": "alone"}
_MIXED = {"norm": "BatchNorm", "statistics": "batch", "company": "mixed"}
_CELLS = {
    "no normalisation": _PLAIN,
    "GroupNorm": _PLAIN | {"norm": "GroupNorm"},
    "BatchNorm, running statistics": _RUNNING,
    "BatchNorm, batch statistics, mixed": _MIXED,
    "BatchNorm, batch statistics": _BATCH,
}
_LINES = {
    "BatchNorm, batch statistics": _BATCH,
    "BatchNorm, running statistics": _RUNNING,
    "no normalisation": _PLAIN,
}
_ROLES = {
    "the paper, BatchNorm": "original",
    "BatchNorm, batch statistics": "high",
    "BatchNorm, running statistics": "low",
    "no normalisation": "neither",
}
_AXES = {
    "xticks": RADII,
    "xlabel": "radius r (waves per image)",
    "ylabel": "HFC copies right (%)",
    "ylim": (0, 80),
}


def by_statistics(result: Result) -> Picture:
    """With and without BatchNorm: the paper's panels and ours, by three ways to test.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm-resnet32``.

    Returns
    -------
    Picture
        Accuracy on raw HFC copies against the radius, ours at the same accuracy.
    """
    there = matched(result.measured)[1].high
    ours = {
        "ours, by the test batch": _BATCH,
        "ours, by running averages": _RUNNING,
        "ours, half a batch ordinary": _MIXED,
    }
    plots = {
        "the paper": {
            "with BatchNorm": paper_line("BatchNorm"),
            "without": paper_line("vanilla"),
        }
    }
    for title, cell in ours.items():
        plots[title] = {
            "with BatchNorm": there.at(**cell).curve(),
            "without": there.at(**_PLAIN).curve(),
        }
    said = "; ".join(
        f"{title}: {lines['with BatchNorm'][1][0]:.0f} with, {lines['without'][1][0]:.0f} without"
        for title, lines in plots.items()
    )
    return display.small_multiples(
        plots,
        roles={"with BatchNorm": "high", "without": "neither"},
        alt="Accuracy on HFC copies of CIFAR-10 against the radius, with BatchNorm and without. "
        f"Percent right at r = 4: {said}. Tested by the batch's own statistics, the curve of the "
        "same network is that of the paper.",
        **_AXES,
    )


def statistics_by_epoch(result: Result) -> ipywidgets.Widget:
    """Accuracy on raw HFC copies by both statistics, an epoch at a time.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm-resnet32``.

    Returns
    -------
    Widget
        A slider over the measured epochs; see :func:`hfc.display.slideshow`.
    """
    epochs = result.measured.labels("epoch")
    frames = [_at_epoch(result.at(epoch=epoch)) for epoch in epochs]
    return display.slideshow(frames, epochs, name="epoch", start=0)


def _at_epoch(at):
    right = [at.at(**cell, radius=4).original.percent for cell in (_RUNNING, _PLAIN)]
    high = {text: at.at(**cell, radius=4).high.percent for text, cell in _LINES.items()}
    return display.line_plot(
        {"the paper, BatchNorm": paper_line("BatchNorm")}
        | {text: at.at(**cell).high.curve() for text, cell in _LINES.items()},
        roles=_ROLES,
        title=f"test images: {right[0]} with BatchNorm, {right[1]} without",
        alt="Accuracy on raw HFC copies against the radius. Right at r = 4: "
        + ", ".join(f"{text} {share}" for text, share in high.items())
        + ".",
        **_AXES,
    )


def raw_and_scaled(result: Result) -> Picture:
    """The small network's accuracy on HFC copies, raw and scaled like the authors'.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm``; normalised inputs and SGD are shown.

    Returns
    -------
    Picture
    """
    last = result.at(inputs="normalised", optimizer="SGD").last
    paper = {"the paper, BatchNorm": paper_line("BatchNorm")}
    plots = {
        title: paper | {text: last.at(**cell)[column].curve() for text, cell in _LINES.items()}
        for title, column in (("raw HFC copies", "high"), ("scaled by the maximum", "high, scaled"))
    }
    said = ", ".join(f"{text} {lines[1][0]:.0f}" for text, lines in plots["raw HFC copies"].items())
    return display.small_multiples(
        plots,
        roles=_ROLES,
        height=3.2,
        alt="Accuracy on HFC copies of CIFAR-10 against the radius, raw on the left, scaled by "
        f"their maximum on the right. Percent right of raw copies at r = 4: {said}.",
        **_AXES,
    )


def suspects(result: Result) -> Table:
    """Accuracy on copies by normalisation, statistics and company, at the same accuracy.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm``; normalised inputs and SGD are shown.

    Returns
    -------
    Table
    """
    level, there = matched(result.at(inputs="normalised", optimizer="SGD"))
    copies = {
        "HFC": "high",
        "HFC + mean": "high + mean",
        "HFC, scaled": "high, scaled",
        "LFC": "low",
    }
    frame = pd.DataFrame(
        {
            (text, f"r = {r}"): [there.at(**cell, radius=r)[column] for cell in _CELLS.values()]
            for text, column in copies.items()
            for r in (4, 8)
        },
        index=pd.Index(_CELLS, name=f"at {display.percent(level)}"),
    )
    return display.table(frame, "Accuracy on copies by ways to normalise, at the same accuracy")


def added(measurements: Measurements, statistics: str, copies: str) -> Measured:
    """What BatchNorm adds, in a comparison at the same accuracy, seed by seed.

    Parameters
    ----------
    measurements : Measurements
        With and without BatchNorm, ``epoch`` open. Without BatchNorm networks are tested by
        running statistics.
    statistics : {"running", "batch"}
        How the network with BatchNorm is tested, on batches of copies only.
    copies : str
        What was measured: "high", "high + mean" or "low".

    Returns
    -------
    Measured
        Accuracy with BatchNorm minus accuracy without, by radius.
    """
    there = matched(measurements)[1]
    tested = there.at(norm="BatchNorm", statistics=statistics, company="alone")
    return tested[copies] - there.at(**_PLAIN)[copies]


def added_by_recipe(result: Result) -> Table:
    """What BatchNorm adds at the same accuracy, by input, optimiser and way to test, in points.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm``.

    Returns
    -------
    Table
        Its frame holds a :class:`~hfc.study.measured.Measured` in every cell: rows by
        ``statistics``, ``inputs`` and ``optimiser``, columns by ``copies`` and ``r``.
    """
    rows = {}
    for statistics in ("running", "batch"):
        for inputs in ("raw", "normalised"):
            for optimizer in ("SGD", "Adam"):
                recipe = result.at(inputs=inputs, optimizer=optimizer).without(norm="GroupNorm")
                gains = {
                    text: added(recipe, statistics, column)
                    for text, column in (
                        ("HFC", "high"),
                        ("HFC + mean", "high + mean"),
                        ("LFC", "low"),
                    )
                }
                rows[statistics, inputs, optimizer] = {
                    (text, r): gain.at(radius=r) for text, gain in gains.items() for r in (4, 8)
                }
    frame = pd.DataFrame(rows).T
    frame.index.names = ("statistics", "inputs", "optimiser")
    frame.columns.names = ("copies", "r")
    return display.table(frame, "What BatchNorm adds on copies at the same accuracy, in points")


def added_in_brief(result: Result) -> Table:
    """The range of what BatchNorm adds over all recipes, and how often it is clear.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm``.

    Returns
    -------
    Table
        A row for each way to test, a column for each kind of copies. Eight cells of
        :func:`added_by_recipe` make one: two inputs, two optimisers, two radii.
    """
    cells = added_by_recipe(result).frame
    rows = {
        f"{statistics} statistics": {
            copies: _range(cells.xs(statistics)[copies].to_numpy().ravel())
            for copies in ("HFC", "HFC + mean", "LFC")
        }
        for statistics in ("running", "batch")
    }
    label = "What BatchNorm adds over all recipes, in points, and in how many cells it is clear"
    return display.table(pd.DataFrame(rows).T, label)


def _range(gains):
    means = [100 * gain.mean for gain in gains]
    clear = sum(gain.clearly_above() or gain.clearly_below() for gain in gains)
    span = f"{min(means):+.0f} to {max(means):+.0f}".replace("-", "−")
    return f"{span}, clear in {clear} of {len(means)}"


def authors_network(result: Result) -> Table:
    """Accuracy of the authors' network on copies, at the same accuracy, beside the paper's.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm-resnet32``.

    Returns
    -------
    Table
    """
    level, there = matched(result.measured)
    columns = [("HFC", "high", r) for r in RADII]
    columns += [("HFC + mean", "high + mean", r) for r in (4, 8)]
    columns += [("LFC", "low", r) for r in (4, 8)]
    rows = {
        text: {(copies, r): there.at(**cell, radius=r)[column] for copies, column, r in columns}
        for text, cell in _CELLS.items()
        if text != "GroupNorm"
    }
    for text, claim in (("paper, vanilla", "C08"), ("paper, BatchNorm", "C11a")):
        paper = claims()[claim]["paper"]
        rows[text] = {
            (copies, r): f"{100 * paper[column][RADII.index(r)]:.0f}" if column in paper else ""
            for copies, column, r in columns
        }
    frame = pd.DataFrame(rows).T.rename_axis(f"at {display.percent(level)}")
    return display.table(frame, "The authors' network on copies, at the same accuracy")


# Trained on LFC copies ----------------------------------------------------------------------

_TRAINED_ON = ("4", "8", "12", "16", "all")


def _low_cell(result, trained_on, norm, column):
    """Accuracy of a network trained on LFC copies of a radius, tested on images or such copies."""
    radius = 16 if trained_on == "all" else int(trained_on)
    return result.at(norm=norm, train_radius=trained_on, images="test", radius=radius)[column]


def _low_gain(result, trained_on, column):
    with_it, without = (_low_cell(result, trained_on, n, column) for n in ("BatchNorm", "none"))
    return with_it - without


def trained_on_low(result: Result) -> Picture:
    """What BatchNorm adds to the accuracy of networks trained on LFC copies.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm-lfc``.

    Returns
    -------
    Picture
        Points on full test images and on LFC copies, against the radius of training.
    """
    lines = {
        text: line(RADII, [_low_gain(result, str(r), column) for r in RADII])
        for text, column in (("full test images", "original"), ("LFC copies", "low"))
    }
    first, last = (lines["full test images"][1][k] for k in (0, -1))
    return display.line_plot(
        lines,
        roles={"full test images": "original", "LFC copies": "low"},
        height=3,
        xticks=RADII,
        ylim=(-2, 12),
        yticks=(0, 5, 10),
        xlabel="trained on LFC of radius r",
        ylabel="gain (points)",
        alt="What BatchNorm adds to test accuracy, against the radius of the LFC copies trained "
        f"on: on full test images {first:.0f} points at r = 4 and {last:.0f} at r = 16.",
    )


def trained_on_low_table(result: Result) -> Table:
    """Accuracy of networks trained on LFC copies, with and without BatchNorm.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm-lfc``.

    Returns
    -------
    Table
        A row for each radius of training.
    """
    columns = {}
    for text, column in (("full test images", "original"), ("LFC test copies", "low")):
        for norm in ("none", "BatchNorm"):
            columns[text, norm] = [_low_cell(result, r, norm, column) for r in _TRAINED_ON]
        columns[text, "gain"] = [_low_gain(result, r, column) for r in _TRAINED_ON]
    frame = pd.DataFrame(columns, index=pd.Index(_TRAINED_ON, name="trained on LFC, r"))
    return display.table(frame, "Accuracy after training on LFC copies, with and without BatchNorm")
