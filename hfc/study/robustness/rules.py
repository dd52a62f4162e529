"""What chapter 5's claims are judged by: estimates for the steps in ``claims.toml``."""

import itertools

import torch

from hfc.kernels import smooth
from hfc.study.criteria import Estimate

__all__ = ["RULES"]


def _bound(claim, result):
    natural = result.at(training="natural", radius=result.measured.labels("radius")[0])
    clean = natural.at(epsilon=0.0).robust

    def binds(epsilon):
        return clean - natural.at(epsilon=epsilon).joint_bound

    usual = 8 / 255
    larger = [e for e in natural.labels("epsilon") if e > 1.01 * usual]
    return {
        "usual": {"8/255": binds(usual)},
        "larger": {f"{255 * epsilon:.0f}/255": binds(epsilon) for epsilon in larger},
    }


def _smooth_kernels(claim, result):
    rough = result.at(radius=8).roughness

    def over(other, size):
        return (
            rough.at(training="adversarial", kernel=size) / rough.at(training=other, kernel=size)
            - 1
        )

    return {
        f"{name}, {size}x{size}": {"": over(other, size)}
        for name, other in (("natural", "natural"), ("decayed", "natural, decayed"))
        for size in ("3", "5")
    }


def _smoothing(claim):
    kernels = torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    smoothed, holds = smooth(kernels, 0.25), True
    for o, i, y, x in itertools.product(range(2), range(3), range(3), range(3)):
        around = itertools.product((y - 1, y, y + 1), (x - 1, x, x + 1))
        inside = [(min(max(a, 0), 2), min(max(b, 0), 2)) for a, b in around]
        total = sum(kernels[o, i, a, b] for a, b in inside) - kernels[o, i, y, x]
        wanted = kernels[o, i, y, x] + 0.25 * total
        holds &= bool(abs(smoothed[o, i, y, x] - wanted) < 1e-5)
    return {"kernels": holds}


def _published(result, training):
    return result.at(form="as published", training=training)


def _smoothing_costs(claim, result):
    clean = _published(result, "natural").at(attack="pgd", protocol="fixed", epsilon=0.0).accuracy
    return {"cost": {"": clean.at(rho=0) - clean.at(rho=1)}}


def _smoothing_helps(claim, result):
    natural = _published(result, "natural")

    def gains(attack, protocol):
        if attack not in natural.labels("attack"):
            return {}
        at = natural.at(attack=attack, protocol=protocol)
        return {
            f"epsilon {e:g}": _shares(
                at.at(epsilon=e, rho=1).accuracy - at.at(epsilon=e, rho=0).accuracy, result, attack
            )
            for e in natural.labels("epsilon")
            if e > 0
        }

    return {
        "minimum": gains("pgd", "minimum"),
        "fixed": gains("pgd", "fixed"),
        "autoattack": gains("apgd", "fixed"),
    }


def _smoothing_overtakes(claim, result):
    natural, adversarial = (_published(result, name) for name in ("natural", "adversarial"))

    def lead(attack, protocol):
        if attack not in natural.labels("attack"):
            return {}
        at = {"attack": attack, "protocol": protocol, "epsilon": 0.09}
        ahead = natural.at(rho=1, **at).accuracy - adversarial.at(rho=0, **at).accuracy
        return {"": _shares(ahead, result, attack)}

    return {"minimum": lead("pgd", "minimum"), "autoattack": lead("apgd", "fixed")}


def _shares(difference, result, attack):
    """An estimate that no seeds of which all say 0 make exact."""
    images = result.settings["few" if attack == "apgd" else "test_size"]
    return Estimate.of(difference.values, images=images)


def _filter_defence(claim, result):
    radii = [radius for radius in result.measured.labels("radius") if radius <= 16]

    def left(attack, radius, epsilon):
        return result.at(attack=attack, radius=radius, epsilon=epsilon).accuracy

    stops, lasts, masks = {}, {}, {}
    for radius in radii:
        label = f"r = {radius:g}"
        clean, naive = left("naive", radius, 0.0), left("naive", radius, 4 / 255)
        adaptive = left("adaptive", radius, 4 / 255)
        stops[label] = naive - clean / 2
        lasts[label] = adaptive - naive / 2
        masks[label] = Estimate.of([_vanished(flags) for flags in adaptive.flags])
    return {"stops": stops, "does not last": lasts, "masks gradients": masks}


def _vanished(flags):
    """Share of images without a gradient; the flag is there from 2 % on."""
    return sum(flag.share for flag in flags if flag.kind == "vanishing-gradients")


def _marginal(claim, result):
    attack = "apgd"
    if attack not in result.measured.labels("attack"):
        return {"marginal": {}, "some": {}}
    at = result.at(attack=attack)
    first, whole = at.labels("penalty")[0], at.labels("kernel_radius")[-1]
    epsilons = [epsilon for epsilon in at.labels("epsilon") if epsilon > 0]
    points, shares = {}, {}
    ways = {f"low-pass {r:g}": (first, r) for r in at.labels("kernel_radius")[:-1]}
    ways |= {f"penalty {p}": (p, whole) for p in at.labels("penalty")[1:]}

    def robust(penalty, radius, epsilon):
        return at.at(penalty=penalty, kernel_radius=radius, epsilon=epsilon).accuracy

    for (way, changed), epsilon in itertools.product(ways.items(), epsilons):
        label, plain = f"{way}, {255 * epsilon:.0f}/255", (first, whole)
        points[label] = robust(*changed, epsilon) - robust(*plain, epsilon)
        # A network that is right less often has less to lose.
        shares[f"{label}, of clean accuracy"] = robust(*changed, epsilon) / robust(
            *changed, 0.0
        ) - robust(*plain, epsilon) / robust(*plain, 0.0)
    return {"marginal": points | shares, "some": points}


def _vulnerable(claim, result):
    sizes = (1 / 255, 2 / 255)

    def kept(norm, statistics, epsilon):
        at = result.at(norm=norm, statistics=statistics, attack="own")
        return at.at(epsilon=epsilon).accuracy / at.at(epsilon=0.0).accuracy

    def lead(statistics):
        return {
            f"{255 * e:g}/255": kept("BatchNorm", statistics, e) - kept("none", "running", e)
            for e in sizes
        }

    return {
        "by running statistics": {label: -value for label, value in lead("running").items()},
        "by batch statistics": lead("batch"),
    }


def _pooling(claim, result):
    natural, fast = (result.at(training=name) for name in ("natural", "FGSM"))

    def blur_adds(values):
        return values.at(pooling="blur") - values.at(pooling="max")

    def overfitted(pooling):
        at = fast.at(pooling=pooling)
        return at.robust_fgsm - at.robust_pgd

    return {
        "accuracy": {"": blur_adds(natural.original)},
        "consistency": {"": blur_adds(natural.consistency)},
        "overfits": {"": overfitted("max")},
        "avoided": {"": overfitted("low-pass")},
    }


RULES = {
    "C03": _bound,
    "C16": _smooth_kernels,
    "C17": _smoothing,
    "C18a": _smoothing_costs,
    "C18b": _smoothing_helps,
    "C18c": _smoothing_overtakes,
    "C21": _filter_defence,
    "C22": _marginal,
    "N2": _vulnerable,
    "N5": _pooling,
}
