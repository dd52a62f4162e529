"""Verdicts on the papers' claims, computed from stored results.

What a claim says, and the rule by which it is judged, stand in ``book/claims.toml``; here the
rules are carried out. "Clearly" means that the whole 95 % interval over seeds lies on one side.
"""

import itertools
import tomllib
from functools import partial

import numpy as np
import pandas as pd
import torch

from hfc.frequency import radial_mask, split
from hfc.kernels import smooth
from hfc.results import BOOK, Result, load, mean_interval

__all__ = ["at_level", "claims", "common_level", "scoreboard", "with_match"]


def claims() -> dict[str, dict]:
    """The entries of ``book/claims.toml`` by id: what the papers and the blog say."""
    entries = tomllib.loads((BOOK / "claims.toml").read_text())["claim"]
    return {entry["id"]: entry for entry in entries}


def scoreboard(*, scale: str = "cpu", dataset: str = "cifar10") -> pd.DataFrame:
    """A verdict on every claim.

    Parameters
    ----------
    scale, dataset : str
        Which results to judge by.

    Returns
    -------
    DataFrame
        Indexed by claim: ``statement``, ``source`` and ``verdict``, which is ``"reproduced"``,
        ``"partly"``, ``"not"``, ``"adopted"`` (a proposal) or ``"not tested"`` (no result yet,
        or only one seed). The rule behind each stands in ``book/claims.toml``.
    """
    rows = []
    for name, claim in claims().items():
        needed = [claim[key] for key in ("experiment", "also") if key in claim]
        try:
            found = [load(experiment, scale=scale, dataset=dataset) for experiment in needed]
            enough = all(len(result.seeds) > 1 for result in found)  # no interval, no verdict
            verdict = _RULES[name](claim, *found) if enough else "not tested"
        except FileNotFoundError:
            verdict = "not tested"
        rows.append({"claim": name} | {k: claim[k] for k in ("statement", "source")})
        rows[-1]["verdict"] = verdict
    return pd.DataFrame(rows).set_index("claim")


# At the same accuracy ---------------------------------------------------------------------


# Accuracies are stored from single precision: 29 of 100 is 0.28999999. One image is far more.
_ROUNDING = 1e-6


def with_match(result: Result) -> pd.DataFrame:
    """Table of a result with a column ``match``: the accuracy by which networks are matched.

    That is the accuracy on originals; where BatchNorm was tested by several statistics, the
    accuracy by running ones, because it belongs to the same weights.
    """
    table = result.table
    table["match"] = table["original"]
    if "statistics" in result.keys:
        kept = [name for name in table.index.names if name not in ("statistics", "company")]
        running = table.xs(("running", "alone"), level=("statistics", "company"))["original"]
        match = running.groupby(level=kept).first()
        table["match"] = match.reindex(table.index.droplevel(["statistics", "company"])).to_numpy()
    return table


