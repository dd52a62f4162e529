"""What claims are judged by, on numbers that are all chance.

The words of each step in ``hfc/study/claims.toml`` say which numbers it takes. Here they are picked
row by row, without the book's own arithmetic. What becomes of them is tested in
``test_study_criteria``.
"""

import dataclasses
import importlib
import itertools
from functools import cache, partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from hfc import frequency, kernels, study
from hfc.study import catalogue, scoreboard, verdict
from hfc.study.biases import networks
from hfc.study.criteria import Estimate
from hfc.study.low_and_high import rules as definition
from hfc.study.measured import Measured
from hfc.study.results import RESULTS, load, path
from hfc.study.robustness import rules as smoothing
from hfc.study.steps import decisive, shown
from hfc.study.verdict import claims, judge, judged, rule
from tests.oracles import study as oracle
from tests.oracles.study import altered, chance, copies, made, minus, pick

NEEDS_NO_RESULT = ("C01", "C17")
VERDICTS = {"reproduced", "partly", "contradicted", "open", "adopted"}
OPTIMIZERS = ("Adam", "AdaGrad", "Adadelta", "RMSprop")
FILTERS = (4, 6, 8, 10, 12, 14, 16)


# Made-up results ----------------------------------------------------------------------------


def grid(**axes):
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def labels(experiment):
    return [condition.label for condition in catalogue.scale(experiment, "cpu").each()]


def base(experiment):
    return catalogue.scale(experiment, "cpu").base


def by_chance(*columns, **fixed):
    def value(place, seed):
        return {name: chance(seed, name, place) for name in columns} | fixed

    return value


def observation(**how):
    def value(place, seed):
        names = ("only_high_and_original", "only_high", "both", "high_constant")
        return {name: round(3000 * chance(seed, name, place)) for name in names} | {"n": 10_000}

    places = grid(copies=("raw", "mean added"), radius=(0.0, 2.0, 4.0, 5.0, 8.0, 16.0))
    return made("observation", places, value, **how)


def kernels_(**how):
    places = [a | b for a in labels("kernels") for b in grid(radius=(4.0, 8.0, 12.0))]
    value = by_chance("roughness", "drawn roughness", "norm", "original", "high + mean", "low")
    return made(
        "kernels", places, lambda p, s: value(p, s) | {"robust at 4/255": chance(s, p)}, **how
    )


def smoothing_(**how):
    own = base("smoothing")
    axes = {"epsilon": own.epsilons}
    ways = grid(attack=("fgsm", "pgd"), protocol=("fixed", "minimum"))
    ways += grid(attack=("pgd, small logits", "pgd, transferred"), protocol=("fixed",))
    forms = [("as published", rho) for rho in own.rhos] + [("normalised", r) for r in own.rhos[1:]]
    places = []
    for label, (form, rho) in itertools.product(labels("smoothing"), forms):
        more = [{"attack": "apgd", "protocol": "fixed"}] if form[0] == "a" and rho in (0, 1) else []
        for way, at in itertools.product(ways + more, grid(**axes)):
            places.append(label | {"rho": rho, "form": form} | way | at)
    return made("smoothing", places, by_chance("accuracy", "logits", flags=""), **how)


def remedies(**how):
    own = base("kernel-remedies")
    axes = {"kernel_radius": own.kernel_radii, "attack": ("pgd", "apgd"), "epsilon": own.epsilons}
    places = [a | b for a in labels("kernel-remedies") for b in grid(**axes)]
    return made("kernel-remedies", places, by_chance("accuracy", "roughness", flags=""), **how)


def filters(**how):
    own = base("filter-defence")
    attacks = ("naive", "adaptive", "low", "rounded")
    places = grid(radius=[float(r) for r in own.radii], attack=attacks, epsilon=own.epsilons)

    def value(place, seed):
        share = round(chance(seed, "gone", place), 3)
        return {"accuracy": chance(seed, place), "flags": f"vanishing-gradients={share}"}

    return made("filter-defence", places, value, **how)


def tradeoff(**how):
    own = base("tradeoff")
    axes = {"radius": [float(r) for r in own.radii], "epsilon": own.epsilons}
    places = [a | b for a in labels("tradeoff") for b in grid(**axes)]

    def value(place, seed):
        where = {k: v for k, v in place.items() if k != "radius"}
        names = ("robust", "joint_bound", "robust, apgd")
        own = {name: chance(seed, name, where) for name in names}
        return own | {"bound": chance(seed, place), "flags": ""}

    return made("tradeoff", places, value, **how)


