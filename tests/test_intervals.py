"""``hfc.intervals``: against tables, closed formulas and SciPy."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hfc.intervals import mean_interval, wilson_interval
from tests.oracles import intervals as oracle

# Means ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [  # Student's t for 95 %: 12.706, 4.303 and 2.776 with 1, 2 and 4 degrees of freedom
        ([1, 3], (2, 2 - 12.7062, 2 + 12.7062)),
        ([1, 2, 3], (2, 2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5)),
        ([2, 4, 4, 4, 6], (4, 4 - 2.77645 * (2 / 5) ** 0.5, 4 + 2.77645 * (2 / 5) ** 0.5)),
        ([5, 5, 5], (5, 5, 5)),
    ],
)
def test_mean_interval_by_hand(values, wanted):
    assert mean_interval(values) == pytest.approx(wanted, rel=1e-4)


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=9).filter(lambda v: np.std(v) > 1e-3),
    st.floats(0.5, 0.999),
)
def test_mean_interval_by_scipy(values, level):
    error = stats.sem(values)
    low, high = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=error)
    found = mean_interval(values, level=level)
    assert found == pytest.approx((np.mean(values), low, high), rel=1e-6, abs=1e-6)


def test_one_value_has_no_interval():
    mean, low, high = mean_interval([7])
    assert mean == 7
    assert math.isnan(low)
    assert math.isnan(high)


def test_no_values():
    with pytest.raises(ValueError, match="values must hold at least one number, got none"):
        mean_interval([])


# Shares -----------------------------------------------------------------------------------

counts = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_by_its_formula(counts):
    low, high = wilson_interval(*counts)
    assert (low, high) == pytest.approx(oracle.wilson(*counts), abs=1e-9)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


@given(counts, st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_wilson_levels_are_nested(counts, one, other):
    inner = wilson_interval(*counts, level=min(one, other))
    outer = wilson_interval(*counts, level=max(one, other))
    assert outer[0] <= inner[0] + 1e-12
    assert inner[1] <= outer[1] + 1e-12


@given(counts)
def test_wilson_is_symmetric(counts):
    count, n = counts
    low, high = wilson_interval(count, n)
    assert wilson_interval(n - count, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_whole_numbers_may_be_floats():
    assert wilson_interval(np.float64(3), np.int64(7)) == wilson_interval(3, 7)


@pytest.mark.parametrize(
    ("count", "n", "text"),
    [
        (-1, 5, "count must be from 0 to n = 5, got -1"),
        (6, 5, "count must be from 0 to n = 5, got 6"),
        (0, 0, "n must be at least 1, got 0"),
        (0, -3, "n must be at least 1, got -3"),
        (2.5, 5, "count must be a whole number, got 2.5"),
        (2, 5.5, "n must be a whole number, got 5.5"),
        (math.nan, 5, "count must be a whole number, got nan"),
        (0, math.inf, "n must be a whole number, got inf"),
    ],
)
def test_wilson_refuses(count, n, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        wilson_interval(count, n)


@pytest.mark.parametrize("level", [95, 1, 0, -0.5, math.nan])
@pytest.mark.parametrize(
    "interval",
    [lambda **how: mean_interval([1, 2], **how), lambda **how: wilson_interval(1, 2, **how)],
)
def test_levels_are_shares(interval, level):
    text = f"level must be between 0 and 1 (0.95, not 95), got {level}"
    with pytest.raises(ValueError, match=re.escape(text)):
        interval(level=level)
