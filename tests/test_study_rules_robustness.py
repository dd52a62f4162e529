"""Chapter 5's rules, on results whose truth is known.

What a table must give follows from the words of the rule in ``hfc/study/claims.toml``. By default
a decoy is the opposite of what would be reproduced. A list or dict holds several knobs.
"""

import itertools
from functools import cache, partial

import pytest
import torch
import torch.nn.functional as F

from hfc import kernels
from hfc.intervals import mean_interval
from hfc.study import catalogue
from hfc.study.robustness import rules
from tests.oracles.study import (
    CHANGES,
    NONE,
    UNSURE,
    WIDE,
    altered,
    at,
    less,
    made,
    ruled,
)

EPSILONS = (0, 1, 2, 4, 8, 16, 32, 64, 128)  # of C03, times 255
PUBLISHED = (3, 6, 9)  # epsilons of C18, times 100
FILTERS = (4, 6, 8, 10, 12, 14, 16)  # C21
REMEDIES = (1, 1.5, 2, 2.3, "0.003", "0.03", "0.3")  # C22: radii of low-passes, and penalties


# Tables -----------------------------------------------------------------------------------


NEVER = [{"rho": 0, "form": "normalised"}]
NEVER += [{"attack": f"pgd, {of}", "protocol": "minimum"} for of in ("small logits", "transferred")]


@cache
def places(experiment):
    """Labels of every record of one seed, as the experiment would give them."""
    chosen, keys = catalogue.scale(experiment, "cpu"), catalogue.experiment(experiment).keys
    axes = {"form": ("as published", "normalised")}
    axes["attack"] = ("fgsm", "pgd", "pgd, small logits", "pgd, transferred")
    axes["protocol"] = ("fixed", "minimum")
    plurals = {key: f"{key}s".replace("radiuss", "radii") for key in keys}
    axes |= {k: getattr(chosen.base, of) for k, of in plurals.items() if hasattr(chosen.base, of)}
    axes = {key: axes[key] for key in keys if key in axes}
    found = [
        labels | dict(zip(axes, values, strict=True))
        for labels, _ in chosen.conditions
        for values in itertools.product(*axes.values())
    ]
    return [place for place in found if not any(n.items() <= place.items() for n in NEVER)]


def attacked(experiment, value, **how):
    # A kernel's roughness and the joint bound are the same at every radius.
    alike = ("radius",) if experiment in ("kernels", "tradeoff") else ()
    found = made(experiment, places(experiment), value, alike=lambda column: alike, **how)
    return {experiment: found}


def since(first, value, before=0.0):
    """C03. What is lost from an epsilon on, in units of 1/255."""
    return {e: 0.0 if e == 0 else value if e >= first else before for e in EPSILONS}


LOST = since(8, 0.05)


def joint_bound(lost=LOST, clean=0.8, elsewhere=-0.1, **how):
    """C03. Clean accuracy minus the joint bound; ``elsewhere``: other networks, bounds, PGD."""

    def value(place, seed):
        epsilon, before = round(255 * place["epsilon"]), at(clean, seed)
        asked = place["training"] == "natural"
        return {
            "joint_bound": before - (at(lost[epsilon], seed) if asked else elsewhere),
            "bound": before - elsewhere,
            "robust": before - elsewhere * (epsilon > 0),
        }

    return attacked("tradeoff", value, **how)


def roughness(natural=(0.3,) * 2, decayed=(0.3,) * 2, elsewhere=-0.3, **how):
    """C16. How much rougher 3x3 and 5x5 kernels are than after adversarial training."""
    knobs = {"natural": natural, "natural, decayed": decayed}

    def value(place, seed):
        decoy = 0.0 if place["training"] == "adversarial" else elsewhere
        row = dict.fromkeys(("roughness", "high_share", "norm", "drawn roughness"), 1 + decoy)
        if place["training"] in knobs:
            more = knobs[place["training"]][place["kernel"] == "5"]
            row["roughness"] = 1 + at(more, seed)
        return row | {"original": 0.5 + decoy, "robust at 8/255": 0.5 + decoy}

    return attacked("kernels", value, **how)