def batch_attack(**how):
    ways = {"none": [("running", "own")]}
    ways["BatchNorm"] = [("running", "own"), ("batch", "own"), ("batch", "transferred")]
    places = [
        {"norm": norm, "statistics": statistics, "attack": attack, "epsilon": epsilon}
        for norm, listed in ways.items()
        for (statistics, attack), epsilon in itertools.product(
            listed, base("batch-attack").epsilons
        )
    ]
    return made("batch-attack", places, by_chance("accuracy", flags=""), **how)


MADE = {
    "observation": observation,
    "kernels": kernels_,
    "smoothing": smoothing_,
    "kernel-remedies": remedies,
    "filter-defence": filters,
    "tradeoff": tradeoff,
    "batch-attack": batch_attack,
}


def results_of(claim, **how):
    """Made-up results in the order that a claim names them."""
    entry = claims()[claim]
    names = [entry[key] for key in ("experiment", "also") if key in entry] + entry.get("others", [])
    return [MADE.get(name, partial(copies, name))(**how) for name in names]


def taken(claim, *results):
    return catalogue.rules()[claim](claims()[claim], *results)


# What each step takes, picked row by row ------------------------------------------------------


def r(radius):
    return f"r = {radius:g}"


def scaled(values, factor):
    return {seed: factor * value for seed, value in values.items()}


def gap(result, **where):
    return minus(
        *(pick(result, "original", images=images, **where) for images in ("train", "test"))
    )


def observed(result):
    def share(radius, *columns):
        parts = [pick(result, c, copies="raw", radius=radius) for c in columns]
        return [sum(part[seed] for part in parts) / 10_000 for seed in parts[0]]

    def above_constant(radius):
        both = zip(share(radius, "only_high", "both"), share(radius, "high_constant"), strict=True)
        return [a - b for a, b in both]

    of = partial(Estimate.of, images=10_000, fixed=True)
    radii = (4.0, 5.0, 8.0, 16.0)
    return {
        "images": {r(x): of(share(x, "only_high_and_original")) for x in radii},
        "constant": {r(x): of(above_constant(x)) for x in radii},
    }


def learned_first(result):
    def kept(radius, seed):
        rows = [
            row
            for unit in result.units
            for row in unit.records
            if unit.seed == seed
            and (row["labels"], row["images"], row["radius"]) == ("true", "train", radius)
        ]
        rows.sort(key=lambda row: row["epoch"])
        early = next(row for row in rows if row["original"] >= 0.3)
        return early["low"] / early["original"] - rows[-1]["low"] / rows[-1]["original"]

    return {r(x): {"": {seed: kept(x, seed) for seed in oracle.SEEDS}} for x in (4, 8)}


def matched(result, level, column, keys=None, **where):
    """A column when a network reaches a level, by seed; ``where`` names the network."""
    keys = result.keys if keys is None else keys
    found = oracle.at_accuracy(result.table, keys, level, column)
    others = ["seed", *(k for k in keys if k != "epoch")]
    picked = {}
    for place, value in found.items():
        named = dict(zip(others, place, strict=True))
        if all(named[key] == wanted for key, wanted in where.items()):
            picked[named["seed"]] = value
    return picked


def only(result, **where):
    """A result with those records only; a tuple of values keeps any of them."""

    def keep(row):
        return all(row[k] in (v if isinstance(v, tuple) else (v,)) for k, v in where.items())

    kept = altered(result, lambda records: [row for row in records if keep(row)])
    return dataclasses.replace(kept, units=[unit for unit in kept.units if unit.records])


def levels(result):
    best = oracle.common_accuracy(result.table, result.keys)
    return {f"{100 * level:.0f} %": level for level in (best, best - 0.05, best - 0.1)}


def memorised(result):
    train = only(result, images="train", labels=("true", "all shuffled"))

    def lag(radius, level):
        shuffled, true = (
            matched(train, level, "low", labels=name, radius=radius)
            for name in ("all shuffled", "true")
        )
        return minus(shuffled, true)

    def carried(radius):
        where = {"labels": "all shuffled", "images": "train", "epoch": 60, "radius": radius}
        return {seed: v - 0.1 for seed, v in pick(result, "high + mean", **where).items()}

    return {
        f"lag, {r(x)}": {f"at {100 * level:.0f} %": lag(x, level) for level in (0.4, 0.5, 0.6)}
        for x in (4, 8)
    } | {"carried": {r(x): carried(x) for x in (4, 8)}}


