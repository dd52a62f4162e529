"""``hfc.study.measured``: numbers by seed and key, their intervals, differences and texts."""

import math
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from hfc.flags import Flag
from hfc.study.measured import Measured, Measurements
from tests.oracles import study as oracle

finite = st.floats(-1e3, 1e3)
by_seed = st.dictionaries(st.integers(0, 20), finite, min_size=2, max_size=8)


def series(numbers, *, name="x", flags=None):
    """One number a seed, from a list or from a dict by seed."""
    numbers = dict(enumerate(numbers)) if isinstance(numbers, list | tuple) else numbers
    rows = pd.DataFrame({"seed": list(numbers), name: list(numbers.values())})
    if flags is not None:
        rows["flags"] = flags
    return Measurements.of(rows, [])[name]


def table(number, *, seeds=(0, 1, 2), **axes):
    """Measurements ``number(seed, *labels)`` at every combination of labels, if it is a number."""
    rows = []
    for seed, *labels in product(seeds, *axes.values()):
        value = number(seed, *labels)
        if value is not None:
            rows.append({"seed": seed, **dict(zip(axes, labels, strict=True)), "x": value})
    return Measurements.of(pd.DataFrame(rows), list(axes))


# Intervals --------------------------------------------------------------------------------


@given(by_seed.filter(lambda numbers: np.std(list(numbers.values())) > 1e-3))
def test_mean_and_interval_by_scipy(numbers):
    measured, values = series(numbers), list(numbers.values())
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    wanted = (np.mean(values), low, high, (high - low) / 2)
    found = (measured.mean, measured.low, measured.high, measured.half)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert dict(zip(measured.seeds, measured.values, strict=True)) == numbers


def test_one_seed_has_no_interval():
    measured = series([0.5])
    assert measured.mean == 0.5
    assert all(math.isnan(value) for value in (measured.low, measured.high, measured.half))


# Arithmetic -------------------------------------------------------------------------------


@given(by_seed, by_seed)
def test_a_difference_is_between_runs_of_the_same_seed(first, second):
    both = first.keys() & second.keys()
    assume(both)
    found = series(first) - series(second)
    assert dict(zip(found.seeds, found.values, strict=True)) == {
        seed: first[seed] - second[seed] for seed in both
    }


@given(by_seed, by_seed)
def test_a_difference_within_one_result_is_paired_too(first, second):
    both = first.keys() & second.keys()
    assume(both)
    runs = {"a": first, "b": second}
    measured = table(
        lambda seed, net: runs[net].get(seed), seeds=range(21), net=list(runs)
    )  # with cells that were not measured
    found = measured.at(net="a").x - measured.at(net="b").x
    assert dict(zip(found.seeds, found.values, strict=True)) == {
        seed: first[seed] - second[seed] for seed in both
    }


def test_paired_differences_are_narrower_than_what_they_compare():
    first, second = series([0.2, 0.5, 0.8]), series([0.1, 0.42, 0.69])
    assert (first - second).half < 0.05 < first.half


@given(by_seed, st.floats(0.1, 10))
def test_arithmetic_with_numbers(numbers, other):
    measured, values = series(numbers), np.array(list(numbers.values()))
    for found, wanted in (
        (measured + other, values + other),
        (other + measured, values + other),
        (measured - other, values - other),
        (other - measured, other - values),
        (measured * other, values * other),
        (other * measured, values * other),
        (measured / other, values / other),
        (-measured, -values),
    ):
        assert found.values == pytest.approx(wanted.tolist())
        assert found.seeds == list(numbers)


def test_arithmetic_pairs_by_key():
    one = table(lambda seed, radius: seed + radius, radius=(4.0, 8.0, 12.0))
    two = table(lambda seed, radius: 10.0 * radius, radius=(12.0, 8.0))
    found = one.x + two.x
    assert found.keys == ("radius",)
    assert found.at(radius=8).values == [88, 89, 90]
    assert found.at(radius=12).values == [132, 133, 134]
    with pytest.raises(ValueError, match=r"radius must be one of .*, got 4"):
        found.at(radius=4)
    ratio = one.x / one.at(radius=4).x  # each by its own seed's number at radius 4
    assert ratio.at(radius=12).values == pytest.approx([12 / 4, 13 / 5, 14 / 6])


