"""Criteria, steps and verdicts, against SciPy, by hand, and by simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hfc.study.criteria import Criterion, Estimate, Step, holm, verdict_of

CLEAR = [0.19, 0.20, 0.21]  # interval 0.175 to 0.225
WIDE = [0.05, 0.20, 0.35]


def step(outcome, needs="all"):
    """A step of one criterion that has this outcome."""
    margin = {"met": 0.1, "refuted": 0.3, "open": 0.2}[outcome]
    return Step("s", "text", (Criterion("", Estimate.of(CLEAR), above=margin),), needs)


# Estimates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [CLEAR, WIDE, [-1.0, 2.5], list(np.arange(10.0) ** 2)])
def test_intervals_and_p_values_are_students(values):
    found = Estimate.of(values)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.interval() == pytest.approx((wanted.low, wanted.high))
    assert found.seeds == len(values)
    for margin in (-0.3, 0.15, 0.2, 4):
        for way, p in (("greater", found.p_above(margin)), ("less", found.p_below(margin))):
            assert p == pytest.approx(stats.ttest_1samp(values, margin, alternative=way).pvalue)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, float("nan")], [float("nan")] * 3])
def test_no_interval_from_one_seed_or_nan(values):
    with pytest.raises(ValueError, match="an interval needs two seeds and no NaN, got"):
        Estimate.of(values)


def test_three_seeds_that_all_say_0_of_300_do_not_say_0():
    low, high = Estimate.of([0.0] * 3, images=300).interval()
    assert -low == pytest.approx(high)
    wanted = stats.binomtest(0, 900).proportion_ci(0.95, method="wilson").high
    assert high == pytest.approx(wanted)
    assert Estimate.of([0.0] * 3).interval() == (0, 0)
    spread = Estimate.of([0.1, 0.2, 0.3], images=300)
    assert spread == Estimate.of([0.1, 0.2, 0.3])  # an interval that is wide stays as it is


def test_luck_of_a_fixed_test_set_widens_an_interval():
    values = [0.101, 0.099, 0.100, 0.102]
    alone, together = Estimate.of(values), Estimate.of(values, images=1000, fixed=True)
    luck = 0.1005 * (1 - 0.1005) / 1000
    assert together.error == pytest.approx((alone.error**2 + luck) ** 0.5)
    assert together.freedom > alone.freedom  # the luck of images is well known


def test_rank_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    found = Estimate.correlation(x, y)
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.error == pytest.approx((1 - found.value**2) / 39**0.5, rel=0.5)
    assert found.negative().value == -found.value
    same = Estimate.correlation(x, np.exp(x))
    assert (same.value, same.interval()[1]) == pytest.approx((1, 1))  # never beyond 1


# How often intervals hold the truth: made-up seeds, the truth known -------------------------


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_over_seeds_cover(n):
    rng = np.random.default_rng(n)
    intervals = [Estimate.of(seeds).interval() for seeds in rng.normal(0.3, 0.05, (6000, n))]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.94 <= covered <= 0.96


def shares(rng, seeds, images):
    """Shares right on one fixed test set: images differ in difficulty, seeds in skill."""
    difficulty = rng.beta(0.5, 0.5, images)
    skill = rng.normal(0, 0.02, seeds)
    right = rng.random((seeds, images)) < np.clip(difficulty + skill[:, None], 0, 1)
    return right.mean(axis=1)


@pytest.mark.parametrize("seeds", [3, 8])
def test_intervals_over_seeds_and_images_cover(seeds):
    """The truth is the share of all images that the test set was drawn from: one half."""
    rng = np.random.default_rng(seeds)
    images, both, alone = 100, [], []
    for _ in range(4000):
        values = shares(rng, seeds, images)
        for found, how in ((both, {"images": images, "fixed": True}), (alone, {})):
            low, high = Estimate.of(values, **how).interval()
            found.append(low <= 0.5 <= high)
    assert np.mean(both) >= 0.94
    assert np.mean(alone) < 0.9  # who forgets the images is too sure


@pytest.mark.parametrize("share", [0.0005, 0.003])
def test_intervals_of_rare_successes_cover(share):
    rng = np.random.default_rng(1)
    covered = []
    for counts in rng.binomial(300, share, (4000, 3)):
        low, high = Estimate.of(counts / 300, images=300).interval()
        covered.append(low <= share <= high)
    assert np.mean(covered) >= 0.94


# Criteria ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "side", "outcome"),
    [
        (CLEAR, {"above": 0.17}, "met"),
        (CLEAR, {"above": 0.18}, "open"),  # 0.175 is not beyond it
        (CLEAR, {"above": 0.22}, "open"),
        (CLEAR, {"above": 0.23}, "refuted"),
        (CLEAR, {"below": 0.23}, "met"),
        (CLEAR, {"below": 0.2}, "open"),
        (CLEAR, {"below": 0.17}, "refuted"),
        (CLEAR, {"within": 0.23}, "met"),
        (CLEAR, {"within": 0.2}, "open"),
        (CLEAR, {"within": 0.17}, "refuted"),
        ([-0.19, -0.2, -0.21], {"within": 0.17}, "refuted"),
        ([-0.01, 0.0, 0.01], {"within": 0.05}, "met"),
        (WIDE, {"within": 0.05}, "open"),
        (WIDE, {"above": 0.0}, "open"),
        ([0.0, 0.0], {"above": 0.0}, "open"),  # just at the margin
    ],
)
def test_outcome(values, side, outcome):
    assert Criterion("", Estimate.of(values), **side).outcome == outcome


@pytest.mark.parametrize("sides", [{}, {"above": 0.1, "below": 0.2}])
def test_a_criterion_has_one_margin(sides):
    with pytest.raises(ValueError, match="has one of above, below and within"):
        Criterion("", Estimate.of(CLEAR), **sides)


values = st.lists(st.floats(-1, 1), min_size=2, max_size=6)
RANK = {"refuted": 0, "open": 1, "met": 2}


@given(values, st.floats(-1, 1), st.floats(0, 1))
def test_a_stricter_margin_helps_no_claim(values, margin, more):
    estimate = Estimate.of(values)
    for looser, stricter in (
        ({"above": margin}, {"above": margin + more}),
        ({"below": margin}, {"below": margin - more}),
        ({"within": abs(margin) + more}, {"within": abs(margin)}),
    ):
        first, second = (
            RANK[Criterion("", estimate, **side).outcome] for side in (looser, stricter)
        )
        assert second <= first


@given(values, st.floats(-1, 1))
def test_above_and_below_are_mirror_images(values, margin):
    above = Criterion("", Estimate.of(values), above=margin)
    below = Criterion("", Estimate.of([-value for value in values]), below=-margin)
    assert above.outcome == below.outcome
    assert above.p == pytest.approx(below.p, abs=1e-9)


@given(values, st.floats(-1, 1))
def test_met_is_what_a_one_sided_test_finds(values, margin):
    criterion = Criterion("", Estimate.of(values), above=margin)
    assert (criterion.outcome == "met") == (criterion.p < 0.025 and criterion.p != 0.025)


# Holm --------------------------------------------------------------------------------------


def with_p(p, n=30):
    """A criterion above 0 whose one-sided p value is p."""
    t = stats.t.isf(p, n - 1)
    return Criterion(f"{p}", Estimate(t, 1.0, n - 1, n), above=0.0)


def by_hand(ps, level=0.025):
    """Which Holm's procedure rejects, written as a loop over sorted p values."""
    found = [False] * len(ps)
    for rank, k in enumerate(sorted(range(len(ps)), key=lambda k: ps[k])):
        if ps[k] >= level / (len(ps) - rank):
            break
        found[k] = True
    return found