def on_component(result):
    def right(kind, radius, column):
        where = {"trained_on": kind, "train_radius": radius, "radius": radius, "images": "test"}
        return pick(result, column, **where)

    radii = (4, 8, 12, 16)
    return {
        "originals": {
            r(x): minus(right("low", x, "original"), right("high", x, "original")) for x in radii
        },
        "not at all": {r(x): right("high", x, "original") for x in radii},
        "matching": {r(x): minus(right("low", x, "low"), right("high", x, "high")) for x in radii},
    }


def batch_sizes(result):
    pairs = {
        "same epochs": (("same epochs", 10), ("same epochs", 1000)),
        "same steps": (("same epochs", 100), ("same steps", 1000)),
    }

    def compared(value, radius=8):
        return {
            text: minus(*(value(budget=b, batch_size=size, radius=radius) for b, size in pair))
            for text, pair in pairs.items()
        }

    test = partial(pick, result, "original", images="test")
    high = partial(pick, result, "high + mean", images="test")
    return {
        "accuracy": compared(test),
        "gap": compared(partial(gap, result)),
        "high": {f"{t}, {r(x)}": v for x in (4, 8) for t, v in compared(high, x).items()},
    }


def at_the_end(result, heuristic, column, radius, images="test"):
    where = {"heuristic": heuristic, "images": images, "radius": radius, "epoch": 10}
    return pick(result, column, **where)


def than_plain(result, heuristic, column, radius):
    return minus(*(at_the_end(result, name, column, radius) for name in (heuristic, "vanilla")))


def vanilla(result):
    low = partial(at_the_end, result, "vanilla", "low")
    return {
        "rises": {f"r = {a} to {b}": minus(low(b), low(a)) for a, b in ((4, 8), (8, 12))},
        "blind": {r(x): at_the_end(result, "vanilla", "high", x) for x in (4, 8, 12, 16)},
    }


def dropout(result):
    change = partial(than_plain, result, "dropout")
    return {"accuracy": {"": change("original", 4)}} | {
        name: {r(x): change(name, x) for x in (4, 8, 12, 16)} for name in ("low", "high")
    }


def mixup(result):
    change = partial(than_plain, result, "mixup")
    return {"accuracy": {"": change("original", 4)}} | {
        r(x): {"": change("high", x)} for x in (4, 8)
    }


def adversarial(result):
    def lead(column, radius):
        return scaled(than_plain(result, "adversarial", column, radius), -1)

    gaps = [gap(result, heuristic=h, radius=8, epoch=10) for h in ("vanilla", "adversarial")]
    return {
        "accuracy": {"": lead("original", 8)},
        "gap": {"": minus(*gaps)},
        "less": {r(x): lead("high + mean", x) for x in (4, 8)},
        "ignored": {r(x): at_the_end(result, "adversarial", "high", x) for x in (8, 12, 16)},
    }


PAPER = {"BatchNorm": (0.65, 0.54, 0.39, 0.19), "none": (0.10, 0.10, 0.17, 0.13)}


def by_level(result, value, radii):
    return {
        f"{r(x)} at {text}": value(x, level)
        for text, level in levels(result).items()
        for x in radii
    }


def high_of(result, norm, statistics, column, radius, level):
    where = {"norm": norm, "statistics": statistics, "company": "alone", "radius": radius}
    return matched(result, level, column, **where)


def published(norm, radius):
    return PAPER[norm][(4, 8, 12, 16).index(radius)]


def published_level(deep):
    def far(statistics, column, sign=1):
        def value(radius, level):
            found = high_of(deep, "BatchNorm", statistics, column, radius, level)
            return {s: sign * (v - published("BatchNorm", radius)) for s, v in found.items()}

        return value

    return {
        "raw": by_level(deep, far("batch", "high"), (4, 8, 12, 16)),
        "scaled": by_level(deep, far("batch", "high, scaled"), (4, 8, 12, 16)),
        "not by running statistics": by_level(deep, far("running", "high", -1), (4, 8)),
    }


def what_batch_norm_adds(small, deep):
    small = only(small, inputs="normalised", optimizer="SGD", norm=("none", "BatchNorm"))
    deep = only(deep, norm=("none", "BatchNorm"))

    def adds(result, column, radius, level):
        return minus(
            *(high_of(result, n, "running", column, radius, level) for n in ("BatchNorm", "none"))
        )

    return {
        f"{name}, {text}": by_level(result, partial(adds, result, column), (4, 8))
        for name, result in (("small", small), ("32 layers", deep))
        for text, column in (("raw", "high"), ("mean", "high + mean"))
    }


