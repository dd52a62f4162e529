"""What chapter 2 shows of counts: four boxes over the radius, and the controls."""

from collections.abc import Mapping

import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.measured import Measured, Measurements
from hfc.study.results import Result
from hfc.study.verdict import claims

__all__ = [
    "blog",
    "boxes",
    "boxes_beside_blog",
    "boxes_table",
    "by_component",
    "by_strength",
    "controls_table",
    "only_high",
    "right_on",
]

BOXES = {
    "only_low": "only LFC right",
    "only_high": "only HFC right",
    "both": "both right",
    "neither": "neither right",
}
CONTROLS = {
    "only_high": "only HFC right",
    "only_high_and_original": "... and original right",
    "only_high_independent": "if independent",
    "only_low_and_original": "only LFC and original right",
}
_BOX_ROLES = dict(zip(BOXES.values(), ("low", "high", "both", "neither"), strict=True))
_RADIUS = "radius r (waves per image)"
_TICKS = (0, 4, 8, 12, 16)


def right_on(component: str, counts: Measurements) -> Measured:
    """Share of the images whose LFC or HFC copy is right, from the counts of the boxes.

    Parameters
    ----------
    component : {"low", "high"}
    counts : Measurements
        Of the experiment ``observation``.
    """
    return (counts[f"only_{component}"] + counts.both) / counts.n


def blog() -> Measurements:
    """The blog's counts of the four boxes, by radius, and their sum ``n``: one network."""
    entry = claims()["C02"]["blog"]
    rows = pd.DataFrame(entry["sweep"], columns=entry["columns"])
    n = rows[list(BOXES)].sum(axis=1)
    return Measurements.of(rows.assign(seed=0, n=n), ["radius"])


def boxes(counts: Measurements) -> Picture:
    """Share of the images in each of the four boxes, over the radius.

    Parameters
    ----------
    counts : Measurements
        Of the experiment ``observation``, for one kind of copies.
    """
    lines = _box_lines(counts)
    return display.line_plot(
        lines,
        roles=_BOX_ROLES,
        xlabel=_RADIUS,
        ylabel="share of test images (%)",
        xticks=_TICKS,
        ylim=(0, 100),
        alt=f"Share of test images in four boxes, against the radius. {_in_words(lines)}",
    )


def boxes_beside_blog(ours: Result) -> Picture:
    """The four boxes on CIFAR-10, over the radius: our networks and the blog's.

    Parameters
    ----------
    ours : Result
        Of the experiment ``observation``.
    """
    plots = {"ours": _box_lines(ours.at(copies="raw")), "the blog": _box_lines(blog())}
    said = " ".join(f"{name[0].upper()}{name[1:]}: {_in_words(x)}" for name, x in plots.items())
    return display.small_multiples(
        plots,
        roles=_BOX_ROLES,
        xlabel=_RADIUS,
        ylabel="share of test images (%)",
        xticks=_TICKS,
        ylim=(0, 100),
        alt=f"Share of CIFAR-10 test images in four boxes, against the radius. {said}",
    )


def only_high(ours: Result) -> Picture:
    """Share of CIFAR-10 images that are right on the HFC only: raw, mean added, the blog.

    Parameters
    ----------
    ours : Result
        Of the experiment ``observation``.
    """
    raw, mean_added = ours.at(copies="raw"), ours.at(copies="mean added")
    lines = {
        "ours, raw HFC": (raw.only_high / raw.n).curve(),
        "ours, mean added": (mean_added.only_high / mean_added.n).curve(),
        "the blog": (blog().only_high / blog().n).curve(),
    }
    return display.line_plot(
        lines,
        roles={"ours, raw HFC": "high", "ours, mean added": "both", "the blog": "original"},
        xlabel=_RADIUS,
        ylabel="only HFC right (% of images)",
        xticks=_TICKS,
        alt="Share of CIFAR-10 test images that are right on the HFC and wrong on the LFC, "
        f"against the radius. {_in_words(lines)}",
    )


def by_component(ours: Result) -> Picture:
    """Accuracy on LFC and HFC copies of CIFAR-10, over the radius, with a constant answer.

    Parameters
    ----------
    ours : Result
        Of the experiment ``observation``.
    """
    raw, mean_added = ours.at(copies="raw"), ours.at(copies="mean added")
    lines = {
        "LFC": right_on("low", raw).curve(),
        "HFC, raw": right_on("high", raw).curve(),
        "HFC, mean added": right_on("high", mean_added).curve(),
        "one constant class": (raw.high_constant / raw.n).curve(),
    }
    return display.line_plot(
        lines,
        roles={
            "LFC": "low",
            "HFC, raw": "high",
            "HFC, mean added": "both",
            "one constant class": "original",
        },
        xlabel=_RADIUS,
        ylabel="right (% of images)",
        xticks=_TICKS,
        ylim=(0, 100),
        alt=f"Accuracy on CIFAR-10 against the radius. {_in_words(lines)}",
    )


def by_strength(knob: Mapping[float, Result]) -> Picture:
    """Accuracy on HFC copies, mean added, over the radius, for settings of the knob.

    Parameters
    ----------
    knob : mapping of float to Result
        For up to three values of ``hfc_strength`` the result of ``observation``.
    """
    lines = {
        f"hfc_strength = {strength:g}": right_on("high", result.at(copies="mean added")).curve()
        for strength, result in knob.items()
    }
    return display.line_plot(
        lines,
        roles=dict(zip(lines, ("original", "both", "high"), strict=False)),
        xlabel=_RADIUS,
        ylabel="HFC copies right (%)",
        xticks=_TICKS,
        alt="Share of HFC copies that are right, against the radius, by the setting of the knob, "
        f"with 95 % intervals over seeds. {_in_words(lines)}",
    )


def _box_lines(counts):
    return {text: (counts[box] / counts.n).curve() for box, text in BOXES.items()}


def _in_words(lines):
    """What lines are at the first radius, at 8 and at the last, for an alt text."""
    said = []
    for name, (x, mean, *_) in lines.items():
        at = dict(zip(x, mean, strict=True))
        steps = [f"{at[r]:.0f} % at r = {r:g}" for r in (x[0], 8, x[-1])]
        said.append(f"{name}: {', '.join(steps)}")
    return "; ".join(said) + "."


# Tables -------------------------------------------------------------------------------------


def boxes_table(ours: Result) -> Table:
    """Counts in the four boxes by radius, ours beside the blog's.

    Parameters
    ----------
    ours : Result
        Of the experiment ``observation``.
    """
    raw, theirs = ours.at(copies="raw"), blog()
    rows = {}
    for r in raw.labels("radius"):
        one, other = raw.at(radius=r), theirs.at(radius=r)
        rows[f"{r:g}"] = {
            (text, who): number
            for box, text in BOXES.items()
            for who, number in (("ours", one[box].number(0)), ("blog", _count(other[box])))
        }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("r")
    return display.table(frame, "Images of 10,000 in each box, by radius")


def controls_table(result: Result) -> Table:
    """The box “only HFC right” by radius, and its controls, raw and with the mean added.

    Parameters
    ----------
    result : Result
        Of the experiment ``observation``.
    """
    rows = {
        (copies, f"{r:g}"): {
            text: result.at(copies=copies, radius=r)[name].number(0)
            for name, text in CONTROLS.items()
        }
        for copies in ("raw", "mean added")
        for r in result.measured.labels("radius")
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["copies", "r"])
    return display.table(frame, "Images by radius, with controls")


def _count(number):
    """The count of a single network, which has no interval."""
    return number.number(0).mean_text
