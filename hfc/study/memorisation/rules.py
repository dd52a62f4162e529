"""What chapter 3's claims are judged by: estimates for the steps in ``claims.toml``."""

__all__ = ["RULES"]


def _learned_first(claim, result):
    train = result.at(labels="true", images="train")
    return {f"r = {r}": {"": _kept_early(train.at(radius=r))} for r in (4, 8)}


def _kept_early(train):
    """How much more is kept on LFC copies early, from 30 % accuracy on, than at the end."""
    kept, known = train.low / train.original, train.original.array >= 0.3

    def first(shares):
        return shares.isel(epoch=known.argmax("epoch")).where(known.any("epoch"))

    return kept.apply(first) - kept.at(epoch=max(train.labels("epoch")))


def _memorised_by_high(claim, result):
    train = result.at(images="train", labels=["true", "all shuffled"])

    def lag(radius):
        found = {}
        for level in (0.4, 0.5, 0.6):
            low = train.at_accuracy(level).low.at(radius=radius)
            found[f"at {100 * level:.0f} %"] = low.at(labels="all shuffled") - low.at(labels="true")
        return found

    high = train.at(labels="all shuffled").last.high_mean
    return {
        "lag, r = 4": lag(4),
        "lag, r = 8": lag(8),
        "carried": {f"r = {r}": high.at(radius=r) - 0.1 for r in (4, 8)},
    }


def _trained_on_component(claim, result):
    test = result.at(images="test")
    originals, none, matching = {}, {}, {}
    for radius in test.labels("train_radius"):
        low, high = (
            test.at(trained_on=name, train_radius=radius, radius=radius) for name in ("low", "high")
        )
        label = f"r = {radius:g}"
        originals[label] = low.original - high.original
        none[label] = high.original
        matching[label] = low.low - high.high
    return {"originals": originals, "not at all": none, "matching": matching}


RULES = {
    "C04": _learned_first,
    "C05": _memorised_by_high,
    "C06": _trained_on_component,
}