def contrast(deep):
    deep = only(deep, norm=("none", "BatchNorm"))

    def plain(radius, level):
        found = high_of(deep, "none", "running", "high", radius, level)
        return {seed: value - published("none", radius) for seed, value in found.items()}

    def difference(radius, level):
        found = high_of(deep, "BatchNorm", "batch", "high", radius, level)
        theirs = published("BatchNorm", radius) - published("none", radius)
        without = high_of(deep, "none", "running", "high", radius, level)
        return {seed: value - theirs for seed, value in minus(found, without).items()}

    return {"contrast": by_level(deep, difference, (4, 8)), "plain": by_level(deep, plain, (4, 8))}


def architectures(result):
    def against(value, sign):
        return {
            name: scaled(minus(value(architecture="ResNet"), value(architecture=name)), sign)
            for name in ("LeNet", "AlexNet", "VGG")
        }

    at = {"radius": 8, "images": "test"}
    return {
        "accuracy": against(partial(pick, result, "original", **at), 1),
        "gap": against(partial(gap, result, radius=8), -1),
        "high": against(partial(pick, result, "high + mean", **at), -1),
    }


def optimizers(result):
    test = only(result, images="test")

    def against(high):
        return {
            f"{name}, {r(x)}": minus(high("SGD", x), high(name, x))
            for name in OPTIMIZERS
            for x in (4, 8)
        }

    def last(name, radius):
        return pick(test, "high", optimizer=name, radius=radius, epoch=10)

    same = {}
    for text, level in levels(test).items():

        def there(name, radius, level=level):
            return matched(test, level, "high", optimizer=name, radius=radius)

        same |= {f"{label} at {text}": value for label, value in against(there).items()}
    return {"epochs": against(last), "accuracy": same}


def trained_on_low(result):
    def gain(column, radius):
        return minus(
            *(
                pick(result, column, norm=n, train_radius=str(radius), images="test", radius=radius)
                for n in ("BatchNorm", "none")
            )
        )

    return {
        step: {"": minus(gain(column, 16), gain(column, 4))}
        for step, column in (("originals", "original"), ("copies", "low"))
    }


def bound(result):
    def binds(epsilon):
        at = partial(pick, result, training="natural", radius=2.0)
        return minus(at("robust", epsilon=0.0), at("joint_bound", epsilon=epsilon / 255))

    return {
        "usual": {"8/255": binds(8)},
        "larger": {f"{e}/255": binds(e) for e in (16, 32, 64, 128)},
    }


def smooth_kernels(result):
    def over(other, size):
        own, theirs = (
            pick(result, "roughness", training=name, kernel=size, radius=8)
            for name in ("adversarial", other)
        )
        return {seed: own[seed] / theirs[seed] - 1 for seed in own if seed in theirs}

    return {
        f"{name}, {size}x{size}": {"": over(other, size)}
        for name, other in (("natural", "natural"), ("decayed", "natural, decayed"))
        for size in ("3", "5")
    }


def smoothed(result, training, rho, attack, protocol, epsilon):
    where = {"attack": attack, "protocol": protocol, "epsilon": epsilon}
    return pick(result, "accuracy", training=training, rho=rho, form="as published", **where)


def smoothing_costs(result):
    clean = [smoothed(result, "natural", rho, "pgd", "fixed", 0.0) for rho in (0, 1)]
    return {"cost": {"": minus(*clean)}}


def counted(values, attack):
    return Estimate.of(list(values.values()), images=100 if attack == "apgd" else 1000)


WAYS = {"minimum": ("pgd", "minimum"), "fixed": ("pgd", "fixed"), "autoattack": ("apgd", "fixed")}


def smoothing_helps(result):
    return {
        step: {
            f"epsilon {e:g}": counted(
                minus(*(smoothed(result, "natural", rho, *way, e) for rho in (1, 0))), way[0]
            )
            for e in (0.03, 0.06, 0.09)
        }
        for step, way in WAYS.items()
    }


def smoothing_overtakes(result):
    found = {}
    for step in ("minimum", "autoattack"):
        lead = minus(
            smoothed(result, "natural", 1, *WAYS[step], 0.09),
            smoothed(result, "adversarial", 0, *WAYS[step], 0.09),
        )
        found[step] = {"": counted(lead, WAYS[step][0])}
    return found


