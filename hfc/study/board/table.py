"""All claims and verdicts in one table."""

import pandas as pd

from hfc.study.verdict import claims, judge

__all__ = ["scoreboard"]


def scoreboard(*, scale: str = "cpu", dataset: str | None = None) -> pd.DataFrame:
    """A verdict on every claim.

    Parameters
    ----------
    scale, dataset
        As in :func:`hfc.study.verdict.judge`.

    Returns
    -------
    DataFrame
        Indexed by claim: ``statement``, ``source``, ``verdict`` and ``seeds``
        (:func:`hfc.study.verdict.judge`).
    """
    rows = {}
    for name, claim in claims().items():
        found = judge(name, scale=scale, dataset=dataset)
        rows[name] = {key: claim[key] for key in ("statement", "source")}
        rows[name] |= {"verdict": found.verdict, "seeds": found.seeds}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")
