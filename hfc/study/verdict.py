"""Verdicts on the papers' claims, computed from stored results.

What a claim says, and the steps by which it is judged, stand in ``claims.toml``, margins as
numbers; the chapters' rooms take the estimates from the results. How an estimate and a margin
make an outcome is the matter of :mod:`hfc.study.criteria`.
"""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hfc.display.text import Said
from hfc.study import catalogue
from hfc.study.criteria import Criterion, Estimate, Step, verdict_of
from hfc.study.measured import Measured
from hfc.study.results import load

__all__ = ["Judged", "claims", "judge", "judged", "margin", "reference", "rule", "verdict"]

CLAIMS = Path(__file__).resolve().parent / "claims.toml"
_SIDES = ("above", "below", "within")
_WORDS = {"partly": "partly reproduced"}


@dataclass(frozen=True)
class Judged:
    """A claim, its verdict, and the steps that led to it.

    Attributes
    ----------
    claim : str
        Id.
    verdict : str
        ``"reproduced"``, ``"partly"``, ``"contradicted"``, ``"open"``, ``"adopted"`` (a proposal)
        or ``"not tested"`` (no result yet, or only one seed).
    steps : tuple of Step
        None where nothing was tested.
    seeds : int
        Of the results; the fewest that a step rests on.
    """

    claim: str
    verdict: str
    steps: tuple[Step, ...] = ()
    seeds: int = 0


@lru_cache(maxsize=1)
def claims() -> dict[str, dict]:
    """The entries of ``claims.toml`` by id: what the papers and the blog say, and the rules."""
    return {entry["id"]: entry for entry in tomllib.loads(CLAIMS.read_text())["claim"]}


def rule(name: str) -> list[str]:
    """The steps of a claim as sentences, each with its margin as it is in ``claims.toml``."""
    return [f"{step['text']}: {margin(step)}." for step in claims()[name].get("step", [])]


def margin(step: dict) -> str:
    """The margin of a step of ``claims.toml`` in words, such as ``"above 10 points"``."""
    side = next((side for side in _SIDES if side in step), None)
    if side is None:
        return "checked"
    unit = step.get("unit", "points")
    number = f"{step[side]:g}" + (f" {unit}" if unit else "")
    if side == "within":
        number = f"±{number}"
    several = {"any": ", at one place at least (Holm)", "all": ""}[step.get("needs", "all")]
    return f"{side} {number}{several}"


def judge(name: str, *, scale: str = "cpu", dataset: str | None = None) -> Judged:
    """The verdict on a claim, and how it came about.

    Parameters
    ----------
    name : str
        Id of the claim.
    scale : str
        Which results to judge by.
    dataset : str, optional
        Of these; default that of the reference results.

    Returns
    -------
    Judged

    Raises
    ------
    KeyError
        If there is no such claim.
    ValueError
        If its rule asks for what was not measured, or for an accuracy that no network reached.
    """
    claim = claims()[name]
    needed = [claim[key] for key in ("experiment", "also") if key in claim]
    needed += claim.get("others", [])
    try:
        found = [
            load(name, scale=scale, dataset=dataset or catalogue.reference_data(name))
            for name in needed
        ]
    except FileNotFoundError:
        return Judged(name, "not tested")
    if not all(unit.records for result in found for unit in result.units):
        return Judged(name, "not tested")
    if any(len(result.seeds) < 2 for result in found):  # no interval, no verdict
        return Judged(name, "not tested")
    try:
        return judged(claim, catalogue.rules()[name](claim, *found))
    except ValueError as error:
        raise ValueError(f"{name} cannot be judged: {error}") from error


def judged(claim: dict, taken: dict) -> Judged:
    """The verdict on a claim by what its rule took from the results.

    Parameters
    ----------
    claim : dict
        Its entry in ``claims.toml``.
    taken : dict
        For each step by name: what was estimated, by label, as numbers for each seed
        (:class:`hfc.study.measured.Measured`) or as :class:`hfc.study.criteria.Estimate`; or a
        bool where nothing is estimated.

    Raises
    ------
    ValueError
        If the steps are not those of the claim, or an estimate has no interval.
    """
    if claim.get("proposal"):
        return Judged(claim["id"], "adopted")
    texts = {step["name"]: step for step in claim["step"]}
    if list(taken) != list(texts):
        raise ValueError(f"steps must be {', '.join(texts)}, got {', '.join(taken)}")
    steps = tuple(_step(texts[name], values) for name, values in taken.items())
    counts = [c.estimate.seeds for step in steps for c in step.judged]
    return Judged(claim["id"], verdict_of(steps), steps, min(counts, default=0))


def _step(text, values):
    name, told = text["name"], text["text"]
    if isinstance(values, bool):
        return Step(name, told, values)
    factor = 100.0 if text.get("unit", "points") in ("points", "%") else 1.0
    side = {side: text[side] / factor for side in _SIDES if side in text}
    criteria = tuple(Criterion(label, _estimate(value), **side) for label, value in values.items())
    return Step(name, told, criteria, text.get("needs", "all"), factor)


def _estimate(value):
    return Estimate.of(value.values) if isinstance(value, Measured) else value


@lru_cache
def reference(name: str) -> Judged:
    """The verdict by the book's reference results, at scale ``cpu``; computed once a process.

    Raises
    ------
    KeyError
        If there is no such claim.
    """
    return judge(name)


def verdict(name: str) -> Said:
    """The verdict on a claim by the book's reference results, in words for a sentence.

    Raises
    ------
    KeyError
        If there is no such claim.
    """
    found = reference(name).verdict
    return Said(_WORDS.get(found, found))