def filter_defence(result):
    def left(attack, radius, epsilon, column="accuracy"):
        return pick(result, column, attack=attack, radius=radius, epsilon=epsilon / 255)

    def half(values):
        return scaled(values, 0.5)

    gone = {
        x: [float(text.split("=")[1]) for text in left("adaptive", x, 4, "flags").values()]
        for x in FILTERS
    }
    return {
        "stops": {r(x): minus(left("naive", x, 4), half(left("naive", x, 0))) for x in FILTERS},
        "does not last": {
            r(x): minus(left("adaptive", x, 4), half(left("naive", x, 4))) for x in FILTERS
        },
        "masks gradients": {r(x): Estimate.of(gone[x]) for x in FILTERS},
    }


def marginal(result):
    def robust(penalty, radius, epsilon):
        where = {"penalty": penalty, "kernel_radius": radius, "epsilon": epsilon / 255}
        return pick(result, "accuracy", attack="apgd", **where)

    ways = {f"low-pass {x:g}": ("0.0", x) for x in (1, 1.5, 2, 2.3)}
    ways |= {f"penalty {p}": (p, 3) for p in ("0.003", "0.03", "0.3")}
    points, shares = {}, {}
    for (text, way), e in itertools.product(ways.items(), (2, 4, 8)):
        points[f"{text}, {e}/255"] = minus(robust(*way, e), robust("0.0", 3, e))
        kept = [
            {seed: robust(*w, e)[seed] / clean for seed, clean in robust(*w, 0).items()}
            for w in (way, ("0.0", 3))
        ]
        shares[f"{text}, {e}/255, of clean accuracy"] = minus(*kept)
    return {"marginal": points | shares, "some": points}


def vulnerable(result):
    def kept(norm, statistics, epsilon):
        at = partial(pick, result, "accuracy", norm=norm, statistics=statistics, attack="own")
        clean = at(epsilon=0.0)
        return {s: v / clean[s] for s, v in at(epsilon=epsilon / 255).items()}

    def lead(statistics, sign):
        return {
            f"{e}/255": scaled(
                minus(kept("BatchNorm", statistics, e), kept("none", "running", e)), sign
            )
            for e in (1, 2)
        }

    return {"by running statistics": lead("running", -1), "by batch statistics": lead("batch", 1)}


WANTED = {
    "C02": observed,
    "C04": learned_first,
    "C05": memorised,
    "C06": on_component,
    "C07": batch_sizes,
    "C08": vanilla,
    "C09": dropout,
    "C10": mixup,
    "C11a": published_level,
    "C11b": what_batch_norm_adds,
    "C11c": contrast,
    "C12": adversarial,
    "C13": architectures,
    "C14": optimizers,
    "C15": trained_on_low,
    "C03": bound,
    "C16": smooth_kernels,
    "C18a": smoothing_costs,
    "C18b": smoothing_helps,
    "C18c": smoothing_overtakes,
    "C21": filter_defence,
    "C22": marginal,
    "N2": vulnerable,
}


def numbers(steps):
    """Everything that steps hold, as plain numbers."""

    def plain(value):
        if isinstance(value, Measured):
            return dict(zip(value.seeds, value.values, strict=True))
        return dataclasses.asdict(value) if isinstance(value, Estimate) else value

    return {
        f"{step}: {label}": {k: pytest.approx(v, abs=1e-9) for k, v in plain(value).items()}
        for step, listed in steps.items()
        for label, value in listed.items()
    }


@pytest.mark.parametrize("claim", WANTED)
def test_steps_take_what_their_words_say(claim):
    results = results_of(claim)
    found = taken(claim, *results)
    assert list(found) == [step["name"] for step in claims()[claim]["step"]]
    assert numbers(found) == numbers(WANTED[claim](*results))


@pytest.mark.parametrize("claim", ["C12", "C16", "C18c"])
def test_seeds_that_one_side_lacks_count_for_nothing(claim):
    whole = results_of(claim)
    fewer = [
        dataclasses.replace(
            result,
            units=[
                u
                for u in result.units
                if u.seed != oracle.SEEDS[-1] or "adversarial" not in u.label.values()
            ],
        )
        for result in whole
    ]
    found = taken(claim, *fewer)
    assert numbers(found) == numbers(WANTED[claim](*fewer))
    assert numbers(found) != numbers(taken(claim, *whole))