# Selection --------------------------------------------------------------------------------

EPSILONS = (0.0, 2 / 255, 4 / 255, 8 / 255)


@pytest.fixture(scope="module")
def attacked():
    return table(
        lambda seed, net, epsilon: seed + {"plain": 10, "robust": 20}[net] + epsilon,
        net=("plain", "robust"),
        epsilon=EPSILONS,
    )


def test_at_is_by_label_and_by_number(attacked):
    for k, epsilon in enumerate((0, 2 / 255, 0.0157, 8.005 / 255)):
        there = attacked.at(net="robust", epsilon=epsilon)
        assert there.keys == ()
        assert there.x.values == pytest.approx([s + 20 + EPSILONS[k] for s in (0, 1, 2)])
        assert attacked.x.at(epsilon=epsilon).at(net="robust").values == there.x.values
        assert attacked.at(epsilon=epsilon).at(net="robust").x.values == there.x.values


@given(st.sampled_from([1e-3, 0.5, 4.0, 8, 1000]), st.floats(-9e-4, 9e-4))
def test_a_float_means_the_nearest_within_a_thousandth(value, off):
    measured = table(lambda seed, radius: radius, radius=(1e-3, 0.5, 4.0, 8.0, 1000.0))
    assert measured.at(radius=value * (1 + off)).x.values == [value] * 3


@given(st.sampled_from([1e-3, 0.5, 4.0, 8, 1000]), st.sampled_from([-1, 1]), st.floats(2e-3, 0.1))
def test_a_float_that_is_further_away_is_none_of_them(value, sign, off):
    measured = table(lambda seed, radius: radius, radius=(1e-3, 0.5, 4.0, 8.0, 1000.0))
    asked = value * (1 + sign * off)
    text = f"radius must be one of 0.001, 0.5, 4, 8, 1000, got {asked!r}"
    with pytest.raises(ValueError, match=re.escape(text)):
        measured.at(radius=asked)


def test_of_two_that_are_close_the_nearest_is_meant():
    measured = table(lambda seed, radius: radius, radius=(1.0, 1.0005))
    assert measured.at(radius=1.0001).x.values == [1.0] * 3
    assert measured.at(radius=1.0004).x.values == [1.0005] * 3


