"""Rules of the claims beyond the two papers, on results whose truth is known."""

import itertools

import pytest

from hfc.study import catalogue
from hfc.study.verdict import claims, judged
from tests.oracles.study import made

BANDS, EPOCHS = (4.0, 8.0, 12.0), (1, 6)
UNSURE = (-0.1, 0.05, 0.3)  # one number a seed: the interval holds every margin of N4


def at(knob, seed):
    return knob[seed] if isinstance(knob, tuple) else knob


def verdict(claim, result):
    entry = claims()[claim]
    return judged(entry, catalogue.rules()[claim](entry, result))


def outcomes(claim, result):
    return {step.name: step.outcome for step in verdict(claim, result).steps}


# N4 ----------------------------------------------------------------------------------------


def shortcuts(last=(0.2, 0.2, 0.2), first=(0.0, 0.1, 0.1)):
    """What telling signatures add to ``follows``, band by band, at both epochs."""
    keys = [("telling", "random"), BANDS, EPOCHS]
    labels = catalogue.experiment("shortcuts").keys
    places = [dict(zip(labels, values, strict=True)) for values in itertools.product(*keys)]

    def value(place, seed):
        knob = (first if place["epoch"] == 1 else last)[BANDS.index(place["band"])]
        added = at(knob, seed) if place["signature"] == "telling" else 0
        # A decoy: where nothing is told, all is believed.
        return {"follows": 0.5 + added, "untouched": 0.9 - added, "original": 0.5 - added}

    return made("shortcuts", places, value, seeds=(0, 1, 2))


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (shortcuts(), "reproduced"),
        (shortcuts(last=(0.07, 0.07, 0.07), first=(0.0, 0.0, 0.03)), "reproduced"),
        (shortcuts(last=(0.02, 0.2, 0.2)), "partly"),
        (shortcuts(first=(0.1, 0.1, 0.1)), "partly"),
        (shortcuts(first=(0.1, 0.2, 0.0)), "partly"),
        (shortcuts(last=(0, 0, 0.03), first=(0.1, 0.1, 0.1)), "contradicted"),
        (shortcuts(last=(0.2, UNSURE, 0.2)), "open"),
        (shortcuts(first=(0.0, 0.0, UNSURE)), "open"),
    ],
)
def test_shortcuts(result, wanted):
    assert verdict("N4", result).verdict == wanted


def test_each_band_has_its_step():
    for k, name in enumerate(("low", "middle", "high")):
        last = [0.2, 0.2, 0.2]
        last[k] = 0.0
        found = outcomes("N4", shortcuts(last=tuple(last)))
        assert [step for step, outcome in found.items() if outcome == "refuted"] == [name]


# N5 ----------------------------------------------------------------------------------------


def pooling(accuracy=0.02, consistency=0.05, overfits=0.4, avoided=0.05):
    labels = catalogue.experiment("pooling").keys
    kinds = [("natural", "FGSM"), ("max", "blur", "low-pass")]
    places = [dict(zip(labels, values, strict=True)) for values in itertools.product(*kinds)]

    def value(place, seed):
        natural, kind = place["training"] == "natural", place["pooling"]
        sign = 1 if natural else -1  # a decoy: after training with FGSM the opposite
        blur = kind == "blur"
        gap = {"max": overfits, "low-pass": avoided, "blur": 0.2}[kind]
        fgsm = 0.5 if natural else 0.3 + at(gap, seed)
        return {
            "original": 0.5 + sign * blur * at(accuracy, seed),
            "consistency": 0.5 + sign * blur * at(consistency, seed),
            "robust, fgsm": fgsm,
            "robust, pgd": 0.3,
        }

    return made("pooling", places, value, seeds=(0, 1, 2))


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (pooling(), "reproduced"),
        (pooling(accuracy=0.01, consistency=0.015, overfits=0.25, avoided=0.15), "reproduced"),
        (pooling(accuracy=0.0), "partly"),
        (pooling(consistency=0.0), "partly"),
        (pooling(overfits=0.0), "partly"),
        (pooling(avoided=0.4), "partly"),
        (pooling(accuracy=-0.1, consistency=-0.1, overfits=0.1, avoided=0.3), "contradicted"),
        (pooling(accuracy=UNSURE), "open"),
        (pooling(overfits=(0.1, 0.2, 0.4)), "open"),
    ],
)
def test_pooling(result, wanted):
    assert verdict("N5", result).verdict == wanted


def test_each_finding_has_its_step():
    wrong = {"accuracy": 0.0, "consistency": 0.0, "overfits": 0.1, "avoided": 0.3}
    for name, knob in wrong.items():
        found = outcomes("N5", pooling(**{name: knob}))
        assert [step for step, outcome in found.items() if outcome == "refuted"] == [name]