@pytest.mark.parametrize("claim", WANTED)
def test_nan_stops_a_rule(claim):
    results = []
    for result in results_of(claim):

        def spoil(records, keys=result.keys):
            numbers = {
                name: float("nan")
                for name, value in records[0].items()
                if name not in keys and not isinstance(value, str)
            }
            return [row | numbers for row in records]

        results.append(altered(result, spoil))
    with pytest.raises(ValueError, match="NaN"):
        judged(claims()[claim], taken(claim, *results))


def test_attacks_that_were_not_run_leave_a_step_open():
    weak = altered(smoothing_(), lambda rows: [row for row in rows if row["attack"] != "apgd"])
    for claim in ("C18b", "C18c"):
        found = judged(claims()[claim], taken(claim, weak))
        assert {step.name: step.outcome for step in found.steps}["autoattack"] == "open"
    weak = altered(remedies(), lambda rows: [row for row in rows if row["attack"] != "apgd"])
    assert judged(claims()["C22"], taken("C22", weak)).verdict == "open"


# N1, over networks ----------------------------------------------------------------------------


@cache
def all_networks():
    return results_of("N1")


def test_networks_are_rows_of_means():
    table = networks(all_networks())
    last = {"heuristic": "mixup", "images": "test", "epoch": 10}
    own = pick(all_networks()[0], "original", radius=8, **last)
    high = pick(all_networks()[0], "high + mean", radius=8, **last)
    row = table.loc[("heuristics", "mixup")]
    assert row["accuracy"] == pytest.approx(np.mean(list(own.values())))
    kept = [(high[seed] - 0.1) / (own[seed] - 0.1) for seed in own]
    assert row["high + mean, r = 8"] == pytest.approx(np.mean(kept))
    assert table.index.is_unique
    assert not any("LFC only" in name for _, name in table.index)
    assert set(table[table["robust"].notna()].index.get_level_values(0)) == {"kernels"}


def test_what_reads_high_frequencies_is_set_beside_accuracy():
    table, found = networks(all_networks()), taken("N1", *all_networks())
    high = table["high + mean, r = 8"]
    wanted = stats.spearmanr(high, table["accuracy"]).statistic
    assert found["accuracy"][""].value == pytest.approx(wanted)
    robust = table["robust"].notna()
    wanted = stats.spearmanr(high[robust], table["robust"][robust]).statistic
    assert found["not robustness"][""].value == pytest.approx(wanted)
    alone = {name: estimate.value for name, estimate in found["no single one"].items()}
    assert set(alone) == set(table) - {"accuracy", "robust"}
    for name, value in alone.items():
        wanted = abs(stats.spearmanr(table[name], table["accuracy"]).statistic)
        assert value == pytest.approx(wanted)


# C01 and C17, definitions ---------------------------------------------------------------------


def verdict_on(claim):
    return judged(claims()[claim], taken(claim)).verdict


def test_the_definition_is_ours():
    assert verdict_on("C01") == "reproduced"


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("radial_mask", lambda h, w, r: frequency.radial_mask(h, w, r, closed=False)),
        ("radial_mask", lambda h, w, r: frequency.radial_mask(h, w, r - 0.1)),
        ("split", lambda x, r: (x, x)),
        ("split", lambda x, r: (x - 0.01, torch.zeros_like(x))),
    ],
    ids=["open", "smaller", "too much", "too little"],
)
def test_a_broken_definition_is_seen(name, broken, monkeypatch):
    monkeypatch.setattr(definition, name, broken)
    assert verdict_on("C01") == "contradicted"


def convolved(weight, rho, mode="replicate", window=((1, 1, 1), (1, 0, 1), (1, 1, 1))):
    """Equation 3 as a convolution of each kernel, and what it is not."""
    flat = weight.flatten(0, 1)[:, None]
    padded = F.pad(flat, (1, 1, 1, 1), mode=mode)
    return (flat + rho * F.conv2d(padded, torch.tensor([[window]]).float())).reshape(weight.shape)


RIGHT = {"ours": kernels.smooth, "by convolution": convolved}
WRONG = {
    # The authors' PyTorch version: code for TensorFlow's order of axes.
    "across filters": lambda w, rho: kernels.smooth(w.permute(2, 3, 0, 1), rho).permute(2, 3, 0, 1),
    "zeros around": partial(convolved, mode="constant"),
    "reflected": partial(convolved, mode="reflect"),
    "wrapped around": partial(convolved, mode="circular"),
    "centre counted": partial(convolved, window=((1, 1, 1),) * 3),
    "four neighbours": partial(convolved, window=((0, 1, 0), (1, 0, 1), (0, 1, 0))),
    "normalised": partial(kernels.smooth, normalised=True),
    "mean of neighbours": lambda w, rho: kernels.smooth(w, rho / 8),
    "neighbours only": lambda w, rho: kernels.smooth(w, rho) - w,
    "not at all": lambda w, rho: w,
    "one weight off": lambda w, rho: kernels.smooth(w, rho) + 1e-3 * (w == w[-1, -1, -1, -1]),
}