GAINS, NO_GAINS = dict.fromkeys(PUBLISHED, 0.1), dict.fromkeys(PUBLISHED, NONE)
SMALL = dict.fromkeys(PUBLISHED, 0.02)


def smoothing(cost=0.1, fixed=GAINS, minimum=GAINS, small=GAINS, lead=0.1, elsewhere=-0.2, **how):
    """C18. What rho = 1 costs and gains a natural network, and its lead at epsilon 0.09.

    ``elsewhere`` is the gain under other attacks, with other rhos and normalised, clean accuracy
    being lower by as much; and the lead over other adversarial networks.
    """
    gains = {("pgd", "fixed"): fixed, ("pgd", "minimum"): minimum}
    gains["pgd, small logits", "fixed"] = small

    def value(place, seed):
        epsilon, way = round(100 * place["epsilon"]), (place["attack"], place["protocol"])
        adversarial = place["training"] == "adversarial"
        rho = 1 if adversarial else place["rho"]
        if rho == 0:
            natural = 0.5
        elif rho < 1 or place["form"] == "normalised":
            natural = 0.5 + (elsewhere if epsilon else -elsewhere)
        elif epsilon == 0:
            natural = 0.5 - at(cost, seed)
        else:
            natural = 0.5 + (at(gains[way][epsilon], seed) if way in gains else elsewhere)
        asked = (*way, epsilon, place["rho"]) == ("pgd", "minimum", 9, 0)
        behind = at(lead, seed) if asked else elsewhere
        return {"accuracy": natural - adversarial * behind, "logits": 3.0}

    return attacked("smoothing", value, **how)


def filtered(naive=0.6, adaptive=0.1, clean=0.8, elsewhere=(0.05, 0.7), **how):
    """C21. What is left at epsilon 4/255; ``clean``, without attack. Dicts go by radius.

    ``elsewhere`` is what the naive and every other attack leave at other epsilons, behind the
    filter that lets everything pass, and on fewer images.
    """

    def value(place, seed):
        attack, radius, epsilon = place["attack"], place["radius"], round(255 * place["epsilon"])
        knob = {"naive": naive, "adaptive": adaptive}.get(attack)
        if knob is None or radius == 32 or epsilon not in (0, 4):
            return {"accuracy": elsewhere[attack != "naive"] if epsilon else 0.45}
        knob = knob if epsilon else clean
        return {"accuracy": at(knob[radius] if isinstance(knob, dict) else knob, seed)}

    return attacked("filter-defence", value, **how)


def remedies(gains=0.02, one=None, elsewhere=0.3, bare=0.2, **how):
    """C22. Gain by each remedy; ``one`` is a remedy with an epsilon and a gain of its own.

    ``elsewhere`` is the gain by both remedies together, and without attack.
    """

    def value(place, seed):
        epsilon, radius = round(255 * place["epsilon"]), place["kernel_radius"]
        used = [radius] * (radius < 3) + [place["penalty"]] * (place["penalty"] != "0.0")
        if epsilon and len(used) < 2:
            knob = one[2] if one and [one[0]] == used and one[1] == epsilon else gains
            gain = at(knob, seed) if used else 0.0
        else:
            gain = elsewhere if used else 0.0
        return {"accuracy": bare + gain, "roughness": 1 + elsewhere * len(used)}

    return attacked("kernel-remedies", value, **how)


TABLES = {"C03": joint_bound, "C16": roughness, "C18": smoothing, "C21": filtered, "C22": remedies}


# Cases ------------------------------------------------------------------------------------


def shifted(knob, by):
    return tuple(by + value for value in knob)


def with_one(radius, value, others):
    return dict.fromkeys(FILTERS, others) | {radius: value}


