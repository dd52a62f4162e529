"""How a verdict came about, in one table: each step, its margin, our number, the outcome."""

import pandas as pd

from hfc import display
from hfc.study.criteria import Criterion, Step
from hfc.study.verdict import claims, margin, reference, verdict

__all__ = ["decisive", "shown", "table"]

_MARKS = {"met": "✓ met", "refuted": "✗ refuted", "open": "? open"}


def table(*names: str) -> display.Table:
    """The steps of some claims, by the book's reference results.

    Parameters
    ----------
    *names : str
        Ids of claims.

    Returns
    -------
    Table
        Where a step compares several numbers, the one that decides is shown
        (:func:`decisive`).

    Raises
    ------
    KeyError
        If there is no such claim.
    """
    rows = {}
    for name in names:
        found = reference(name)
        texts = {step["name"]: step for step in claims()[name].get("step", [])}
        heading = f"{name}: {verdict(name)}, {found.seeds} seeds" if found.seeds else name
        for step in found.steps:
            criterion = decisive(step)
            rows[heading, step.text] = {
                "margin": margin(texts[step.name]),
                "ours": "not measured yet" if criterion is None else shown(step, criterion),
                "outcome": _MARKS[step.outcome],
            }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(frame.index)
    return display.table(frame, f"How the verdicts on {display.listed(names)} came about")


def decisive(step: Step) -> Criterion | None:
    """The criterion on which a step hangs; None where nothing is estimated.

    Of several that must all be met it is the one that fares worst, of several of which one is
    enough the one that fares best.
    """
    if not step.judged:
        return None
    rank = {"refuted": 0, "open": 1, "met": 2}
    order = sorted(step.judged, key=lambda c: (rank[c.outcome], -c.p))
    return order[0] if step.needs == "all" else order[-1]


def shown(step: Step, criterion: Criterion) -> str:
    """Estimate and interval of a criterion, in the unit of its step: ``"12.0 [9.1, 14.9]"``."""
    low, high = criterion.interval
    value, low, high = (
        f"{step.factor * number:.1f}".replace("-", "−")
        for number in (criterion.estimate.value, low, high)
    )
    where = f" ({criterion.label})" if criterion.label else ""
    return f"{value} [{low}, {high}]{where}"
