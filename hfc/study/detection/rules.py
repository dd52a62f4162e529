"""What chapter 6's claims are judged by: estimates for the steps in ``claims.toml``."""

__all__ = ["RULES"]

_HALF = {"unit": "Nyquist", "radius": 0.5}


def _detection(claim, result):
    at = result.at(training="originals")
    original = at.at(copy="original", unit="none", radius=0)
    low, high = (at.at(copy=copy, **_HALF) for copy in ("low", "high"))
    better = {
        f"than {name}": low["images, better"]
        - at.at(copy=name, unit="none", radius=0)["images, better"]
        for name in ("mirrored", "brighter", "JPEG")
    }
    return {
        "less": {"": original.mAP - low.mAP},
        "least": {"": low.mAP - high.mAP},
        "something": {"": high.mAP},
        "better": better,
    }


def _unfamiliar(claim, result):
    scored = result.at(score="max logit")
    natural = scored.at(training="natural")
    original = natural.at(copy="original", radius=0)
    low = natural.at(copy="low", radius=8)
    near = scored.at(copy="original", radius=0, outside="cifar100")
    return {
        "lost": {
            name: original.at(outside=name).AUROC - low.at(outside=name).AUROC
            for name in result.measured.labels("outside")
        },
        "robust": {"": near.at(training="natural").AUROC - near.at(training="adversarial").AUROC},
    }


def _calibration(claim, result):
    natural = result.at(training="natural")
    original = natural.at(copy="original", radius=0).ECE
    return {
        "low": {"": natural.at(copy="low", radius=4).ECE - original},
        "high": {"": natural.at(copy="high + mean", radius=8).ECE - original},
    }


def _disagreement(claim, result):
    at = result.at(training="natural", detector="disagreement", radius=12)

    def caught(attack, epsilon):
        there = at.at(attack=attack, epsilon=epsilon / 255)
        return {"": there.caught - there["false alarms"]}

    return {
        "weak": caught("PGD", 2),
        "strong": caught("PGD", 8),
        "adaptive": caught("adaptive", 2),
    }


def _amplitudes(claim, result):
    at = result.at(training="natural", detector="amplitudes", radius=0)

    def separated(attack, epsilon):
        return at.at(attack=attack, epsilon=epsilon / 255).AUROC

    return {
        "strong": {"": separated("PGD", 8)},
        "weak": {"": separated("PGD", 2)},
        "adaptive": {"": separated("PGD", 8) - separated("adaptive", 8)},
    }


RULES = {
    "C19": _detection,
    "O1": _unfamiliar,
    "O2": _calibration,
    "O3": _disagreement,
    "O4": _amplitudes,
}
