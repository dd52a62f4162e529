"""Figure and tables of chapter 4: a planted wave."""

import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.heuristics.show import line, matched
from hfc.study.results import Result

__all__ = ["wave_at_the_same_accuracy", "wave_believed", "wave_table"]

_KINDS = ("vanilla", "dropout", "mixup", "GroupNorm", "BatchNorm", "adversarial")


def wave_believed(result: Result) -> Picture:
    """How often networks believe a planted wave against the picture, over its strength.

    Parameters
    ----------
    result : Result
        Of the experiment ``planted``.

    Returns
    -------
    Picture
        After the last epoch, and at the same accuracy (each strength has its own).
    """
    names, strengths = _KINDS[:-1], result.measured.labels("strength")
    there = {s: _wave_matched(result, s)[1].follows for s in strengths}
    last = result.last.follows
    strong = {name: there[0.9].at(heuristic=name).percent for name in names}
    return display.small_multiples(
        {
            f"epoch {max(result.measured.labels('epoch'))}": {
                name: last.at(heuristic=name).curve() for name in names
            },
            "at the same accuracy": {
                name: line(strengths, [there[s].at(heuristic=name) for s in strengths])
                for name in names
            },
        },
        roles=dict(zip(names, ("original", "neither", "both", "low", "high"), strict=True)),
        ylim=(0, 80),
        height=2.8,
        xticks=(0, 0.5, 1),
        xlabel="strength of the wave",
        ylabel="wave believed (%)",
        alt="How often networks believe the wave against the photograph, against the wave's "
        "strength in training. At the same accuracy and strength 0.9: "
        + ", ".join(f"{name} {share}" for name, share in strong.items())
        + ".",
    )


def wave_table(result: Result) -> Table:
    """How often the wave is believed, and test accuracy, after the last epoch.

    Parameters
    ----------
    result : Result
        Of the experiment ``planted``.

    Returns
    -------
    Table
        A row for each way to train, a column for each strength.
    """
    columns = {
        "follows the wave (%), strength": result.last.follows,
        "right on test images (%), strength": result.last.original,
    }
    frame = pd.DataFrame(
        {
            (text, f"{s:g}"): [measured.at(heuristic=kind, strength=s) for kind in _KINDS]
            for text, measured in columns.items()
            for s in result.measured.labels("strength")
        },
        index=pd.Index(_KINDS, name="last epoch"),
    )
    return display.table(frame, "How often six networks follow a planted wave, by its strength")


def wave_at_the_same_accuracy(result: Result) -> Table:
    """How often the wave is believed at the same accuracy on test photographs.

    Parameters
    ----------
    result : Result
        Of the experiment ``planted``.

    Returns
    -------
    Table
        A row for each way to train but the adversarial one, which never gets that far.
    """
    columns = {}
    for strength in result.measured.labels("strength"):
        level, there = _wave_matched(result, strength)
        title = f"strength {strength:g}, at {display.percent(level)}"
        columns[title] = [there.follows.at(heuristic=kind) for kind in _KINDS[:-1]]
    frame = pd.DataFrame(columns, index=pd.Index(_KINDS[:-1], name="follows the wave (%)"))
    return display.table(frame, "How often networks follow a planted wave, at the same accuracy")


def _wave_matched(result, strength):
    return matched(result.at(strength=strength).without(heuristic="adversarial"))
