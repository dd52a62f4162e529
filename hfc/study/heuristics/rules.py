"""The rules of chapter 4's claims, as ``claims.toml`` words them."""

import itertools

from hfc.study.verdict import graded

__all__ = ["RULES", "gap"]


def gap(measurements):
    """Accuracy on training images minus accuracy on test images."""
    return measurements.at(images="train").original - measurements.at(images="test").original


def _batch_size(claim, result):
    at8 = result.at(radius=8)

    def three(budget, small, large):
        small = at8.at(budget="same epochs", batch_size=small)
        large = at8.at(budget=budget, batch_size=large)
        test_small, test_large = small.at(images="test"), large.at(images="test")
        return [
            (test_small.original - test_large.original).clearly_above(),
            (gap(small) - gap(large)).clearly_above(),
            (test_small.high_mean - test_large.high_mean).clearly_above(),
        ]

    sizes = at8.at(budget="same epochs").labels("batch_size")
    epochs = three("same epochs", min(sizes), max(sizes))
    if all(epochs) and all(three("same steps", 100, 1000)):
        return "reproduced"
    return "partly" if sum(epochs) >= 2 else "not"


def _vanilla(claim, result):
    test = result.at(heuristic="vanilla", images="test").last
    radii = claim["paper"]["radii"]
    rising = all(
        (test.at(radius=larger).low - test.at(radius=smaller).low).clearly_above()
        for smaller, larger in itertools.pairwise(radii)
    )
    blind = all(test.at(radius=radius).high.clearly_below(0.2) for radius in radii)
    return "not" if not rising else "reproduced" if blind else "partly"


def _versus_plain(result, heuristic, column, radius):
    """Difference to the plain network on test images, after the last epoch."""
    test = result.at(images="test", radius=radius).last[column]
    return test.at(heuristic=heuristic) - test.at(heuristic="vanilla")


def _dropout(claim, result):
    differences = [
        _versus_plain(result, "dropout", column, radius)
        for radius in result.measured.labels("radius")
        for column in ("original", "low", "high")
    ]
    if all(d.clearly_above(-0.05) and d.clearly_below(0.05) for d in differences):
        return "reproduced"
    return "partly" if all(abs(d.mean) < 0.05 for d in differences) else "not"


def _mixup(claim, result):
    similar = abs(_versus_plain(result, "mixup", "original", 4).mean) < 0.05
    high = [_versus_plain(result, "mixup", "high", radius) for radius in (4, 8)]
    more = [difference.clearly_above() for difference in high]
    if similar and all(more) and all(difference.mean >= 0.1 for difference in high):
        return "reproduced"
    return "partly" if any(more) else "not"


def _adversarial(claim, result):
    at8 = result.at(radius=8).last
    smaller = gap(at8.at(heuristic="adversarial")) - gap(at8.at(heuristic="vanilla"))
    holds = (
        _versus_plain(result, "adversarial", "original", 8).clearly_below()
        + smaller.clearly_below()
        + all(
            _versus_plain(result, "adversarial", "high + mean", r).clearly_below() for r in (8, 12)
        )
    )
    return {3: "reproduced", 2: "partly"}.get(holds, "not")


def _batch_norm(claim, small, authors):
    networks = (
        small.at(inputs="normalised", optimizer="SGD").without(norm="GroupNorm"),
        authors.measured,
    )
    shown = []
    for network in networks:
        running = network.at(statistics="running", company="alone")
        there = running.at_accuracy(running.common_accuracy())
        for copies in ("high", "high + mean"):
            gains = [
                there.at(norm="BatchNorm", radius=r)[copies]
                - there.at(norm="none", radius=r)[copies]
                for r in (4, 8)
            ]
            shown.append(all(gain.clearly_above() and gain.mean >= 0.1 for gain in gains))
    return graded(*shown)


def _architectures(claim, result):
    at8 = result.at(radius=8)
    test = at8.at(images="test")
    others = [name for name in test.labels("architecture") if name != "ResNet"]

    def against_all(values):
        return all(
            (values.at(architecture="ResNet") - values.at(architecture=name)).clearly_above()
            for name in others
        )

    values = (test.original, -gap(at8), -test.high_mean)
    return graded(*(against_all(value) for value in values))


def _optimizers(claim, result):
    test = result.at(images="test")
    moments = {"epochs": test.last, "accuracy": test.at_accuracy(test.common_accuracy())}
    holds = {}
    for moment, at in moments.items():
        others = [name for name in at.labels("optimizer") if name != "SGD"]
        holds[moment] = all(
            (
                at.high.at(optimizer="SGD", radius=r) - at.high.at(optimizer=name, radius=r)
            ).clearly_above()
            for name in others
            for r in (4, 8)
        )
    if not holds["epochs"]:
        return "not"
    return "reproduced" if holds["accuracy"] else "partly"


def _low_with_batch_norm(claim, result):
    test = result.at(images="test")

    def gain(copies, radius):
        at = test.at(train_radius=str(radius), radius=radius)[copies]
        return at.at(norm="BatchNorm") - at.at(norm="none")

    return graded(
        *((gain(copies, 16) - gain(copies, 4)).clearly_above() for copies in ("original", "low"))
    )


RULES = {
    "C07": _batch_size,
    "C08": _vanilla,
    "C09": _dropout,
    "C10": _mixup,
    "C11": _batch_norm,
    "C12": _adversarial,
    "C13": _architectures,
    "C14": _optimizers,
    "C15": _low_with_batch_norm,
}
