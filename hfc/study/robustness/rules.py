"""The rules of chapter 5's claims, as ``claims.toml`` words them."""

import itertools

import torch

from hfc.kernels import smooth
from hfc.study.measured import ROUNDING

__all__ = ["RULES"]


def _bound(claim, result):
    natural = result.at(training="natural", radius=result.measured.labels("radius")[0])
    epsilons = natural.labels("epsilon")
    clean = natural.at(epsilon=0.0).robust

    def binds(epsilon):
        return (clean - natural.at(epsilon=epsilon).joint_bound).clearly_above(0.01 + ROUNDING)

    if binds(8 / 255):
        return "reproduced"
    return "partly" if any(binds(e) for e in epsilons if e > 8.5 / 255) else "not"


def _smooth_kernels(claim, result):
    rough = result.at(radius=8).roughness

    def smoother_than(other):
        return [
            (
                rough.at(training="adversarial", kernel=size)
                - rough.at(training=other, kernel=size)
            ).clearly_below()
            for size in ("3", "5")
        ]

    natural, decayed = smoother_than("natural"), smoother_than("natural, decayed")
    if all(natural) and all(decayed):
        return "reproduced"
    return "partly" if any(natural) else "not"


def _smoothing(claim):
    kernels = torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    smoothed = smooth(kernels, 0.25)
    for o, i, y, x in itertools.product(range(2), range(3), range(3), range(3)):
        around = itertools.product((y - 1, y, y + 1), (x - 1, x, x + 1))
        inside = [(min(max(a, 0), 2), min(max(b, 0), 2)) for a, b in around]
        total = sum(kernels[o, i, a, b] for a, b in inside) - kernels[o, i, y, x]
        wanted = kernels[o, i, y, x] + 0.25 * total
        if not abs(smoothed[o, i, y, x] - wanted) < 1e-5:
            return "not"
    return "reproduced"


def _smoothing_helps(claim, result):
    natural, adversarial = (
        result.at(form="as published", training=name) for name in ("natural", "adversarial")
    )
    attacked = [epsilon for epsilon in natural.labels("epsilon") if epsilon > 0]

    def gain(attack, protocol, epsilon):
        at = natural.at(attack=attack, protocol=protocol, epsilon=epsilon).accuracy
        return at.at(rho=1) - at.at(rho=0)

    costs = gain("pgd", "fixed", 0.0).clearly_below()
    gains = {
        (attack, protocol): [gain(attack, protocol, e).clearly_above() for e in attacked]
        for attack, protocol in (
            ("pgd", "fixed"),
            ("pgd", "minimum"),
            ("pgd, small logits", "fixed"),
        )
    }
    at = {"attack": "pgd", "protocol": "minimum", "epsilon": 0.09}
    overtakes = natural.at(rho=1, **at).accuracy - adversarial.at(rho=0, **at).accuracy
    if costs and overtakes.clearly_above() and all(all(clear) for clear in gains.values()):
        return "reproduced"
    return "partly" if costs and any(gains["pgd", "minimum"]) else "not"


def _filter_defence(claim, result):
    radii = [radius for radius in result.measured.labels("radius") if radius <= 16]

    def left(attack, radius, epsilon):
        return result.at(attack=attack, radius=radius, epsilon=epsilon).accuracy

    def seems_and_is_not(radius):
        clean, naive = left("naive", radius, 0.0), left("naive", radius, 4 / 255)
        adaptive = left("adaptive", radius, 4 / 255)
        return (naive - clean / 2).clearly_above() and (naive / 2 - adaptive).clearly_above()

    if any(seems_and_is_not(radius) for radius in radii):
        return "reproduced"
    weaker = (
        (left("naive", radius, 4 / 255) - left("adaptive", radius, 4 / 255)).clearly_above()
        for radius in radii
    )
    return "partly" if all(weaker) else "not"


def _kernel_remedies(claim, result):
    radii = result.measured.labels("kernel_radius")
    whole = max(radii)
    remedies = [("0.0", radius) for radius in radii if radius < whole]
    remedies += [(p, whole) for p in result.measured.labels("penalty") if p != "0.0"]
    gains = []
    for epsilon in (e for e in result.measured.labels("epsilon") if e > 0):
        at = result.at(epsilon=epsilon).accuracy
        without = at.at(penalty="0.0", kernel_radius=whole)
        gains += [at.at(penalty=p, kernel_radius=radius) - without for p, radius in remedies]
    if all(gain.clearly_below(0.05) for gain in gains) and any(g.clearly_above() for g in gains):
        return "reproduced"
    return "partly" if all(gain.mean < 0.05 for gain in gains) else "not"


RULES = {
    "C03": _bound,
    "C16": _smooth_kernels,
    "C17": _smoothing,
    "C18": _smoothing_helps,
    "C21": _filter_defence,
    "C22": _kernel_remedies,
}
