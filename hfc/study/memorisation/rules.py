"""The rules of chapter 3's claims, as ``claims.toml`` words them."""

from hfc.study.verdict import graded

__all__ = ["RULES"]


def _learned_first(claim, result):
    train = result.at(labels="true", images="train")
    return graded(*(_kept_early(train.at(radius=r)).clearly_above() for r in (4, 8)))


def _kept_early(train):
    """How much more is kept on LFC copies early, from 30 % accuracy on, than at the end."""
    kept, known = train.low / train.original, train.original.array >= 0.3

    def first(shares):
        return shares.isel(epoch=known.argmax("epoch")).where(known.any("epoch"))

    return kept.apply(first) - kept.at(epoch=max(train.labels("epoch")))


def _memorised_by_high(claim, result):
    train = result.at(images="train")
    half = train.at_accuracy(0.5).low
    lags = [
        (
            half.at(labels="all shuffled", radius=r) - half.at(labels="true", radius=r)
        ).clearly_below()
        for r in (8, 12)
    ]
    high = train.at(labels="all shuffled").last.high_mean
    carried = any(high.at(radius=r).clearly_above(0.1) for r in (4, 8))
    if not any(lags):
        return "not"
    return "reproduced" if all(lags) and carried else "partly"


def _trained_on_component(claim, result):
    test = result.at(images="test")
    originals, matching = [], []
    for radius in test.labels("train_radius"):
        low, high = (
            test.at(trained_on=name, train_radius=radius, radius=radius) for name in ("low", "high")
        )
        originals.append((low.original - high.original).clearly_above())
        matching.append((low.low - high.high).clearly_above())
    if not all(originals):
        return "not"
    return "reproduced" if all(matching) else "partly"


RULES = {
    "C04": _learned_first,
    "C05": _memorised_by_high,
    "C06": _trained_on_component,
}