@pytest.mark.parametrize("name", [*RIGHT, *WRONG])
def test_smoothing_as_defined(name, monkeypatch):
    monkeypatch.setattr(smoothing, "smooth", (RIGHT | WRONG)[name])
    assert verdict_on("C17") == ("reproduced" if name in RIGHT else "contradicted")


# Verdicts -------------------------------------------------------------------------------------


def numbers_for(step, outcome):
    """One estimate for which a step has this outcome."""
    factor = 100 if step.get("unit", "points") in ("points", "%") else 1
    side = next(side for side in ("above", "below", "within") if side in step)
    margin, far = step[side] / factor, 0.5
    centre = {"above": margin + far, "below": margin - far, "within": 0.0}[side]
    if outcome == "refuted":
        centre = {"above": margin - far, "below": margin + far, "within": margin + far}[side]
    spread = 1e-4 if outcome != "open" else 30.0
    return {"": Estimate(centre, spread, 4, 5)}


WITH_STEPS = [name for name, claim in claims().items() if "step" in claim]
TESTED = [name for name in WITH_STEPS if name not in NEEDS_NO_RESULT]
BEYOND = {"N4", "N5"} | {
    "C19",
    "O1",
    "O2",
    "O3",
    "O4",
}  # test_study_rules_beyond, test_study_detection


@pytest.mark.parametrize("claim", TESTED)
def test_every_claim_can_be_reproduced_contradicted_open_and_partly(claim):
    steps = claims()[claim]["step"]

    def verdict_with(*outcomes):
        pairs = zip(steps, itertools.cycle(outcomes), strict=False)
        return judged(claims()[claim], {s["name"]: numbers_for(s, o) for s, o in pairs})

    for outcome, word in (("met", "reproduced"), ("refuted", "contradicted"), ("open", "open")):
        found = verdict_with(outcome)
        assert found.verdict == word
        assert [step.outcome for step in found.steps] == [outcome] * len(steps)
        assert found.seeds == 5
    if len(steps) > 1:
        assert verdict_with("met", "refuted").verdict == "partly"


def test_steps_must_be_those_of_the_claim():
    with pytest.raises(ValueError, match="steps must be cost, got price"):
        judged(claims()["C18a"], {"price": {}})


@pytest.fixture
def stored(monkeypatch):
    """What is stored, by experiment: to be filled."""
    results = {}

    def load(experiment, **where):
        assert where == {"scale": "paper", "dataset": "mnist"}
        if experiment not in results:
            raise FileNotFoundError
        return results[experiment]

    monkeypatch.setattr(importlib.import_module("hfc.study.verdict"), "load", load)
    return results


def elsewhere(claim):
    return judge(claim, scale="paper", dataset="mnist").verdict


def needed(claim):
    entry = claims()[claim]
    return [entry[key] for key in ("experiment", "also") if key in entry] + entry.get("others", [])


@pytest.mark.parametrize("claim", [claim for claim in TESTED if claim not in BEYOND])
def test_without_a_result_or_with_one_seed_nothing_is_tested(claim, stored):
    assert elsewhere(claim) == "not tested"
    stored |= dict(zip(needed(claim), results_of(claim, seeds=(2,)), strict=True))
    assert elsewhere(claim) == "not tested"
    stored |= dict(zip(needed(claim), results_of(claim, seeds=(3, 4)), strict=True))
    assert elsewhere(claim) in VERDICTS


@pytest.mark.parametrize("missing", ["batchnorm", "batchnorm-resnet32"])
def test_a_claim_about_two_networks_needs_both(missing, stored):
    stored |= dict(zip(needed("C11b"), results_of("C11b"), strict=True))
    assert elsewhere("C11b") in VERDICTS
    del stored[missing]
    assert elsewhere("C11b") == "not tested"


def test_what_needs_no_result_is_judged_anyway(stored):
    for claim in claims():
        wanted = "reproduced" if claim in NEEDS_NO_RESULT else "not tested"
        assert elsewhere(claim) == wanted


