"""One row for every network of the book: what it reads, and how well it does."""

from collections.abc import Iterable

import pandas as pd

from hfc.study.results import Result

__all__ = ["networks"]

_RADII = (4, 8)
_COPIES = ("low", "high + mean")
_CHANCE = 0.1
_NO_NETWORK = ("seed", "images", "radius", "epoch", "statistics", "company", "flags")


def networks(results: Iterable[Result]) -> pd.DataFrame:
    """What networks that saw whole images with true labels read and reach.

    Parameters
    ----------
    results : iterable of Result
        Of experiments that measured accuracy on originals and on copies. After the last epoch;
        by running statistics, on test images.

    Returns
    -------
    DataFrame
        Means over seeds, a row for each condition, indexed by ``experiment`` and ``network``.
        ``accuracy`` on test images, in [0, 1]; the share of it that is kept on copies, as in
        ``"low, r = 8"``, both without the 10 % that guessing brings; and ``robust``, accuracy
        under PGD at 4/255, or NaN where it was not measured.
    """
    rows = {}
    for result in results:
        table = _tested(result.table, result.keys)
        labels = [key for key in result.keys if key not in _NO_NETWORK]
        for label, part in table.groupby(labels, sort=False):
            name = ", ".join(map(str, label))
            if "LFC only" in name:
                continue
            rows[result.experiment, name] = _row(part)
    index = pd.MultiIndex.from_tuples(rows, names=["experiment", "network"])
    return pd.DataFrame(list(rows.values()), index=index)


def _tested(table, keys):
    """The rows that tell of test images, after the last epoch, each image by itself."""
    alone = {"images": "test", "statistics": "running", "company": "alone"}
    for key, value in alone.items():
        if key in keys:
            table = table[table[key] == value]
    if "epoch" in keys:
        table = table[table["epoch"] == table["epoch"].max()]
    return table


def _row(part):
    row = {"accuracy": part["original"].mean()}
    for radius in _RADII:
        at = part[part["radius"] == radius]
        for copies in _COPIES:
            row[f"{copies}, r = {radius}"] = (
                (at[copies] - _CHANCE) / (at["original"] - _CHANCE)
            ).mean()
    robust = part.get("robust at 4/255")
    return row | {"robust": float("nan") if robust is None else robust.mean()}
