"""Figures and tables of chapter 6 about what is unfamiliar: other images, and attacked ones."""

import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.results import Result

__all__ = ["by_score", "caught", "confidence", "separated_on_copies", "what_differs"]

_SETS = {
    "cifar100": "CIFAR-100",
    "gtsrb": "traffic signs",
    "textures": "textures",
    "scenes": "scenes",
    "crops": "crops of scenes",
}
_COPIES = {"original": "originals", "low": "LFC", "high + mean": "HFC + mean"}


def by_score(result: Result) -> Table:
    """AUROC and FPR95 of every score on originals, for each unfamiliar set.

    Parameters
    ----------
    result : Result
        Of the experiment ``unfamiliar``.

    Returns
    -------
    Table
    """
    original = result.at(copy="original", radius=0)
    rows = {}
    for training in _labels(result, "training"):
        own = original if training is None else original.at(training=training)
        for score in result.measured.labels("score"):
            row = {}
            for name in result.measured.labels("outside"):
                at = own.at(score=score, outside=name)
                row[_SETS[name], "AUROC"] = str(at.AUROC)
                row[_SETS[name], "FPR95"] = str(at.FPR95)
            rows[score if training is None else (training, score)] = row
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    if isinstance(next(iter(rows)), tuple):
        frame.index = pd.MultiIndex.from_tuples(frame.index)
    return display.table(frame, "How well each score tells unfamiliar images apart, in percent")


def _labels(result, key):
    """Labels of a key, or None alone where it is closed."""
    return result.measured.labels(key) if key in result.measured.keys else [None]


def separated_on_copies(result: Result, score: str = "max logit") -> Picture:
    """AUROC of a score on LFC and HFC copies over the radius, a plot for each unfamiliar set.

    Parameters
    ----------
    result : Result
    score : str

    Returns
    -------
    Picture
    """
    at = result.at(score=score)
    if "training" in at.keys:
        at = at.at(training="natural")
    plots, told = {}, []
    for name in at.labels("outside"):
        one = at.at(outside=name)
        low, high = (one.at(copy=copy).AUROC.curve() for copy in ("low", "high + mean"))
        whole = one.at(copy="original", radius=0).AUROC
        plots[_SETS[name]] = {
            "originals": (low[0], [100 * whole.mean] * len(low[0])),
            "LFC": low,
            "HFC + mean": high,
        }
        told.append(
            f"{_SETS[name]}: originals {whole.percent}, LFC {low[1][0]:.0f} to {low[1][-1]:.0f}"
        )
    return display.small_multiples(
        plots,
        roles={"originals": "original", "LFC": "low", "HFC + mean": "both"},
        xlabel="radius r (waves per image)",
        ylabel="AUROC (%)",
        alt=f"AUROC of {score} against the radius; {'; '.join(told)}",
        ylim=(30, 100),
    )


def confidence(result: Result) -> Table:
    """Accuracy, mean confidence and calibration error on originals and on copies.

    Parameters
    ----------
    result : Result
        Of the experiment ``calibration``.

    Returns
    -------
    Table
    """
    rows = {}
    for training in _labels(result, "training"):
        at = result.measured if training is None else result.at(training=training)
        for copy in at.labels("copy"):
            there = at.at(copy=copy)
            for radius in [0] if copy == "original" else there.labels("radius"):
                where = _COPIES[copy] + (f", r = {radius:g}" if radius else "")
                one = there.at(radius=radius)
                rows.setdefault(where, {}).update(
                    {
                        (training or "live", said): str(one[column])
                        for column, said in (
                            ("accuracy", "right"),
                            ("confidence", "sure"),
                            ("ECE", "ECE"),
                        )
                    }
                )
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("copies")
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return display.table(frame, "Accuracy, confidence and calibration error, in percent")


def caught(result: Result) -> Table:
    """What detectors find of attacked images, by attack and epsilon.

    Parameters
    ----------
    result : Result
        Of the experiment ``attacked``.

    Returns
    -------
    Table
        Rows without an attack that fooled the network are left out.
    """
    at = result.at(training="natural") if "training" in result.measured.keys else result.measured
    rows = {}
    for epsilon in _labels(result, "epsilon"):
        one = at if epsilon is None else at.at(epsilon=epsilon)
        size = "4/255" if epsilon is None else f"{round(255 * epsilon)}/255"
        for detector in one.labels("detector"):
            mine = one.at(detector=detector)
            for radius in mine.labels("radius") if "radius" in mine.keys else [0]:
                for attack in ("PGD", "adaptive"):
                    there = mine.at(attack=attack)
                    if "radius" in there.keys:
                        there = there.at(radius=radius)
                    name = f"{detector}, r = {radius:g}" if radius else detector
                    rows[size, name, attack] = {
                        "fooled": str(there.fooled),
                        "found": str(there.caught),
                        "false alarms": str(there["false alarms"]),
                        "AUROC": str(there.AUROC),
                    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(frame.index)
    return display.table(frame, "What two detectors find of attacked images, in percent")


def what_differs(result: Result, radius: float) -> Picture:
    """Share of answers that differ on the LFC: clean images, PGD, the adaptive attack.

    Parameters
    ----------
    result : Result
    radius : float

    Returns
    -------
    Picture
    """
    at = result.at(training="natural", detector="disagreement", radius=radius)
    epsilons = at.labels("epsilon")
    sizes = [255 * epsilon for epsilon in epsilons]
    lines = {}
    for said, attack, column in (
        ("clean images", "PGD", "false alarms"),
        ("PGD", "PGD", "caught"),
        ("adaptive attack", "adaptive", "caught"),
    ):
        values = [at.at(attack=attack, epsilon=e)[column] for e in epsilons]
        lines[said] = (
            sizes,
            *([100 * getattr(v, end) for v in values] for end in ("mean", "low", "high")),
        )
    told = "; ".join(f"{name} {v[1][0]:.0f} to {v[1][-1]:.0f}" for name, v in lines.items())
    return display.line_plot(
        lines,
        roles={"clean images": "original", "PGD": "high", "adaptive attack": "both"},
        xlabel="epsilon (in 1/255)",
        ylabel="two answers (%)",
        ylim=(0, 100),
        alt=f"Images with two answers against epsilon: {told} percent",
    )
