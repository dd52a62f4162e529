"""Numbers as the chapters' sentences, tables and curves give them.

>>> from hfc.prose import percent, over_seeds
>>> percent(0.554)
'55 %'
>>> over_seeds([0.54, 0.55, 0.56])
'55 ± 2'
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import pandas as pd

from hfc import verdicts
from hfc.results import Result, mean_interval

__all__ = [
    "curve",
    "flagged",
    "flags",
    "over_seeds",
    "part",
    "percent",
    "pm",
    "say",
    "verdict",
]


def say(**texts: str) -> None:
    """Keep texts under names, for ``{glue:text}`` in the sentences of a notebook."""
    from myst_nb import glue  # comes with the book, not with the package

    for name, text in texts.items():
        glue(name, text, display=False)


def percent(share: float) -> str:
    """A share in [0, 1] in whole percent."""
    return f"{100 * share:.0f} %"


def over_seeds(values: Iterable[float]) -> str:
    """Mean and half of the 95 % interval in percent, from one share in [0, 1] per seed."""
    mean, low, high = mean_interval([100 * value for value in values])
    return f"{mean:.0f} ± {(high - low) / 2:.0f}"


def flagged(rows: pd.DataFrame) -> str:
    """The same for accuracy under attack, with a ``⚑`` if a seed's number is flagged.

    Parameters
    ----------
    rows : DataFrame
        One row per seed, with ``accuracy`` in [0, 1] and ``flags``, as
        :func:`hfc.attacks.robust_accuracy` gives them.
    """
    return over_seeds(rows["accuracy"]) + (" ⚑" if rows["flags"].any() else "")


def flags(texts: Iterable[str]) -> str:
    """What the flags of a figure's or a table's numbers say, with how many carry each.

    Parameters
    ----------
    texts : iterable of str
        One per number: its flags, joined by "; ", or empty. Percentages in them are left out.

    Returns
    -------
    str
        A sentence.
    """
    rows = list(texts)
    if not any(rows):
        return f"No flag in {len(rows)} numbers."
    single = [flag for row in rows if row for flag in row.split("; ")]
    found = Counter(re.sub(r"\d+ %", "… %", flag) for flag in single)
    said = ", ".join(f"“{text}” ({count})" for text, count in sorted(found.items()))
    return f"Flags in {sum(map(bool, rows))} of {len(rows)} numbers: {said}."


def pm(row: pd.Series, digits: int = 0) -> str:
    """The same from ``mean``, ``low`` and ``high``, as they are."""
    return f"{row['mean']:.{digits}f} ± {(row['high'] - row['low']) / 2:.{digits}f}"


def part(result: Result, column: str, **where) -> pd.DataFrame:
    """``mean``, ``low`` and ``high`` over seeds, in percent, where keys have given values.

    Parameters
    ----------
    result : Result
    column : str
        A measured share in [0, 1].
    **where
        Values of keys of the result; the other keys stay in the index.

    Returns
    -------
    DataFrame
    """
    return 100 * result.summary.xs(tuple(where.values()), level=tuple(where))[column]


def curve(result: Result, column: str, **where) -> tuple:
    """The same as a line with a band, for :mod:`hfc.figures`: x, mean, low, high."""
    table = part(result, column, **where)
    return table.index, table["mean"], table["low"], table["high"]


def verdict(claim: str) -> str:
    """The scoreboard's verdict on a claim, in words for a sentence.

    Raises
    ------
    KeyError
        If there is no such claim.
    """
    found = _board()[claim]
    return {"partly": "partly reproduced", "not": "not reproduced"}.get(found, found)


@lru_cache(maxsize=1)
def _board():
    return verdicts.scoreboard()["verdict"]