def test_a_list_keeps_the_key_open_and_its_order(attacked):
    some = attacked.at(epsilon=[8 / 255, 0])
    assert some.labels("epsilon") == [8 / 255, 0]
    assert some.keys == ("net", "epsilon")
    assert some.x.at(net="plain").curve()[0] == [8 / 255, 0]
    assert some.at(epsilon=[0]).x.at(net="plain").values == [10, 11, 12]  # one is no choice


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"net": "wide"}, "net must be one of plain, robust, got 'wide'"),
        ({"net": ["plain", "wide"]}, "net must be one of plain, robust, got 'wide'"),
        ({"net": 3}, "net must be one of plain, robust, got 3"),
        ({"epsilon": "8"}, "epsilon must be one of 0, 0.00784314, 0.0156863, 0.0313725, got '8'"),
        ({"epsilon": 1e-9}, "epsilon must be one of 0, 0.00784314, 0.0156863, 0.0313725, got 1e-"),
        ({"epsilon": math.nan}, "epsilon must be one of 0, "),
        ({"width": 3}, "key must be one of net, epsilon, got 'width'"),
        ({"seed": 0}, "key must be one of net, epsilon, got 'seed'"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(keys, text, attacked):
    for part in (attacked, attacked.x):
        with pytest.raises(ValueError, match=re.escape(text)):
            part.at(**keys)


def test_a_closed_key_is_closed(attacked):
    plain = attacked.at(net="plain", epsilon=4 / 255)
    for part in (plain, plain.x):
        with pytest.raises(ValueError, match="net must be left out: it is closed, at 'plain', got"):
            part.at(net="robust")
        with pytest.raises(ValueError, match=r"epsilon must be left out: it is closed, at 0\.01"):
            part.at(epsilon=0)
    assert plain.at(net="plain").x.values == plain.x.at(net="plain").values == plain.x.values


def test_without(attacked):
    assert attacked.without(net="robust").x.keys == ("epsilon",)
    rest = attacked.without(net="plain", epsilon=4 / 255)
    assert rest.labels("net") == ["robust"]
    assert rest.labels("epsilon") == [EPSILONS[k] for k in (0, 1, 3)]
    assert rest.x.at(epsilon=0).values == [20, 21, 22]
    with pytest.raises(ValueError, match="net must be one of plain, robust, got 'wide'"):
        attacked.without(net="wide")


def test_texts_are_in_the_order_in_which_they_came_and_numbers_ascend():
    names = ["none", "BatchNorm", "25 % shuffled", "Adam"]
    measured = table(lambda seed, net, radius: 1.0, net=names, radius=(8.0, 4.0, 16.0))
    assert measured.labels("net") == names
    assert measured.labels("radius") == [4, 8, 16]  # numbers have an order of their own
    with pytest.raises(ValueError, match="key must be one of net, radius, got 'epoch'"):
        measured.labels("epoch")


@pytest.mark.parametrize("order", [(1, 2, 10), (10, 2, 1), (2, 10, 1)])
def test_last_is_after_the_last_epoch(order):
    measured = table(lambda seed, net, epoch: seed + epoch, net=("a", "b"), epoch=order)
    assert measured.last.keys == ("net",)
    assert measured.last.x.at(net="b").values == [10, 11, 12]


def test_last_of_networks_that_were_trained_for_different_times():
    last = {"short": 2, "long": 4, "longest": 5, "never": 0}
    measured = table(
        lambda seed, net, epoch: epoch + seed if epoch <= last[net] else None,
        net=tuple(last),
        epoch=(1, 2, 3, 4, 5),
    )
    assert measured.last.keys == ("net",)
    assert measured.last.labels("net") == ["short", "long", "longest"]
    for net in ("short", "long", "longest"):
        wanted = [last[net] + seed for seed in (0, 1, 2)]
        assert measured.last.x.at(net=net).values == wanted
        assert measured.at(net=net).last.x.values == wanted
        assert measured.x.at(net=net, epoch=last[net]).values == wanted


def test_last_needs_epochs(attacked):
    with pytest.raises(ValueError, match="epoch must be open, but was closed or never measured"):
        attacked.last  # noqa: B018


@pytest.mark.parametrize("seeds", [(0, 1, 2), (7, 3)])
def test_what_there_is(seeds):
    rows = [
        {"seed": s, "net": n, "high + mean": 0.5, "robust at 4/255": 0.25, "n": 3}
        for s in seeds
        for n in "ab"
    ]
    measured = Measurements.of(pd.DataFrame(rows), ["net"])
    assert measured.seeds == sorted(seeds)
    assert measured.keys == ("net",)
    assert measured.columns == ["high + mean", "robust at 4/255", "n"]
    assert {"high_mean", "robust_at_4_255", "n", "at", "last"} <= set(dir(measured))
    for name, column in (("high_mean", "high + mean"), ("robust_at_4_255", "robust at 4/255")):
        found = getattr(measured, name).at(net="a")
        assert isinstance(found, Measured)
        assert found.values == measured[column].at(net="a").values
    assert repr(measured) == (f"<high + mean, robust at 4/255, n by net (2), {len(seeds)} seeds>")
    with pytest.raises(AttributeError, match="'low' was not measured"):
        measured.low  # noqa: B018
    with pytest.raises(KeyError, match="'low' was not measured, only high"):
        measured["low"]


def test_two_rows_of_the_same_place_are_refused():
    rows = pd.DataFrame({"seed": [0, 1, 0], "net": ["a", "a", "a"], "x": [1.0, 2.0, 3.0]})
    text = "rows must differ in seed, net, got twice {'seed': 0, 'net': 'a'}"
    with pytest.raises(ValueError, match=re.escape(text)):
        Measurements.of(rows, ["net"])


# Cells that were not measured --------------------------------------------------------------


@pytest.fixture(scope="module")
def holes():
    """Only networks with BatchNorm are measured by the batch's statistics, seed 2 not at all."""
    return table(
        lambda seed, norm, way: (
            None
            if way == "batch" and (norm == "none" or seed == 2)
            else seed + len(norm) + len(way)
        ),
        norm=("none", "BatchNorm"),
        way=("running", "batch"),
    )


def test_a_cell_that_was_not_measured_is_an_error(holes):
    with pytest.raises(KeyError, match="'x' was not measured there"):
        holes.at(norm="none", way="batch").x  # noqa: B018
    cell = holes.x.at(norm="none", way="batch")
    assert cell.values == []
    assert cell.seeds == []
    for use in (lambda: cell.mean, lambda: str(cell), lambda: cell.clearly_above(0)):
        with pytest.raises(ValueError, match=r"at least one number, got none|two seeds"):
            use()
    difference = holes.x.at(norm="BatchNorm", way="batch") - cell
    assert difference.values == []


def test_seeds_are_those_that_were_measured(holes):
    part = holes.at(norm="BatchNorm", way="batch")
    assert part.x.values == [14, 15]
    assert part.x.seeds == [0, 1]
    gain = part.x - holes.at(norm="BatchNorm", way="running").x
    assert (gain.seeds, gain.values) == ([0, 1], [-2, -2])


def test_labels_and_keys_are_those_that_were_measured(holes):
    assert holes.at(norm="none").labels("way") == ["running"]
    assert holes.at(norm="none").x.keys == ()  # no choice is left
    assert holes.at(norm="none").x.values == [11, 12, 13]
    assert holes.at(way="batch").labels("norm") == ["BatchNorm"]


def test_a_measured_nan_is_a_number_that_is_nan():
    measured = series([0.5, math.nan, 0.7])
    assert measured.seeds == [0, 1, 2]
    assert math.isnan(measured.mean)


# Judged -----------------------------------------------------------------------------------


@given(by_seed.filter(lambda n: np.std(list(n.values())) > 1e-3), st.floats(-1e3, 1e3))
def test_clearly_is_the_whole_interval(numbers, bound):
    measured = series(numbers)
    assert measured.clearly_above(bound) == (measured.low > bound)
    assert measured.clearly_below(bound) == (measured.high < bound)
    assert (-measured).clearly_below(-bound) is measured.clearly_above(bound)


def test_clearly_by_hand():
    sure, unsure = series([0.1, 0.2, 0.15]), series([0.02, 0.14, 0.29])
    assert sure.clearly_above() is True
    assert sure.clearly_below() is False
    assert unsure.clearly_above() is False
    assert unsure.clearly_below() is False
    assert sure.clearly_above(0.15) is False


@pytest.mark.parametrize("values", [[0.9], [0.9, math.nan], [math.nan, math.nan, 0.9]])
def test_one_seed_or_nan_must_not_decide(values):
    for judge in (Measured.clearly_above, Measured.clearly_below):
        with pytest.raises(ValueError, match=r"needs two seeds and no NaN, got \["):
            judge(series(values))


def test_open_keys_do_not_decide(attacked):
    for use in (
        lambda: attacked.x.clearly_above(0),
        lambda: attacked.x.mean,
        lambda: attacked.x.values,
        lambda: attacked.x.seeds,
    ):
        with pytest.raises(ValueError, match=r"but net, epsilon is open; use \.at"):
            use()


# Shown ------------------------------------------------------------------------------------


def test_shown_forms():
    measured = series([0.53, 0.55, 0.57])  # 0.55, and 4.303 * 0.02 / sqrt(3) = 0.0497
    assert repr(measured) == str(measured) == "55 ± 5"
    assert f"{measured}" == "55 ± 5"
    assert repr(measured.percent) == "55 %"
    assert repr(measured.mean_text) == "55"
    assert str(measured.number(2)) == "0.55 ± 0.05"
    assert repr(measured.number(3).mean_text) == "0.550"
    assert str(measured.times(255)) == "140 ± 13"
    assert str(measured.times(255, 1)) == "140.2 ± 12.7"
    assert repr(measured.times(255, 1).percent) == "55 %"
    assert repr(series([0.5])) == "50"


def test_a_negative_number_has_a_minus_sign():
    measured = series([-0.1, -0.12, -0.11])
    assert str(measured) == "−11 ± 2"
    assert repr(measured.percent) == "−11 %"
    assert repr(measured.mean_text) == "−11"
    assert str(measured.number(2)) == "−0.11 ± 0.02"


def test_open_keys_are_shown(attacked):
    assert repr(attacked.x) == "<Measured over net, epsilon>"


@given(by_seed, st.integers(0, 3), st.sampled_from([1, 100, 255]))
def test_what_is_shown_is_the_mean_and_half(numbers, decimals, factor):
    measured = series(numbers).times(factor, decimals)
    mean, half = (float(t.replace("−", "-")) for t in str(measured).split(" ± "))
    error = 0.51 * 10**-decimals
    assert mean == pytest.approx(factor * measured.mean, abs=error)
    assert half == pytest.approx(factor * measured.half, abs=error)


def test_how_it_is_shown_stays(attacked):
    pixel = attacked.x.times(255, 1)
    for part in (pixel.at(net="plain"), pixel - 1, -pixel, pixel + attacked.x, pixel.apply(abs)):
        assert (part.factor, part.decimals) == (255, 1)


# Flags ------------------------------------------------------------------------------------

FLAG = "vanishing-gradients=0.45"
FLAGS = ["", f"{FLAG}; left-ball", ""]


@pytest.mark.parametrize("name", ["accuracy", "robust", "robust at 4/255"])
def test_flags_go_with_the_accuracy_under_attack(name):
    measured = series([0.53, 0.55, 0.57], name=name, flags=FLAGS)
    assert measured.flags == [(), (Flag("vanishing-gradients", 0.45), Flag("left-ball")), ()]
    assert str(measured) == "55 ± 5 ⚑"
    assert str(measured.times(255, 1)).endswith(" ⚑")
    assert str(measured.without_flags) == "55 ± 5"
    assert measured.without_flags.flags == []
    assert measured.without_flags.values == measured.values
    assert "⚑" not in str(measured - 0.1)  # a difference is no accuracy
    assert "⚑" not in str(series([0.5, 0.6], name=name, flags=["", ""]))


@pytest.mark.parametrize("name", ["original", "roughness"])
def test_flags_do_not_belong_to_other_numbers(name):
    measured = series([0.53, 0.55, 0.57], name=name, flags=FLAGS)
    assert measured.flags == []
    assert str(measured) == "55 ± 5"


def test_flags_are_those_of_the_selected_numbers():
    rows = [
        {"seed": s, "radius": r, "accuracy": 0.5 + s / 100}
        | {"flags": FLAG if (s, r) == (1, 8.0) else "" if r < 12 else "left-ball"}
        for s in (0, 1)
        for r in (4.0, 8.0, 12.0)
        if (s, r) != (0, 12.0)
    ]
    measured = Measurements.of(pd.DataFrame(rows), ["radius"])
    for accuracy in (measured.accuracy, measured.at(radius=[4, 8, 12]).accuracy):
        assert accuracy.at(radius=4).flags == [(), ()]
        assert accuracy.at(radius=8).flags == [(), (Flag("vanishing-gradients", 0.45),)]
        assert accuracy.at(radius=12).flags == [(Flag("left-ball"),)]  # of the one measured seed
        assert sum(map(bool, accuracy.flags)) == 2
    assert "⚑" not in str(measured.at(radius=4).accuracy)
    assert str(measured.at(radius=8).accuracy).endswith("⚑")


def test_an_unknown_flag_is_refused():
    with pytest.raises(ValueError, match="kind must be one of"):
        series([0.5], name="accuracy", flags=["looks odd"])


# Curves and functions ----------------------------------------------------------------------


def test_curve():
    measured = table(lambda seed, radius: seed / 100 + radius / 10, radius=(4.0, 8.0, 16.0))
    x, mean, low, high = measured.x.curve()
    assert x == [4, 8, 16]
    assert mean == pytest.approx([41, 81, 161])
    half = 100 * stats.t.ppf(0.975, 2) * 0.01 / 3**0.5
    assert high == pytest.approx([41 + half, 81 + half, 161 + half])
    assert low == pytest.approx([41 - half, 81 - half, 161 - half])
    assert measured.x.number(2).curve()[1] == pytest.approx([0.41, 0.81, 1.61])
    assert all(type(number) is float for line in (x, mean, low, high) for number in line)


def test_a_curve_goes_where_something_was_measured():
    measured = table(
        lambda seed, net, epoch: None if (net, epoch) == ("a", 2) else float(epoch),
        net=("a", "b"),
        epoch=(1, 2, 3),
    )
    assert measured.at(net="a").x.curve()[:2] == ([1, 3], [100, 300])
    assert measured.at(net="b").x.curve()[:2] == ([1, 2, 3], [100, 200, 300])


def test_a_curve_has_one_open_key(attacked):
    with pytest.raises(ValueError, match="a curve needs one open key, got net, epsilon"):
        attacked.x.curve()
    with pytest.raises(ValueError, match="a curve needs one open key, got none"):
        attacked.x.at(net="plain", epsilon=0).curve()


def test_apply_keeps_axes():
    measured = table(lambda seed, ring: seed + ring, ring=(0, 1, 2))
    found = measured.x.apply(lambda x: x.cumsum("ring"))
    assert found.at(ring=2).values == [3, 6, 9]
    assert found.keys == ("ring",)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum("ring"),
        lambda x: x.isel(ring=0) + x.isel(ring=2) + x.isel(ring=1),
        lambda x: x.transpose("ring", "net", "seed").sum("ring"),
    ],
)
def test_apply_drops_an_axis(function):
    measured = table(
        lambda seed, net, ring: None if net == "b" and seed == 1 else seed + ring + 10 * len(net),
        net=("a", "b", "cc"),
        ring=(0, 1, 2),
    )
    found = measured.x.apply(function)
    assert found.keys == ("net",)
    assert found.at(net="cc").values == [63, 66, 69]
    assert (found.at(net="b").seeds, found.at(net="b").values) == ([0, 2], [33, 39])


