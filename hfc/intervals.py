"""How uncertain a number is: intervals of means and of shares.

>>> mean, low, high = mean_interval([0.53, 0.55, 0.57])
>>> f"{mean:.2f}, {low:.2f} to {high:.2f}"
'0.55, 0.50 to 0.60'
>>> low, high = wilson_interval(55, 100)
>>> f"{low:.2f} to {high:.2f}"
'0.45 to 0.64'
"""

import math
from collections.abc import Sequence

from scipy.special import stdtrit

from hfc.arguments import checked

__all__ = ["mean_interval", "wilson_interval"]


@checked
def mean_interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of independent runs with Student's t interval.

    Parameters
    ----------
    values : sequence of float
        One per seed, at least one.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    mean, low, high : float
        The interval has no ends (NaN) if there is only one value.

    Raises
    ------
    ValueError
        If there are no values, or the level is out of range.
    """
    _check_level(level)
    n = len(values)
    if n == 0:
        raise ValueError("values must hold at least one number, got none")
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan, math.nan
    error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)
    half = stdtrit(n - 1, (1 + level) / 2) * error
    return mean, mean - half, mean + half


@checked
def wilson_interval(count: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share of which ``count`` of ``n`` images were seen.

    Parameters
    ----------
    count, n : int
        ``0 <= count <= n``, ``n >= 1``. Whole numbers that are floats are welcome.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    low, high : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the counts are no whole numbers, or a number is out of range.

    Notes
    -----
    Wilson 1927. It covers the luck of which images were drawn, not that of training.
    """
    from scipy import stats  # takes as long to import as all the rest, and is seldom asked

    _check_level(level)
    for name, number in (("count", count), ("n", n)):
        if not float(number).is_integer():
            raise ValueError(f"{name} must be a whole number, got {number}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not 0 <= count <= n:
        raise ValueError(f"count must be from 0 to n = {n}, got {count}")
    interval = stats.binomtest(int(count), int(n)).proportion_ci(level, method="wilson")
    return interval.low, interval.high


def _check_level(level):
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1 (0.95, not 95), got {level}")
