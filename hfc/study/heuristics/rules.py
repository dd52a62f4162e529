"""What chapter 4's claims are judged by: estimates for the steps in ``claims.toml``."""

import itertools

from hfc.study.verdict import claims

__all__ = ["RULES", "gap"]


def gap(measurements):
    """Accuracy on training images minus accuracy on test images."""
    return measurements.at(images="train").original - measurements.at(images="test").original


def _radius(radius):
    return f"r = {radius:g}"


def _batch_size(claim, result):
    sizes = result.at(budget="same epochs").labels("batch_size")
    pairs = {
        "same epochs": (("same epochs", min(sizes)), ("same epochs", max(sizes))),
        "same steps": (("same epochs", 100), ("same steps", 1000)),
    }

    def differences(value, radii=(8,)):
        found = {}
        for (text, (small, large)), radius in itertools.product(pairs.items(), radii):
            small, large = (
                value(result.at(budget=budget, batch_size=size, radius=radius))
                for budget, size in (small, large)
            )
            label = f"{text}, {_radius(radius)}" if len(radii) > 1 else text
            found[label] = small - large
        return found

    return {
        "accuracy": differences(lambda at: at.at(images="test").original),
        "gap": differences(gap),
        "high": differences(lambda at: at.at(images="test").high_mean, (4, 8)),
    }


def _vanilla(claim, result):
    test = result.at(heuristic="vanilla", images="test").last
    return {
        "rises": {
            f"r = {small} to {large}": test.at(radius=large).low - test.at(radius=small).low
            for small, large in ((4, 8), (8, 12))
        },
        "blind": {_radius(r): test.at(radius=r).high for r in claim["paper"]["radii"]},
    }


def _versus_plain(result, heuristic, column, radius):
    """Difference to the plain network on test images, after the last epoch."""
    test = result.at(images="test", radius=radius).last[column]
    return test.at(heuristic=heuristic) - test.at(heuristic="vanilla")


def _dropout(claim, result):
    radii = result.measured.labels("radius")
    return {
        "accuracy": {"": _versus_plain(result, "dropout", "original", radii[0])},
        **{
            copies: {_radius(r): _versus_plain(result, "dropout", copies, r) for r in radii}
            for copies in ("low", "high")
        },
    }


def _mixup(claim, result):
    return {
        "accuracy": {"": _versus_plain(result, "mixup", "original", 4)},
        "r = 4": {"": _versus_plain(result, "mixup", "high", 4)},
        "r = 8": {"": _versus_plain(result, "mixup", "high", 8)},
    }


def _adversarial(claim, result):
    at8 = result.at(radius=8).last
    test = result.at(images="test", heuristic="adversarial").last
    return {
        "accuracy": {"": -_versus_plain(result, "adversarial", "original", 8)},
        "gap": {"": gap(at8.at(heuristic="vanilla")) - gap(at8.at(heuristic="adversarial"))},
        "less": {
            _radius(r): -_versus_plain(result, "adversarial", "high + mean", r) for r in (4, 8)
        },
        "ignored": {_radius(r): test.at(radius=r).high for r in (8, 12, 16)},
    }


# BatchNorm: every comparison at the same accuracy, at three levels of it -----------------------


def _by_level(measurements, value, radii):
    """``value(measurements there, radius)`` at three levels of accuracy and at each radius."""
    return {
        f"{_radius(radius)} at {level}": value(there, radius)
        for level, there in measurements.at_three_levels().items()
        for radius in radii
    }


def _of(norm, statistics="running"):
    return {"norm": norm, "statistics": statistics, "company": "alone"}


def _published(claim):
    """Accuracy on HFC copies in the paper, by radius."""
    return dict(zip(claim["paper"]["radii"], claim["paper"]["high"], strict=True))