# At the same accuracy -----------------------------------------------------------------------


def learned(curves, keys=("net",)):
    """From ``{(seed, *labels): [(epoch, original, high), ...]}``, in that order."""
    rows = [
        dict(zip(("seed", *keys), labels, strict=True))
        | {"epoch": epoch, "original": original, "high": high, "flags": ""}
        for labels, points in curves.items()
        for epoch, original, high in points
    ]
    return pd.DataFrame(rows), [*keys, "epoch"]


def measured_of(curves, keys=("net",)):
    return Measurements.of(*learned(curves, keys))


def test_at_accuracy_by_hand():
    curves = {
        (0, "a"): [(1, 0.2, 0.1), (2, 0.4, 0.5), (5, 0.1, 0)],
        (1, "a"): [(1, 0.1, 0.0), (2, 0.2, 0.9), (5, 0.5, 1.0)],
    }
    there = measured_of(curves).at_accuracy(0.25)
    assert there.columns == ["original", "high"]  # what is no number has no share
    assert there.keys == ("net",)
    assert there.high.values == pytest.approx([0.2, 0.9 + 0.1 / 6])
    assert there.original.values == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize(
    ("points", "high"),
    [
        ([(1, 0.4, 0.1), (2, 0.6, 0.3)], math.nan),  # above it when first measured
        ([(1, 0.1, 0.1), (2, 0.2, 0.3)], math.nan),  # never there
        ([(1, 0.4, 0.1), (2, 0.1, 0.2), (3, 0.6, 0.3)], math.nan),  # above, below, above
        ([(1, 0.5, 0.5)], math.nan),  # measured once
        ([(1, 0.2, 0.1), (2, 0.3, 0.4)], 0.4),  # just there
        ([(1, 0.2, 0), (2, 0.4, 0.2), (3, 0.1, 0.8), (4, 0.9, 1)], 0.1),  # the first crossing
        ([(4, 0.9, 1), (2, 0.4, 0.2), (1, 0.2, 0), (3, 0.1, 0.8)], 0.1),  # in any order
        ([(9, 0.2, 0.0), (10, 0.4, 0.2), (100, 0.8, 0.9)], 0.1),  # epochs are numbers
    ],
)
def test_at_accuracy_at_the_edges(points, high):
    other = [(1, 0.2, 0.6), (2, 0.4, 0.8), (7, 0.5, 0.8)]  # a network measured at other epochs
    for curves in ({(0, "a"): points, (0, "b"): other}, {(0, "b"): other, (0, "a"): points}):
        there = measured_of(curves).at_accuracy(0.3)
        assert there.at(net="a").high.values == pytest.approx([high], nan_ok=True)
        assert there.at(net="b").high.values == pytest.approx([0.7])


