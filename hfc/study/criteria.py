"""Criteria: an estimate with its interval against a margin, and what follows for a claim.

A criterion is *met* if its 95 % interval lies beyond the margin, *refuted* if it lies short of it,
and *open* otherwise: then more seeds are needed. Criteria make a step, steps make the verdict.

>>> more = Criterion("r = 4", Estimate.of([0.14, 0.16, 0.15]), above=0.1)
>>> more.outcome
'met'
>>> less = Criterion("r = 8", Estimate.of([0.02, 0.03, 0.01]), above=0.1)
>>> Step("more", "HFC copies are right more often", (more, less)).outcome
'refuted'
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import stdtr, stdtrit

from hfc.intervals import wilson_interval

__all__ = ["Criterion", "Estimate", "Step", "holm", "verdict_of"]

_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its standard error, and how well that is known.

    Attributes
    ----------
    value : float
    error : float
        Standard error.
    freedom : float
        Degrees of freedom of the error.
    seeds : int
        How many numbers were averaged.
    limit : float
        The largest that the truth can be, with either sign.
    """

    value: float
    error: float
    freedom: float
    seeds: int
    limit: float = math.inf

    @classmethod
    def of(
        cls, values: Sequence[float], *, images: int | None = None, fixed: bool = False
    ) -> "Estimate":
        """From one number a seed.

        Parameters
        ----------
        values : sequence of float
            Shares, differences of shares, or other numbers; at least two, none of them NaN.
        images : int, optional
            How many test images each share was counted on. No interval is then narrower than
            what no success among all of them leaves open: three seeds that all say 0 of 300 do
            not say 0.
        fixed : bool
            Whether all seeds were tested on the same images. Then what the luck of these images
            may do, at most that of independent draws, is added to the luck of training.

        Raises
        ------
        ValueError
            If there are fewer than two numbers, or one is NaN.
        """
        values = [float(value) for value in values]
        n = len(values)
        if n < 2 or any(math.isnan(value) for value in values):
            raise ValueError(f"an interval needs two seeds and no NaN, got {values}")
        mean = math.fsum(values) / n
        variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n
        freedom = n - 1
        if images is not None and fixed:
            share = min(abs(mean), 1.0)
            luck = share * (1 - share) / images
            if variance + luck > 0:  # Welch and Satterthwaite: the luck of images is well known
                freedom *= ((variance + luck) / variance) ** 2 if variance > 0 else math.inf
            variance += luck
        error = math.sqrt(variance)
        if images is not None:
            least = wilson_interval(0, images * (1 if fixed else n))[1]
            floor = least / stdtrit(min(freedom, 1e6), (1 + _LEVEL) / 2)
            error = max(error, floor)
        return cls(mean, error, min(freedom, 1e6), n)

    @classmethod
    def correlation(cls, x: Sequence[float], y: Sequence[float]) -> "Estimate":
        """Spearman's rank correlation of networks, its error by drawing networks anew.

        Parameters
        ----------
        x, y : sequence of float
            One number a network, at least four of them.

        Notes
        -----
        Networks of one experiment resemble one another, so that the truth is less certain.
        """
        from scipy import stats  # takes as long to import as all the rest, and is seldom asked

        def rank_correlation(x, y, axis=-1):
            x, y = (stats.rankdata(values, axis=axis) for values in (x, y))
            x, y = (values - values.mean(axis=axis, keepdims=True) for values in (x, y))
            norm = np.sqrt((x * x).sum(axis=axis) * (y * y).sum(axis=axis))
            return (x * y).sum(axis=axis) / np.where(norm > 0, norm, 1)

        x, y = np.asarray(x, float), np.asarray(y, float)
        drawn = stats.bootstrap(
            (x, y), rank_correlation, paired=True, method="basic", rng=np.random.default_rng(0)
        )
        value, error = float(rank_correlation(x, y)), float(drawn.standard_error)
        return cls(value, error, len(x) - 2, len(x), limit=1.0)

    def negative(self) -> "Estimate":
        """The same with the other sign."""
        return replace(self, value=-self.value)

    def interval(self, level: float = _LEVEL) -> tuple[float, float]:
        """Both ends of Student's t interval."""
        half = stdtrit(self.freedom, (1 + level) / 2) * self.error
        return max(self.value - half, -self.limit), min(self.value + half, self.limit)

    def p_above(self, margin: float) -> float:
        """How likely a mean this high would be if the truth were the margin (one-sided)."""
        return self._p(self.value - margin)

    def p_below(self, margin: float) -> float:
        """The same for a mean this low."""
        return self._p(margin - self.value)

    def _p(self, lead):
        if self.error == 0:  # all seeds say the same
            return 0.0 if lead > 0 else 1.0
        return float(stdtr(self.freedom, -lead / self.error))