def test_a_damaged_result_is_no_verdict(monkeypatch):
    def damaged(*_, **__):
        raise ValueError("it is damaged")

    monkeypatch.setattr(importlib.import_module("hfc.study.verdict"), "load", damaged)
    with pytest.raises(ValueError, match="it is damaged"):
        scoreboard()


def test_a_rule_that_cannot_be_followed_names_its_claim(stored, monkeypatch):
    def rule(claim, *found):
        raise ValueError("no network reaches 65 %")

    stored["heuristics"] = copies("heuristics")
    monkeypatch.setitem(catalogue.rules(), "C08", rule)
    with pytest.raises(ValueError, match=r"^C08 cannot be judged: no network reaches 65 %$"):
        elsewhere("C08")


def test_a_claim_that_is_none():
    with pytest.raises(KeyError, match="C99"):
        judge("C99")
    with pytest.raises(KeyError, match="C99"):
        verdict("C99")


def test_verdicts_in_words():
    words = {"partly": "partly reproduced"}
    for claim in ("C01", "C02", "C08", "C09", "C17", "C23"):
        found = judge(claim).verdict
        assert repr(verdict(claim)) == str(verdict(claim)) == words.get(found, found)


# All claims -------------------------------------------------------------------------------------


def test_claims():
    for entry in claims().values():
        assert entry["status"] in {"S", "D", "M"}
        assert {"source", "statement"} <= entry.keys()
        assert ("step" in entry) != entry.get("proposal", False)
        for key in ("name", "text"):
            told = [step[key] for step in entry.get("step", [])]
            assert len(set(told)) == len(told)
    blog = claims()["C02"]["blog"]
    for row in blog["sweep"]:
        cells = dict(zip(blog["columns"], row, strict=True))
        assert sum(cells.values()) - cells["radius"] == 10_000


def test_every_claim_has_a_rule_and_every_rule_a_claim():
    assert catalogue.rules().keys() == claims().keys()
    for name, claim in claims().items():
        assert ("experiment" in claim) == (name not in NEEDS_NO_RESULT)
    assert set(WANTED) == set(TESTED) - {"N1"} - BEYOND


@pytest.mark.parametrize("claim", WITH_STEPS)
def test_a_rule_in_words_has_the_margins_of_its_steps(claim):
    sentences = rule(claim)
    assert len(sentences) == len(claims()[claim]["step"])
    for sentence, step in zip(sentences, claims()[claim]["step"], strict=True):
        assert sentence.startswith(step["text"])
        for side in ("above", "below", "within"):
            if side in step:
                assert f"{side} " in sentence
                assert f"{step[side]:g}" in sentence
        assert ("Holm" in sentence) == (step.get("needs") == "any")


def test_the_scoreboard_of_the_reference_results():
    board = scoreboard()
    assert list(board.index) == list(claims())
    assert board.index.name == "claim"
    for name, row in board.iterrows():
        assert row["statement"] == claims()[name]["statement"]
        assert row["verdict"] == judge(name).verdict
        there = all(
            path(RESULTS, e, "cpu", catalogue.reference_data(e)).is_file() for e in needed(name)
        )
        assert row["verdict"] in (VERDICTS if there else {"not tested"}), name
    assert set(board["verdict"][list(NEEDS_NO_RESULT)]) == {"reproduced"}
    assert board.loc["C23", "verdict"] == "adopted"


def test_the_steps_of_the_reference_results_in_a_table():
    names = ("C08", "C12", "C22")
    frame = study.steps(*names).frame
    steps = [step for name in names for step in judge(name).steps]
    assert [text for _, text in frame.index] == [step.text for step in steps]
    for (_, row), step in zip(frame.iterrows(), steps, strict=True):
        assert row["outcome"].endswith(step.outcome)
        chosen = decisive(step)
        if chosen is None:
            assert row["ours"] == "not measured yet"
            continue
        assert row["ours"] == shown(step, chosen)
        worst = {c.outcome for c in step.judged}
        if step.needs == "all":
            assert chosen.outcome == next(o for o in ("refuted", "open", "met") if o in worst)


def test_reference_results_have_seeds_enough_for_a_verdict():
    for name in {claim["experiment"] for claim in claims().values() if "experiment" in claim}:
        dataset = catalogue.reference_data(name)
        if path(RESULTS, name, "cpu", dataset).is_file():  # else it is awaited
            assert len(load(name, dataset=dataset, folder=RESULTS).seeds) >= 2