@st.composite
def training_curves(draw):
    """Networks measured at epochs of their own, by counts of right images, in any order."""
    n = draw(st.sampled_from([50, 1000]))
    kind = draw(st.sampled_from([float, np.float32]))  # stored numbers come from float32
    curves = {}
    for seed in range(draw(st.integers(1, 2))):
        for net in draw(st.sampled_from(["a", "ab", "abc"])):
            epochs = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6, unique=True))
            curves[seed, net] = [
                (e, float(kind(draw(st.integers(0, n)) / n)), draw(st.floats(0, 1))) for e in epochs
            ]
    return curves


@settings(max_examples=30)
@given(training_curves(), st.integers(1, 99))
def test_at_accuracy_row_by_row(curves, percent):
    (rows, keys), level = learned(curves), percent / 100
    there = Measurements.of(rows, keys).at_accuracy(level)
    for column in ("original", "high"):
        for (seed, net), wanted in oracle.at_accuracy(rows, keys, level, column).items():
            found = there.at(net=[net])[column]
            values = dict(zip(found.seeds, found.values, strict=True))
            assert values[seed] == pytest.approx(wanted, abs=1e-6, nan_ok=True)


@settings(max_examples=30)
@given(training_curves())
def test_common_accuracy_row_by_row(curves):
    rows, keys = learned(curves)
    measured = Measurements.of(rows, keys)
    level = measured.common_accuracy()
    assert level == pytest.approx(oracle.common_accuracy(rows, keys))
    for points in curves.values():
        assert max(original for _, original, _ in points) >= level - 1e-6
    assert min(max(o for _, o, _ in points) for points in curves.values()) < level + 0.01 - 1e-7


