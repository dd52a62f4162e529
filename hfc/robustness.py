"""What is left under attack, and whether to believe it.

Whatever the outcome, an attack only shows what *it* cannot break, so tables of robust accuracy
carry flags for what makes such numbers suspicious.

>>> from hfc import data, models
>>> model = models.build("small", num_classes=10, width=8).eval()
>>> test = data.load("synthetic", "test", size=10)
>>> list(robust_accuracy(model, test, "fgsm", [0, 8 / 255]).columns)
['accuracy', 'low', 'high', 'flags']
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfc import arguments, attacks
from hfc.arguments import Count, Seed
from hfc.data import ImageSet
from hfc.evaluation import is_right, logits
from hfc.flags import KINDS, Flag
from hfc.intervals import wilson_interval
from hfc.models import check_labels
from hfc.wrappers import FilteredInput

__all__ = ["joint_bound", "low_pass_bound", "robust_accuracy"]


@arguments.checked
def robust_accuracy(
    model: nn.Module,
    data: ImageSet,
    attack: str | attacks.Attack,
    epsilons: Sequence[float],
    *,
    protocol: str = "fixed",
    source: nn.Module | None = None,
    batch_size: Count = 250,
    seed: Seed = 0,
    checked: int = 100,
) -> pd.DataFrame:
    """Share of images that a model gets right before and after an attack.

    Parameters
    ----------
    model, attack, batch_size, seed
        As in :func:`hfc.attacks.perturb`.
    data : ImageSet
    epsilons : sequence of float
        In pixel units, as in :func:`~hfc.attacks.perturb`; 0 gives the clean accuracy.
    protocol : {"fixed", "minimum"}
        ``"fixed"`` attacks with each epsilon and counts the outcome. ``"minimum"`` counts an
        image as broken at epsilon if the attack succeeds at any size up to it, so it never gives
        more than ``"fixed"``. An attack within a given epsilon then tries all of ``epsilons``
        and eight sizes below the largest, each the one before over the square root of 2.
        Attacks that look for the smallest perturbation know ``"minimum"`` only. The defaults of
        foolbox before its version 3, behind table 2 of Wang et al. 2020, counted like this.
    source : nn.Module, optional
        The model whose gradients make the images; ``model`` is only asked what it sees in them.
        The undefended model is the naive attack on a defence, another network a transfer
        attack, :class:`hfc.wrappers.StraightThrough` the adaptive attack. Default: ``model``.
    checked : int
        Images for those flags that need attacks of their own; 0 leaves these flags out.

    Returns
    -------
    DataFrame
        Indexed by ``epsilon``: ``accuracy``, in [0, 1], with Wilson's 95 % interval ``low``,
        ``high``, and ``table["flags"]`` (``table.flags`` is pandas' own): tuples of
        :class:`hfc.flags.Flag`.

    Raises
    ------
    ValueError
        If an argument is unknown or out of range, the attack has no such protocol or no use for
        ``source``, labels name none of a model's classes, or logits are not finite.

    Notes
    -----
    After the checks of Athalye et al. 2018, Carlini et al. 2019 and Croce and Hein 2020. A flag
    is a reason to look, not a proof: ``training-mode`` (the model is attacked in evaluation mode
    all the same), ``random-model`` (by more than 1e-4 plus 0.1 %), ``left-range``, ``left-ball``
    (by more than 0.1 %; both is undone before images are counted), ``vanishing-gradients`` (of
    the loss of ``source``, below 1e-12 at all pixels of an image), ``rising-accuracy``,
    ``noise-stronger`` and ``waves-stronger`` (at the largest epsilon; the worst of 64 waves),
    ``fewer-steps-stronger`` (for ``source``), ``survives-grey`` (epsilon 0.5, or half the
    diagonal). A number of images counts if it is above two and above 2 %.

    Gradients, steps, noise and waves are for attacks with gradients, grey for these and for the
    smallest perturbations. Confined attacks may fail for good reason: no noise, waves or grey.
    """
    attack, sizes = attacks.named(attack), [float(epsilon) for epsilon in epsilons]
    attacks.check_sizes("epsilons", sizes, attacks.largest_size(attack, data.images))
    _check_protocol(protocol, source, attacks.is_minimal(attack))
    n, settings = len(data), {"batch_size": batch_size, "seed": seed}
    images, labels, by = data.images, data.labels, model if source is None else source
    case, general = _Case(model, by, images, labels, attack, settings), [_training_mode(model)]
    with attacks.attacking(model, by, device=images.device):
        right = is_right(model, images, labels)
        if source is not None:
            check_labels(labels, logits(source, images[:1]).shape[1])
        survivors, breaches = _survivors(case, right, sizes, protocol)
        if attacks.is_minimal(attack):
            general.append(_notable("survives-grey", int(survivors[max(survivors)].sum()), n))
        first = right.nonzero()[:checked, 0]
        if len(first):
            left = int(survivors[max(sizes)][first].sum())
            once = replace(case.of(first), attack=attacks.core(attack))  # without restarts
            general += _doubts(once, max(sizes), left)
    rows, lowest = {}, n
    for size in sorted(set(sizes)):
        count = int(survivors[size].sum())
        low, high = wilson_interval(count, n)
        flags = [*general, *breaches[size], _notable("rising-accuracy", count - lowest, n)]
        flags = tuple(flag for flag in flags if flag)
        rows[size] = {"accuracy": count / n, "low": low, "high": high, "flags": flags}
        lowest = min(lowest, count)
    return pd.DataFrame([rows[size] for size in sizes], index=pd.Index(sizes, name="epsilon"))


@dataclass(frozen=True)
class _Case:
    """An attack on images: with the gradients of ``source``, against ``model``."""

    model: nn.Module
    source: nn.Module
    images: Tensor
    labels: Tensor
    attack: attacks.Attack
    settings: dict

    def of(self, which) -> "_Case":
        """The same for some of the images."""
        return replace(self, images=self.images[which], labels=self.labels[which])

    def run(self, epsilon) -> Tensor:
        """The images as the attack leaves them."""
        given = (self.source, self.images, self.labels, self.attack, epsilon)
        return attacks.run(*given, **self.settings)

    def right_after(self, epsilon, changed=None) -> Tensor:
        """Which images are right after the attack."""
        changed = self.run(epsilon) if changed is None else changed
        shown = attacks.cut(self.images, changed, self.attack, epsilon)
        return is_right(self.model, shown, self.labels)


def _survivors(case, right, sizes, protocol):
    """For each size that is tried: which images are right after all, and the first flags."""
    attack, minimal, tried = case.attack, attacks.is_minimal(case.attack), set(sizes)
    if minimal:
        tried.add(attacks.largest_size(attack, case.images) / 2)
        smallest = case.run(None)
    elif protocol == "minimum":
        tried |= {max(sizes) * 2 ** (-k / 2) for k in range(1, 9)}
    unbroken, survivors, breaches = right.clone(), {}, {}
    for size in sorted(tried):
        who = torch.ones_like(right) if size in sizes or minimal else unbroken.clone()
        if not who.any():
            continue
        some = case.of(who)
        changed = smallest if minimal else some.run(size)
        unharmed = some.right_after(size, changed)
        unbroken[who] &= unharmed
        survivors[size] = unbroken.clone() if protocol == "minimum" else right & unharmed
        breaches[size] = [_left_range(changed), _left_ball(some, changed, size)]
    return survivors, breaches


def _check_protocol(protocol, source, minimal):
    if protocol not in ("fixed", "minimum"):
        raise ValueError(f'protocol must be "fixed" or "minimum", got {protocol!r}')
    such = "an attack that looks for the smallest perturbation"
    if minimal and protocol == "fixed":
        raise ValueError(f'protocol must be "minimum" for {such}, got "fixed"')
    if minimal and source is not None:
        raise ValueError(f"source must be left out for {such}, got {type(source).__name__}")


# The flags, one function each: the flag, or None --------------------------------------------


def _training_mode(model):
    return Flag("training-mode") if any(m.training for m in model.modules()) else None


def _left_range(changed):
    inside = changed.min() >= -1e-6 and changed.max() <= 1 + 1e-6
    return None if inside else Flag("left-range")


def _left_ball(case, changed, epsilon):
    too_far = case.attack.distance(case.images, changed).max() > 1.001 * epsilon + 1e-6
    return Flag("left-ball") if too_far and not attacks.is_minimal(case.attack) else None


def _doubts(case, epsilon, left):
    """The other flags, from images that the model gets right; ``left`` still after all."""
    yield _random(case)
    if attacks.reads_gradients(case.attack):
        yield _vanishing(case)
        yield _fewer_steps(case, epsilon)
        if not attacks.is_confined(case.attack):
            for name, control in attacks.controls(case.attack).items():
                yield _stronger(case, f"{name}-stronger", control, epsilon, left)
            if not attacks.is_minimal(case.attack):  # for these it is known by now
                yield _survives_grey(case)


def _random(case):
    one, two = (logits(case.model, case.images) for _ in range(2))
    return None if torch.allclose(one, two, rtol=1e-3, atol=1e-4) else Flag("random-model")


def _vanishing(case):
    pixels = case.images.clone().requires_grad_()
    loss = F.cross_entropy(case.source(pixels), case.labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, pixels)
    gone = ~(gradient.abs().amax(dim=(1, 2, 3)) >= 1e-12)  # NaN counts too
    return _notable("vanishing-gradients", int(gone.sum()), len(pixels))


def _fewer_steps(case, epsilon):
    both = (case.attack, attacks.quarter(case.attack))
    if None in both:
        return None
    runs = (replace(case, model=case.source, attack=attack) for attack in both)
    whole, part = (int(run.right_after(epsilon).sum()) for run in runs)
    return _notable("fewer-steps-stronger", whole - part, len(case.images))


def _stronger(case, kind, control, epsilon, left):
    right = replace(case, source=case.model, attack=control).right_after(epsilon)
    return _notable(kind, left - int(right.sum()), len(case.images))


def _survives_grey(case):
    enough = attacks.largest_size(case.attack, case.images) / 2
    return _notable("survives-grey", int(case.right_after(enough).sum()), len(case.images))


def _notable(kind, count, n):
    if count <= max(2, 0.02 * n):
        return None
    return Flag(kind, count / n if "{}" in KINDS[kind] else None)


@arguments.checked
def low_pass_bound(
    model: nn.Module, data: ImageSet, radii: Sequence[float], epsilons: Sequence[float]
) -> pd.DataFrame:
    """How robust a model can be at most, from what it says about low-pass copies.

    Wherever a model is right about an image and wrong about its copy, the copy is an adversarial
    example, and no attack was needed to find it.

    Parameters
    ----------
    model, data
    radii : sequence of float
        Radii of the circle in waves per image.
    epsilons : sequence of float
        L-infinity sizes in pixel units, 0 to 1.

    Returns
    -------
    DataFrame
        Indexed by ``radius`` and ``epsilon``: ``bound``, the most that robust accuracy can be,
        which is clean accuracy less ``broken``, the share of images that are right, whose copy
        is wrong, and no further than epsilon; ``differs``, the share whose copy gets another
        answer, and ``distance``, the median L-infinity distance of copies, at any epsilon.

    Raises
    ------
    ValueError
        If there are no radii or epsilons, or one is out of range.

    Notes
    -----
    Wang et al. 2020, section 3, corollary 1. Copies are clipped to [0, 1].
    """
    right, copies = _copies(model, data, radii, epsilons)
    rows = {}
    for radius, differs, wrong, distance in copies:
        for epsilon in epsilons:
            broken = right & wrong & (distance <= epsilon)
            rows[float(radius), float(epsilon)] = {
                "bound": _share(right & ~broken),
                "broken": _share(broken),
                "differs": _share(differs),
                "distance": distance.quantile(0.5).item(),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["radius", "epsilon"])


@arguments.checked
def joint_bound(
    model: nn.Module, data: ImageSet, radii: Sequence[float], epsilons: Sequence[float]
) -> pd.Series:
    """Upper bound on robust accuracy from the copies of all radii together.

    Parameters, errors and source as in :func:`low_pass_bound`. An image is broken at epsilon if
    any of its copies is wrong and no further. The result is indexed by ``epsilon``.
    """
    right, copies = _copies(model, data, radii, epsilons)
    nearest = torch.full_like(right, math.inf, dtype=torch.float32)  # copy that is wrong
    for _, _, wrong, distance in copies:
        nearest = torch.where(wrong, torch.minimum(nearest, distance), nearest)
    bounds = {float(epsilon): _share(right & (nearest > epsilon)) for epsilon in epsilons}
    return pd.Series(bounds, name="bound").rename_axis("epsilon")


def _copies(model, data, radii, epsilons):
    """Which images are right and, radius by radius, how their copies fare and how far they are."""
    if len(radii) == 0:
        raise ValueError("radii must hold at least one radius, got none")
    attacks.check_sizes("epsilons", epsilons, 1)
    found = logits(model, data.images)
    check_labels(data.labels, found.shape[1])
    answers = found.argmax(dim=1)
    copies = []
    for radius in radii:
        seen = FilteredInput(model, radius).prepare(data.images)
        to_copies = logits(model, seen).argmax(dim=1)
        distance = (seen - data.images).abs().amax(dim=(1, 2, 3))
        copies.append((radius, to_copies != answers, to_copies != data.labels, distance))
    return answers == data.labels, copies


def _share(which):
    return int(which.sum()) / len(which)