@dataclass(frozen=True)
class Criterion:
    """An estimate against a margin.

    Attributes
    ----------
    label : str
        Where it was taken, such as ``"r = 4"``; may be empty.
    estimate : Estimate
    above, below, within : float, optional
        The margin, and on which side of it the estimate is to lie; just one of them. ``within``
        means between minus and plus that much.
    corrected : float
        How many comparisons share the chance of an error (:func:`holm`).
    """

    label: str
    estimate: Estimate
    above: float | None = None
    below: float | None = None
    within: float | None = None
    corrected: int = 1

    def __post_init__(self):
        if sum(side is not None for side in (self.above, self.below, self.within)) != 1:
            raise ValueError(f"a criterion has one of above, below and within, got {self}")

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that decides; wider where several comparisons are made."""
        return self.estimate.interval(1 - (1 - _LEVEL) / self.corrected)

    @property
    def p(self) -> float:
        """One-sided p value of the estimate's lying beyond the margin."""
        if self.above is not None:
            return self.estimate.p_above(self.above)
        if self.below is not None:
            return self.estimate.p_below(self.below)
        return max(self.estimate.p_above(-self.within), self.estimate.p_below(self.within))

    @property
    def outcome(self) -> str:
        """``"met"``, ``"refuted"`` or ``"open"``."""
        low, high = self.interval
        if self.above is not None:
            beyond, short = low > self.above, high < self.above
        elif self.below is not None:
            beyond, short = high < self.below, low > self.below
        else:
            beyond = -self.within < low and high < self.within
            short = high < -self.within or low > self.within
        return "met" if beyond else "refuted" if short else "open"


def holm(criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """Criteria of which one is enough, each with the interval that Holm's correction leaves it.

    The smallest p value is compared as one of all, the next as one of the rest, and so on until
    one is not met; those after it are not met either.

    Notes
    -----
    Holm 1979. A criterion that is refuted is refuted without correction, since all must be.
    """
    order = sorted(range(len(criteria)), key=lambda k: criteria[k].p)
    found, left = {}, len(criteria)
    for k in order:
        found[k] = replace(criteria[k], corrected=left)
        if left > 1 and found[k].outcome == "met":
            left -= 1
    return tuple(found[k] for k in range(len(criteria)))


@dataclass(frozen=True)
class Step:
    """One of the things that a claim says.

    Attributes
    ----------
    name, text : str
    criteria : tuple of Criterion, or bool
        A bool where nothing is estimated: a definition that is checked, say. None at all where
        nothing was measured yet: then the step is open.
    needs : {"all", "any"}
        Whether all criteria must be met or one is enough (with Holm's correction).
    factor : float
        What numbers are multiplied by when they are shown: 100 for shares.
    """

    name: str
    text: str
    criteria: tuple[Criterion, ...] | bool
    needs: str = "all"
    factor: float = 100.0

    @cached_property
    def judged(self) -> tuple[Criterion, ...]:
        """The criteria as they are compared."""
        if isinstance(self.criteria, bool):
            return ()
        return holm(self.criteria) if self.needs == "any" else self.criteria

    @property
    def outcome(self) -> str:
        """``"met"``, ``"refuted"`` or ``"open"``."""
        if isinstance(self.criteria, bool):
            return "met" if self.criteria else "refuted"
        outcomes = [criterion.outcome for criterion in self.criteria] or ["open"]
        if self.needs == "any":
            enough = any(criterion.outcome == "met" for criterion in self.judged)
            none = set(outcomes) == {"refuted"}
            return "met" if enough else "refuted" if none else "open"
        if "refuted" in outcomes:
            return "refuted"
        return "open" if "open" in outcomes else "met"


def verdict_of(steps: Sequence[Step]) -> str:
    """What the steps of a claim make of it.

    Returns
    -------
    str
        ``"reproduced"`` if all are met, ``"contradicted"`` if all are refuted, ``"partly"`` if
        some are met and some refuted, else ``"open"``: what is undecided could still change it.
    """
    found = {step.outcome for step in steps}
    if {"met", "refuted"} <= found:
        return "partly"
    if "open" in found:
        return "open"
    return "reproduced" if found == {"met"} else "contradicted"