def _published_level(claim, authors):
    published = _published(claim)

    def minus_paper(statistics, copies):
        def value(there, radius):
            ours = there.at(**_of("BatchNorm", statistics), radius=radius)[copies]
            return ours - published[radius]

        return value

    measured, radii = authors.measured, tuple(published)
    by_running = _by_level(measured, minus_paper("running", "high"), (4, 8))
    return {
        "raw": _by_level(measured, minus_paper("batch", "high"), radii),
        "scaled": _by_level(measured, minus_paper("batch", "high, scaled"), radii),
        "not by running statistics": {label: -value for label, value in by_running.items()},
    }


def _added(claim, small, authors):
    networks = {
        "small": small.at(inputs="normalised", optimizer="SGD").without(norm="GroupNorm"),
        "32 layers": authors.at(norm=["none", "BatchNorm"]),
    }

    def adds(copies):
        def value(there, radius):
            with_norm = there.at(**_of("BatchNorm"), radius=radius)[copies]
            return with_norm - there.at(**_of("none"), radius=radius)[copies]

        return value

    return {
        f"{network}, {text}": _by_level(measured, adds(copies), (4, 8))
        for network, measured in networks.items()
        for text, copies in (("raw", "high"), ("mean", "high + mean"))
    }


def _contrast(claim, authors):
    published = {name: _published(claims()[name]) for name in ("C08", "C11a")}

    def plain(there, radius):
        return there.at(**_of("none"), radius=radius).high - published["C08"][radius]

    def contrast(there, radius):
        with_norm = there.at(**_of("BatchNorm", "batch"), radius=radius).high
        return with_norm - published["C11a"][radius] - plain(there, radius)

    measured = authors.at(norm=["none", "BatchNorm"])
    return {
        "contrast": _by_level(measured, contrast, (4, 8)),
        "plain": _by_level(measured, plain, (4, 8)),
    }


def _architectures(claim, result):
    at8 = result.at(radius=8)
    test = at8.at(images="test")
    others = [name for name in test.labels("architecture") if name != "ResNet"]

    def minus(values):
        return {n: values.at(architecture="ResNet") - values.at(architecture=n) for n in others}

    return {
        "accuracy": minus(test.original),
        "gap": minus(-gap(at8)),
        "high": minus(-test.high_mean),
    }


def _optimizers(claim, result):
    test = result.at(images="test")

    def against_all(at):
        high = at.high
        return {
            f"{name}, {_radius(r)}": high.at(optimizer="SGD", radius=r)
            - high.at(optimizer=name, radius=r)
            for name in at.labels("optimizer")
            if name != "SGD"
            for r in (4, 8)
        }

    return {
        "epochs": against_all(test.last),
        "accuracy": {
            f"{label} at {level}": value
            for level, at in test.at_three_levels().items()
            for label, value in against_all(at).items()
        },
    }


def _low_with_batch_norm(claim, result):
    test = result.at(images="test")

    def gain(copies, radius):
        at = test.at(train_radius=str(radius), radius=radius)[copies]
        return at.at(norm="BatchNorm") - at.at(norm="none")

    return {
        step: {"": gain(copies, 16) - gain(copies, 4)}
        for step, copies in (("originals", "original"), ("copies", "low"))
    }


def _shortcuts(claim, result):
    first, last = min(result.measured.labels("epoch")), result.last

    def learned(at, band):
        follows = at.at(band=band).follows
        return follows.at(signature="telling") - follows.at(signature="random")

    bands = {"low": 4, "middle": 8, "high": 12}
    soon = {band: learned(result.at(epoch=first), band) for band in bands.values()}
    return {
        **{name: {_radius(band): learned(last, band)} for name, band in bands.items()},
        "first": {"r = 12 minus 4": soon[12] - soon[4]},
    }


RULES = {
    "C07": _batch_size,
    "C08": _vanilla,
    "C09": _dropout,
    "C10": _mixup,
    "C11a": _published_level,
    "C11b": _added,
    "C11c": _contrast,
    "C12": _adversarial,
    "C13": _architectures,
    "C14": _optimizers,
    "C15": _low_with_batch_norm,
    "N4": _shortcuts,
}