A_POINT = (0.012, 0.016, 0.02)  # clearly more than nothing, not clearly more than one point
assert 0 < mean_interval(A_POINT)[1] < 0.01
A_LITTLE = (0.003, 0.011, 0.026)  # clearly within 5 points, not clearly above nothing
assert mean_interval(A_LITTLE)[1] < 0 < mean_interval(A_LITTLE)[2] < 0.05
SAME = (0.7, 0.05)  # C21: decoys like what would be reproduced
PGD = ("fixed", "minimum", "small")
NOTHING = dict.fromkeys(PGD, NO_GAINS) | {"cost": NONE, "lead": NONE}
ALL = list(itertools.product(REMEDIES, (2, 4, 8)))
SOME = [(r, (2, 4, 8)[k % 3]) for k, r in enumerate(REMEDIES)]

CASES = {
    "C03": {
        "reproduced": [
            {},
            {"lost": since(8, 0.015), "elsewhere": 0.1},
            {"clean": (0.5, 0.7, 0.9)},  # seed by seed
            {"lost": since(1, 0.3)},
        ],
        "partly": [  # only at a larger epsilon
            *({"lost": since(e, 0.05)} for e in (16, 32, 64, 128)),
            {"lost": since(16, 0.05) | dict.fromkeys((32, 64, 128), (0.05, 0.2, 0.8))},
            {"lost": since(16, 0.015, before=0.005), "elsewhere": 0.1},
            *({"lost": since(16, 0.3, before=knob)} for knob in (UNSURE, A_POINT)),
        ],
        "not": [
            *({"lost": since(1, NONE), "elsewhere": decoy} for decoy in (-0.1, 0.1)),
            {"lost": since(1, 0.005), "elsewhere": 0.1},
            {"lost": since(1, 0.01), "clean": 0.01, "jitter": 0},  # one point, not more
            *({"lost": since(1, knob)} for knob in (A_POINT, UNSURE, -0.1)),
        ],
    },
    "C16": {
        "reproduced": [{}, {"natural": (0.02, 0.02), "decayed": (0.02, 0.02), "elsewhere": -1}],
        "partly": [
            # Not smoother than the decayed ones.
            {"decayed": (NONE, NONE), "elsewhere": 0.3},
            *({"decayed": (0.3, knob)} for knob in (NONE, -0.1, UNSURE)),
            *({"decayed": (knob, 0.3)} for knob in (NONE, -0.1, UNSURE)),
            # Smoother than the natural ones, at one size.
            *({"natural": (0.3, knob)} for knob in (NONE, -0.3, UNSURE)),
            *({"natural": (knob, 0.3)} for knob in (NONE, -0.3, UNSURE)),
            *({"natural": pair, "decayed": (NONE, NONE)} for pair in ((NONE, 0.3), (0.3, NONE))),
        ],
        "not": [
            *({"natural": (knob, knob)} for knob in (NONE, -0.3, UNSURE)),
            # Smoother when drawn, or than with LFC only.
            *({"natural": (x, x), "decayed": (x, x), "elsewhere": 0.3} for x in (NONE, -0.3)),
        ],
    },
    "C18": {
        "reproduced": [{}, dict.fromkeys(PGD, SMALL) | {"cost": 0.02, "lead": 0.02}],
        "partly": [
            # One of nine gains is missing, or all of a kind, or the lead.
            *(
                {name: GAINS | {epsilon: gain}, "elsewhere": decoy}
                for name in PGD
                for epsilon in PUBLISHED
                for gain, decoy in ((NONE, 0.2), (-0.1, -0.2), (UNSURE, -0.2))
            ),
            *({name: NO_GAINS, "elsewhere": 0.2} for name in ("fixed", "small")),
            *({"lead": lead, "elsewhere": 0.2} for lead in (NONE, -0.1, UNSURE)),
            # There is one gain by minimum-norm PGD, and nothing else but the cost.
            *(NOTHING | {"cost": 0.1, "minimum": NO_GAINS | {e: 0.1}} for e in PUBLISHED),
        ],
        "not": [
            # No other gain is enough, nor is any without the cost.
            *({"minimum": dict.fromkeys(PUBLISHED, gain)} for gain in (NONE, -0.1, UNSURE)),
            {"minimum": NO_GAINS, "elsewhere": 0.2},
            *({"cost": cost, "elsewhere": 0.2} for cost in (NONE, -0.1, UNSURE)),
            NOTHING | {"elsewhere": 0.2},
        ],
    },
    "C21": {
        "reproduced": [
            {},
            {"naive": 0.42, "adaptive": 0.19},
            *({"adaptive": with_one(r, 0.1, 0.6)} for r in FILTERS),  # at one radius
            *({"naive": with_one(r, 0.6, 0.1)} for r in FILTERS),
            # Half of the clean accuracy behind this very filter.
            {"clean": with_one(4, 0.4, 0.8), "naive": 0.25, "adaptive": 0.05},
        ],
        "partly": [  # the attack through the filter is stronger, and half is missing
            *({"naive": 0.38, "elsewhere": decoy} for decoy in (SAME, SAME[::-1])),
            *({"adaptive": 0.32, "elsewhere": decoy} for decoy in (SAME, SAME[::-1])),
            *({"naive": 0.4, "jitter": 0}, {"adaptive": 0.3, "jitter": 0}),  # just half
            *({"naive": shifted(UNSURE, 0.4)}, {"adaptive": shifted(less(UNSURE), 0.3)}),
            {"adaptive": 0.58},
            # Both halves, but at different radii.
            {"naive": with_one(4, 0.6, 0.3), "adaptive": with_one(4, 0.4, 0.1)},
        ],
        "not": [
            *({"adaptive": with_one(r, 0.62, 0.4)} for r in FILTERS),  # no stronger at one radius
            {"adaptive": with_one(8, shifted(less(UNSURE), 0.6), 0.4)},
            {"naive": 0.3, "adaptive": with_one(8, 0.35, 0.1)},
            *({"adaptive": 0.6, "elsewhere": decoy} for decoy in (SAME, SAME[::-1])),
            {"naive": 0.1, "adaptive": 0.6, "elsewhere": SAME},
        ],
    },
    "C22": {
        "reproduced": [
            {},
            {"gains": 0.045, "elsewhere": -0.3},
            *({"gains": -0.1, "one": (*each, 0.02)} for each in SOME),
        ],
        "partly": [
            *({"one": (*each, WIDE)} for each in SOME),  # the interval reaches 5 points
            {"gains": shifted(WIDE, 0.03)},
            # None is clearly above zero.
            *({"gains": gains, "elsewhere": 0.02} for gains in (-0.01, -0.1, A_LITTLE)),
            {"gains": 0.0, "jitter": 0},
        ],
        "not": [
            *({"one": (*each, 0.1)} for each in ALL),
            {"gains": 0.05, "bare": 0.0, "jitter": 0, "seeds": (0, 1)},  # 5 points
            *({"gains": gains, "elsewhere": 0.02} for gains in (0.055, shifted(WIDE, 0.045))),
            {"gains": -0.1, "one": (2, 4, UNSURE)},  # large on average, though not clear
        ],
    },
}


@pytest.mark.parametrize(
    ("claim", "verdict", "case"),
    [(claim, verdict, k) for claim in CASES for verdict, cases in CASES[claim].items()
     for k in range(len(cases))],
)  # fmt: skip
def test_verdict(claim, verdict, case):
    assert ruled(claim, TABLES[claim](**CASES[claim][verdict][case])) == verdict


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("claim", TABLES)
def test_types_and_order_do_not_matter(claim, change):
    for verdict, (changes, *_) in CASES[claim].items():
        stored = {name: altered(r, change) for name, r in TABLES[claim](**changes).items()}
        assert ruled(claim, stored) == verdict


# C17, a definition ------------------------------------------------------------------------


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
    monkeypatch.setattr(rules, "smooth", (RIGHT | WRONG)[name])
    assert ruled("C17", {}) == ("reproduced" if name in RIGHT else "not")
