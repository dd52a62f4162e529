"""Verdicts on the papers' claims, computed from stored results.

What a claim says, and the rule by which it is judged, stand in ``claims.toml``; the rules are
carried out in the chapters' rooms. "Clearly" means that the whole 95 % interval over seeds lies
on one side.
"""

import tomllib
from functools import lru_cache
from pathlib import Path

from hfc.display.text import Said
from hfc.study import catalogue
from hfc.study.results import load

__all__ = ["claims", "graded", "judge", "verdict"]

CLAIMS = Path(__file__).resolve().parent / "claims.toml"


@lru_cache(maxsize=1)
def claims() -> dict[str, dict]:
    """The entries of ``claims.toml`` by id: what the papers and the blog say, and the rules."""
    return {entry["id"]: entry for entry in tomllib.loads(CLAIMS.read_text())["claim"]}


def graded(*steps: bool) -> str:
    """``"reproduced"`` if all steps hold, ``"partly"`` if one does, else ``"not"``."""
    return "reproduced" if all(steps) else "partly" if any(steps) else "not"


def judge(name: str, *, scale: str = "cpu", dataset: str = "cifar10") -> str:
    """The verdict on a claim.

    Parameters
    ----------
    name : str
        Id of the claim.
    scale, dataset : str
        Which results to judge by.

    Returns
    -------
    str
        ``"reproduced"``, ``"partly"``, ``"not"``, ``"adopted"`` (a proposal) or ``"not tested"``
        (no result yet, or only one seed).

    Raises
    ------
    KeyError
        If there is no such claim.
    ValueError
        If its rule asks for what was not measured, or for an accuracy that no network reached.
    """
    claim = claims()[name]
    needed = [claim[key] for key in ("experiment", "also") if key in claim]
    try:
        found = [load(experiment, scale=scale, dataset=dataset) for experiment in needed]
    except FileNotFoundError:
        return "not tested"
    if not all(unit.records for result in found for unit in result.units):
        return "not tested"
    if any(len(result.seeds) < 2 for result in found):  # no interval, no verdict
        return "not tested"
    try:
        return catalogue.rules()[name](claim, *found)
    except ValueError as error:
        raise ValueError(f"{name} cannot be judged: {error}") from error


@lru_cache
def verdict(name: str) -> Said:
    """The verdict on a claim by the book's reference results, in words for a sentence.

    Raises
    ------
    KeyError
        If there is no such claim.
    """
    found = judge(name)
    return Said({"partly": "partly reproduced", "not": "not reproduced"}.get(found, found))
