"""What would settle open steps, and which wanted runs are not there yet."""

import math

import pandas as pd
from scipy.special import stdtrit

from hfc import display
from hfc.display import Table
from hfc.study import catalogue
from hfc.study.criteria import Criterion
from hfc.study.results import load
from hfc.study.steps import decisive, shown
from hfc.study.verdict import claims, margin, reference
from hfc.study.wanted import wanted

__all__ = ["missing", "seeds_needed", "seeds_that_would_settle", "still_wanted"]

_MOST = 100


def seeds_needed(criterion: Criterion) -> int | None:
    """So many seeds would settle a criterion if its estimate and spread stayed as they are.

    None where it would take over a hundred.
    """
    estimate = criterion.estimate
    margins = (criterion.above, criterion.below, criterion.within)
    margin = next(side for side in margins if side is not None)
    value = abs(estimate.value) if criterion.within is not None else estimate.value
    spread = estimate.error * math.sqrt(estimate.seeds)
    level = 1 - 0.025 / criterion.corrected
    for n in range(2, _MOST + 1):
        if stdtrit(n - 1, level) * spread / math.sqrt(n) < abs(value - margin):
            return n
    return None


def seeds_that_would_settle() -> Table:
    """Every open step: margin, our number, seeds it has and seeds it would take, about."""
    rows = {}
    for name in claims():
        found = reference(name)
        texts = {step["name"]: step for step in claims()[name].get("step", [])}
        for step in found.steps:
            if step.outcome != "open":
                continue
            criterion = decisive(step)
            needed = None if criterion is None else seeds_needed(criterion)
            rows[f"{name}, {step.name}"] = {
                "margin": margin(texts[step.name]),
                "ours": "not measured yet" if criterion is None else shown(step, criterion),
                "seeds": "–" if criterion is None else str(criterion.estimate.seeds),
                "would take": "–" if criterion is None else f"{needed or f'over {_MOST}'}",
            }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("open step")
    return display.table(frame, "Open steps and how many seeds would settle them")


def missing(run) -> int:
    """How many of the seeds of a wanted run are not in the book's results."""
    try:
        stored = load(run.experiment, scale=run.scale, dataset=run.data)
    except FileNotFoundError:
        return run.seeds
    return len(set(run.range) - set(stored.seeds))


def still_wanted(scale: str) -> Table:
    """Wanted runs that lack seeds, with the core-minutes that they would take, about.

    Parameters
    ----------
    scale : str
        Minutes come from what stored units took for each image that passed a network.
    """
    rows = {}
    for run in wanted():
        lacking = missing(run)
        if run.scale == scale and lacking:
            passes = lacking * catalogue.image_passes(run.experiment, run.scale)
            minutes = passes * _seconds_a_pass(run.experiment) / 60
            rows[run.experiment] = {  # the last line of an experiment asks for the most
                "claims": ", ".join(catalogue.experiment(run.experiment).claims) or "–",
                "seeds wanted": str(run.seeds),
                "missing": str(lacking),
                "core-minutes": f"{minutes:.0f}",
            }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("experiment")
    return display.table(frame, f"Runs that are still wanted at scale {scale}")


def _seconds_a_pass(experiment):
    """Seconds of one core for an image that passes a network and back, measuring included."""
    for name in (experiment, "heuristics"):
        try:
            units = load(name, dataset=catalogue.reference_data(name)).units
        except FileNotFoundError:
            continue
        seeds = len({unit.seed for unit in units})
        seconds = sum(u.provenance["seconds"] * u.provenance["threads"] for u in units)
        return seconds / seeds / catalogue.image_passes(name, "cpu")
    return math.nan