@pytest.mark.parametrize("number", [float, np.float32])
def test_a_whole_percent_is_reached(number):
    for percent in (1, 7, 28, 29, 55, 56, 57, 58, 99, 100):
        best = float(number(percent / 100))
        measured = measured_of(
            {(0, "a"): [(1, 0.0, 0.0), (2, best, 1.0)], (0, "b"): [(1, 0.0, 0.0), (2, 1.0, 1.0)]}
        )
        level = measured.common_accuracy()
        assert level == pytest.approx(percent / 100)
        there = measured.at_accuracy(level)
        assert there.at(net="a").high.values == pytest.approx([1], abs=1e-5)
        assert there.at(net="b").high.values == pytest.approx([level], abs=1e-5)


WAYS = [("running", "alone"), ("running", "mixed"), ("batch", "alone")]


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(10, 60))
def test_networks_are_matched_by_their_running_statistics(rng_seed, percent):
    """The same weights are tested in several ways, and one without BatchNorm in one only."""
    rng = np.random.default_rng(rng_seed)
    keys, level = ["norm", "epoch", "statistics", "company"], percent / 100
    rows = pd.DataFrame(
        [
            {"seed": seed, "norm": norm, "epoch": epoch, "statistics": way[0], "company": way[1]}
            | dict(zip(("original", "high"), rng.uniform(size=2), strict=True))
            for seed in (0, 1)
            for norm in ("BatchNorm", "none")
            for epoch in (1, 2, 3, 4)
            for way in (WAYS if norm == "BatchNorm" else WAYS[:1])
        ]
    )
    measured = Measurements.of(rows, keys)
    assert measured.common_accuracy() == pytest.approx(oracle.common_accuracy(rows, keys))
    there = measured.at_accuracy(level)
    for labels, wanted in oracle.at_accuracy(rows, keys, level, "high").items():
        seed, norm, statistics, company = labels
        part = there.at(norm=norm, statistics=statistics, company=company).high
        values = dict(zip(part.seeds, part.values, strict=True))
        assert values[seed] == pytest.approx(wanted, abs=1e-9, nan_ok=True)
    narrowed = measured.at(statistics="batch", company="alone", norm="BatchNorm").at_accuracy(level)
    assert narrowed.high.values == pytest.approx(
        there.at(statistics="batch", company="alone", norm="BatchNorm").high.values, nan_ok=True
    )


def test_matching_needs_epochs_and_accuracy():
    curves = {(0, "a"): [(1, 0.2, 0.1), (2, 0.4, 0.5)]}
    for measured in (measured_of(curves).at(epoch=2), table(lambda s, epoch: 1.0, epoch=(1, 2))):
        for match in (measured.common_accuracy, lambda m=measured: m.at_accuracy(0.3)):
            with pytest.raises(ValueError, match="networks can be matched if epoch is open and or"):
                match()