@pytest.mark.parametrize(
    ("ps", "wanted"),
    [
        ([0.001, 0.004, 0.02], [True, True, True]),
        ([0.02, 0.001, 0.013], [False, True, False]),  # 0.013 > 0.025 / 2
        ([0.009, 0.01, 0.011], [False, False, False]),  # none is below 0.025 / 3
        ([0.02], [True]),
    ],
)
def test_holm_by_hand(ps, wanted):
    assert [c.outcome == "met" for c in holm([with_p(p) for p in ps])] == wanted == by_hand(ps)


@given(st.lists(st.floats(1e-6, 0.5), min_size=1, max_size=7))
def test_holm_is_a_loop(ps):
    assert [c.outcome == "met" for c in holm([with_p(p) for p in ps])] == by_hand(ps)


# Steps and verdicts ------------------------------------------------------------------------


def several(*outcomes, needs):
    criteria = tuple(c for outcome in outcomes for c in step(outcome).criteria)
    return Step("s", "text", criteria, needs).outcome


@pytest.mark.parametrize(
    ("outcomes", "all_of", "any_of"),
    [
        (("met", "met"), "met", "met"),
        (("met", "open"), "open", "met"),
        (("met", "refuted"), "refuted", "met"),
        (("open", "refuted"), "refuted", "open"),
        (("refuted", "refuted"), "refuted", "refuted"),
        (("open", "open"), "open", "open"),
    ],
)
def test_all_of_some_or_one_of_them(outcomes, all_of, any_of):
    for order in itertools.permutations(outcomes):
        assert several(*order, needs="all") == all_of
        assert several(*order, needs="any") == any_of


def test_one_chance_of_many_is_not_enough():
    barely = with_p(0.02)
    assert barely.outcome == "met"
    assert Step("s", "text", (barely,), "any").outcome == "met"
    hopeless = tuple(with_p(0.999) for _ in range(3))
    assert {c.outcome for c in hopeless} == {"refuted"}
    assert Step("s", "text", (barely, *hopeless), "any").outcome == "open"


def test_a_step_without_an_estimate():
    assert Step("s", "text", True).outcome == "met"
    assert Step("s", "text", False).outcome == "refuted"
    assert Step("s", "text", ()).outcome == "open"  # not measured yet
    assert Step("s", "text", (), "any").outcome == "open"


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ({"met"}, "reproduced"),
        ({"refuted"}, "contradicted"),
        ({"open"}, "open"),
        ({"met", "open"}, "open"),
        ({"refuted", "open"}, "open"),
        ({"met", "refuted"}, "partly"),
        ({"met", "refuted", "open"}, "partly"),
    ],
)
def test_verdict(outcomes, verdict):
    for order in itertools.permutations(outcomes):
        assert verdict_of([step(outcome) for outcome in order]) == verdict


@given(st.lists(st.sampled_from(["met", "refuted", "open"]), min_size=1, max_size=5))
def test_what_is_open_could_not_change_a_verdict(outcomes):
    """However the open steps end, a verdict that is not "open" stays."""
    verdict = verdict_of([step(outcome) for outcome in outcomes])
    ends = [["met", "refuted"] if outcome == "open" else [outcome] for outcome in outcomes]
    later = {verdict_of([step(o) for o in end]) for end in itertools.product(*ends)}
    assert (verdict == "open") == (len(later) > 1)
    if verdict != "open":
        assert later == {verdict}