def at_level(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Measurements at the moment when each network reached a given accuracy.

    Parameters
    ----------
    table : DataFrame
        As :func:`with_match` returns it, with ``epoch`` in its index.
    level : float
        Accuracy in [0, 1].

    Returns
    -------
    DataFrame
        Without ``epoch``: every column between the last measured epoch below the level and the
        next, on a straight line. NaN where a network was above the level when first measured,
        or never reached it.
    """
    others = [name for name in table.index.names if name != "epoch"]

    def cross(group):
        group = group.sort_index(level="epoch")
        reached = group["match"].to_numpy() >= level - _ROUNDING
        after = int(np.argmax(reached))
        if not (reached[after] and after > 0):
            return group.iloc[0] * np.nan
        before, after = group.iloc[after - 1], group.iloc[after]
        share = (level - before["match"]) / (after["match"] - before["match"])
        return before + share * (after - before)

    return table.groupby(level=others, sort=False)[list(table)].apply(cross)


def common_level(table: pd.DataFrame) -> float:
    """Highest accuracy, in whole percent, that every network of a table reached."""
    others = [name for name in table.index.names if name != "epoch"]
    best = table.groupby(level=others)["match"].max().min()
    return float(np.floor(100 * (best + _ROUNDING)) / 100)


# The rules --------------------------------------------------------------------------------


def _clearly_above(values, bound=0.0) -> bool:
    return bool(mean_interval(list(values))[1] > bound)


def _clearly_below(values, bound=0.0) -> bool:
    return bool(mean_interval(list(values))[2] < bound)


def _graded(*steps):
    """``"reproduced"`` if all hold, ``"partly"`` if one does, else ``"not"``."""
    return "reproduced" if all(steps) else "partly" if any(steps) else "not"


def _pick(table, **where):
    """Part of a table with the given values of index levels."""
    return table.xs(tuple(where.values()), level=tuple(where))


def _definition(claim):
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    close = partial(torch.allclose, atol=1e-5)
    for radius in (4, 8, 12, 16):
        inside = sum(
            u * u + v * v <= radius * radius for u in range(-16, 16) for v in range(-16, 16)
        )
        low, high = split(x, radius)
        mask = radial_mask(32, 32, radius)
        masked = torch.fft.ifft2(torch.fft.fft2(x) * mask).real
        if mask.sum() != inside or not close(low, masked) or not close(low + high, x):
            return "not"
    return "reproduced"


def _observation(claim, result):
    table = result.table.loc[pd.IndexSlice[:, "raw", :], :]
    table = table[table.index.get_level_values("radius") >= 4]
    gain = table["only_high"] + table["both"] - table["high_constant"]
    images = table["only_high_and_original"] * (10_000 / table["n"])
    verdict = "not"
    for radius in gain.index.unique("radius"):
        low_gain, low_images = (
            mean_interval(values.xs(radius, level="radius").tolist())[1]
            for values in (gain, images)
        )
        if low_gain > 0 and low_images >= claim["paper_images"]:
            return "reproduced"
        if low_gain > 0 and low_images > 0:
            verdict = "partly"
    return verdict


def _learned_first(claim, result):
    table = _pick(result.table, labels="true", images="train")

    def change(group):
        group = group.sort_index(level="epoch")
        kept = group["low"] / group["original"]
        early = kept[group["original"] >= 0.3]
        return early.iloc[0] - kept.iloc[-1] if len(early) else np.nan

    changes = table.groupby(level=["radius", "seed"]).apply(change)
    return _graded(*(_clearly_above(_pick(changes, radius=radius)) for radius in (4, 8)))


def _memorised_by_high(claim, result):
    table = with_match(result)
    table = _pick(table, images="train")
    half = at_level(table, 0.5)["low"]
    lag = _pick(half, labels="all shuffled") - _pick(half, labels="true")
    lags = [_clearly_below(_pick(lag, radius=radius)) for radius in (8, 12)]
    last = _pick(table, labels="all shuffled", epoch=table.index.unique("epoch").max())
    high = last["high + mean"] - 0.1
    carried = any(_clearly_above(_pick(high, radius=radius)) for radius in (4, 8))
    if not any(lags):
        return "not"
    return "reproduced" if all(lags) and carried else "partly"


def _trained_on_component(claim, result):
    table = _pick(result.table, images="test")
    originals, matching = [], []
    for radius in table.index.unique("train_radius"):
        low, high = (
            _pick(table, trained_on=name, train_radius=radius, radius=radius)
            for name in ("low", "high")
        )
        originals.append(_clearly_above(low["original"] - high["original"]))
        matching.append(_clearly_above(low["low"] - high["high"]))
    if not all(originals):
        return "not"
    return "reproduced" if all(matching) else "partly"


def _gap(table):
    """Accuracy on training minus accuracy on test originals."""
    return _pick(table, images="train")["original"] - _pick(table, images="test")["original"]


def _batch_size(claim, result):
    table = _pick(result.table, radius=8)

    def three(budget, small, large):
        small, large = (
            _pick(table, budget="same epochs", batch_size=small),
            _pick(table, budget=budget, batch_size=large),
        )
        tested = (_pick(part, images="test") for part in (small, large))
        small_test, large_test = tested
        return [
            _clearly_above(small_test["original"] - large_test["original"]),
            _clearly_above(_gap(small) - _gap(large)),
            _clearly_above(small_test["high + mean"] - large_test["high + mean"]),
        ]

    sizes = _pick(table, budget="same epochs").index.unique("batch_size")
    epochs = three("same epochs", min(sizes), max(sizes))
    if all(epochs) and all(three("same steps", 100, 1000)):
        return "reproduced"
    return "partly" if sum(epochs) >= 2 else "not"


def _last(result, **where):
    """Test copies after the last epoch."""
    table = _pick(result.table, epoch=result.table.index.unique("epoch").max())
    return _pick(table, **where)


def _vanilla(claim, result):
    table = _last(result, heuristic="vanilla", images="test")
    radii = claim["paper"]["radii"]
    at = {radius: _pick(table, radius=radius) for radius in radii}
    rising = all(
        _clearly_above(at[larger]["low"] - at[smaller]["low"])
        for smaller, larger in itertools.pairwise(radii)
    )
    blind = all(_clearly_below(at[radius]["high"] - 0.2) for radius in radii)
    return "not" if not rising else "reproduced" if blind else "partly"


def _versus_plain(result, heuristic):
    """Differences to the plain network on test images, after the last epoch."""
    return _last(result, heuristic=heuristic, images="test") - _last(
        result, heuristic="vanilla", images="test"
    )


def _dropout(claim, result):
    difference = _versus_plain(result, "dropout")[["original", "low", "high"]]
    bounds = [
        mean_interval(values.tolist())
        for _, part in difference.groupby(level="radius")
        for _, values in part.items()
    ]
    if all(low > -0.05 and high < 0.05 for _, low, high in bounds):
        return "reproduced"
    return "partly" if all(abs(mean) < 0.05 for mean, _, _ in bounds) else "not"


def _mixup(claim, result):
    difference = _versus_plain(result, "mixup")
    similar = abs(_pick(difference, radius=4)["original"].mean()) < 0.05
    high = {radius: _pick(difference, radius=radius)["high"] for radius in (4, 8)}
    more = [_clearly_above(values) for values in high.values()]
    if similar and all(more) and all(values.mean() >= 0.1 for values in high.values()):
        return "reproduced"
    return "partly" if any(more) else "not"


def _adversarial(claim, result):
    difference = _versus_plain(result, "adversarial")
    gap = _gap(_last(result, heuristic="adversarial")) - _gap(_last(result, heuristic="vanilla"))
    holds = (
        _clearly_below(_pick(difference, radius=8)["original"])
        + _clearly_below(_pick(gap, radius=8))
        + all(_clearly_below(_pick(difference, radius=r)["high + mean"]) for r in (8, 12))
    )
    return {3: "reproduced", 2: "partly"}.get(holds, "not")


def _batch_norm(claim, small, authors):
    networks = {
        "small": {"inputs": "normalised", "optimizer": "SGD"},
        "authors": {},
    }
    shown = []
    for result, where in zip((small, authors), networks.values(), strict=True):
        table = _pick(with_match(result), statistics="running", company="alone", **where)
        table = table[table.index.get_level_values("norm") != "GroupNorm"]
        there = at_level(table, common_level(table))
        more = _pick(there, norm="BatchNorm") - _pick(there, norm="none")
        for copies in ("high", "high + mean"):
            gains = [_pick(more, radius=radius)[copies] for radius in (4, 8)]
            shown.append(all(_clearly_above(gain) and gain.mean() >= 0.1 for gain in gains))
    return _graded(*shown)


def _architectures(claim, result):
    table = _pick(result.table, radius=8)
    test = _pick(table, images="test")
    others = [name for name in test.index.unique("architecture") if name != "ResNet"]

    def against_all(values):
        best = _pick(values, architecture="ResNet")
        return all(_clearly_above(best - _pick(values, architecture=name)) for name in others)

    values = (test["original"], -_gap(table), -test["high + mean"])
    return _graded(*(against_all(value) for value in values))


def _optimizers(claim, result):
    table = _pick(with_match(result), images="test")
    moments = {
        "epochs": _pick(table, epoch=table.index.unique("epoch").max()),
        "accuracy": at_level(table, common_level(table)),
    }
    holds = {}
    for moment, part in moments.items():
        sgd = _pick(part, optimizer="SGD")
        others = [name for name in part.index.unique("optimizer") if name != "SGD"]
        holds[moment] = all(
            _clearly_above(_pick(sgd - _pick(part, optimizer=name), radius=radius)["high"])
            for name in others
            for radius in (4, 8)
        )
    if not holds["epochs"]:
        return "not"
    return "reproduced" if holds["accuracy"] else "partly"


def _low_with_batch_norm(claim, result):
    table = _pick(result.table, images="test")
    gain = _pick(table, norm="BatchNorm") - _pick(table, norm="none")
    small, large = (_pick(gain, train_radius=str(r), radius=r) for r in (4, 16))
    return _graded(
        *(_clearly_above(large[copies] - small[copies]) for copies in ("original", "low"))
    )


def _nearest(values, wanted):
    """The stored epsilon that is meant, however it was rounded."""
    return min(values, key=lambda value: abs(value - wanted))


def _bound(claim, result):
    table = _pick(result.table, training="natural")
    epsilons = table.index.unique("epsilon")
    usual = _nearest(epsilons, 8 / 255)
    clean = _pick(table, epsilon=0.0)["robust"]

    def binds(epsilon):
        lost = clean - _pick(table, epsilon=epsilon)["joint_bound"]
        return _clearly_above(lost.groupby(level="seed").first(), 0.01 + _ROUNDING)

    if binds(usual):
        return "reproduced"
    return "partly" if any(binds(epsilon) for epsilon in epsilons if epsilon > usual) else "not"


def _smooth_kernels(claim, result):
    table = result.table["roughness"]
    table = _pick(table, radius=table.index.unique("radius")[0])

    def smoother_than(other):
        return [
            _clearly_below(
                _pick(table, training="adversarial", kernel=size)
                - _pick(table, training=other, kernel=size)
            )
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
    table = _pick(result.table, form="as published")["accuracy"]
    natural, adversarial = (_pick(table, training=name) for name in ("natural", "adversarial"))
    attacked = [epsilon for epsilon in table.index.unique("epsilon") if epsilon > 0]

    def gain(attack, protocol, epsilon):
        part = _pick(natural, attack=attack, protocol=protocol, epsilon=epsilon)
        return _pick(part, rho=1) - _pick(part, rho=0)

    costs = _clearly_below(gain("pgd", "fixed", 0.0))
    gains = {
        (attack, protocol): [
            _clearly_above(gain(attack, protocol, epsilon)) for epsilon in attacked
        ]
        for attack, protocol in (
            ("pgd", "fixed"),
            ("pgd", "minimum"),
            ("pgd, small logits", "fixed"),
        )
    }
    at = {"attack": "pgd", "protocol": "minimum", "epsilon": _nearest(attacked, 0.09)}
    overtakes = _clearly_above(_pick(natural, rho=1, **at) - _pick(adversarial, rho=0, **at))
    if costs and overtakes and all(all(clear) for clear in gains.values()):
        return "reproduced"
    return "partly" if costs and any(gains["pgd", "minimum"]) else "not"


def _filter_defence(claim, result):
    table = result.table["accuracy"]
    usual = _nearest(table.index.unique("epsilon"), 4 / 255)
    radii = [radius for radius in table.index.unique("radius") if radius <= 16]

    def left(attack, radius, epsilon):
        return _pick(table, attack=attack, radius=radius, epsilon=epsilon)

    def seems_and_is_not(radius):
        clean, naive = left("naive", radius, 0.0), left("naive", radius, usual)
        adaptive = left("adaptive", radius, usual)
        return _clearly_above(naive - clean / 2) and _clearly_above(naive / 2 - adaptive)

    if any(seems_and_is_not(radius) for radius in radii):
        return "reproduced"
    weaker = (
        _clearly_above(left("naive", radius, usual) - left("adaptive", radius, usual))
        for radius in radii
    )
    return "partly" if all(weaker) else "not"


def _kernel_remedies(claim, result):
    table = result.table["accuracy"]
    whole = max(table.index.unique("kernel_radius"))
    remedies = [("0.0", r) for r in table.index.unique("kernel_radius") if r < whole]
    remedies += [(p, whole) for p in table.index.unique("penalty") if p != "0.0"]
    bounds = []
    for epsilon in (e for e in table.index.unique("epsilon") if e > 0):
        at = _pick(table, epsilon=epsilon)
        without = _pick(at, penalty="0.0", kernel_radius=whole)
        for penalty, radius in remedies:
            gain = _pick(at, penalty=penalty, kernel_radius=radius) - without
            bounds.append(mean_interval(gain.tolist()))
    marginal = all(high < 0.05 for _, _, high in bounds)
    if marginal and any(low > 0 for _, low, _ in bounds):
        return "reproduced"
    return "partly" if all(mean < 0.05 for mean, _, _ in bounds) else "not"


_RULES = {
    "C01": _definition,
    "C02": _observation,
    "C03": _bound,
    "C04": _learned_first,
    "C05": _memorised_by_high,
    "C06": _trained_on_component,
    "C07": _batch_size,
    "C08": _vanilla,
    "C09": _dropout,
    "C10": _mixup,
    "C11": _batch_norm,
    "C12": _adversarial,
    "C13": _architectures,
    "C14": _optimizers,
    "C15": _low_with_batch_norm,
    "C16": _smooth_kernels,
    "C17": _smoothing,
    "C18": _smoothing_helps,
    "C21": _filter_defence,
    "C22": _kernel_remedies,
    "C23": lambda claim, result: "adopted",
}
