"""Adversarial attacks: foolbox, wrapped thinly, with sanity flags.

Attacks change the pixels of images in [0, 1] by at most epsilon, in pixel units: 8/255, not 8.
They run in float32, on the device of the images, against a model in evaluation mode. What they
draw at random follows from a seed. Whatever the outcome, an attack only shows what *it* cannot
break, so tables of robust accuracy carry flags for what makes such numbers suspicious.

>>> from hfc import data, models
>>> model = models.build("small", num_classes=10, width=8).eval()
>>> test = data.load("synthetic", "test", size=10)
>>> changed = perturb(model, test.images, test.labels, "fgsm", 8 / 255)
>>> round(255 * (changed - test.images).abs().max().item())
8
>>> table = robust_accuracy(model, test, "fgsm", [0, 8 / 255])
>>> list(table.columns)
['accuracy', 'low', 'high', 'flags']
"""

import copy
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else foolbox needs a git to be installed

import eagerpy as ep
import pandas as pd
import torch
import torch.nn.functional as F
from foolbox import PyTorchModel
from foolbox import attacks as fa
from foolbox.attacks.base import FixedEpsilonAttack, MinimizationAttack, Repeated
from foolbox.attacks.gradient_descent_base import BaseGradientDescent
from foolbox.criteria import Misclassification
from foolbox.distances import l2, linf
from torch import Tensor, nn

from hfc import frequency
from hfc.data import ImageSet
from hfc.evaluation import predict, wilson_interval

__all__ = [
    "ATTACKS",
    "FilteredInput",
    "StraightThrough",
    "joint_bound",
    "low_pass_bound",
    "make",
    "perturb",
    "robust_accuracy",
]

# Attacks that foolbox lacks -----------------------------------------------------------------


class _Confined:
    """PGD whose perturbation lies in one frequency component, but for the clip to [0, 1].

    Ball and component take turns, since each leads out of the other: so the perturbation comes
    near the best place that lies in both. Last comes one factor per image, which leads into the
    ball and stays in the component. With nothing to filter out this is plain PGD.
    """

    def __init__(self, *, component, radius, **settings):
        super().__init__(**settings)
        self.component, self.radius = component, radius

    def _confine(self, x):
        return ep.astensor(frequency.component(x.raw, self.component, self.radius))

    def normalize(self, gradients, *, x, bounds):
        return super().normalize(self._confine(gradients), x=x, bounds=bounds)

    def project(self, x, x0, epsilon):
        for _ in range(5):  # on linear models one turn gets 80 % of what is possible, five 92 %
            x = x0 + self._confine(super().project(x, x0, epsilon) - x0)
        change = self._confine(x - x0)
        excess = ep.maximum(self.distance(x0, x0 + change) / epsilon, 1)
        return x0 + change / excess.reshape((-1, 1, 1, 1))


class _ConfinedPGD(_Confined, fa.LinfPGD):
    pass


class _ConfinedL2PGD(_Confined, fa.L2PGD):
    pass


class _Fourier(FixedEpsilonAttack):
    """The one wave of a polar grid that speaks most for a wrong class, found by trying.

    Eight directions times eight rings up to the Nyquist frequencies, each wave with either sign;
    the signs of the channels are drawn (Yin et al. 2019).
    """

    distance = linf

    def run(self, model, inputs, criterion, *, epsilon):
        x, restore = ep.astensor_(inputs)
        x, labels = x.raw, criterion.labels.raw[:, None]
        best, highest = x, x.new_full((len(x), 1), -math.inf)
        for wave in self._waves(*x.shape[-2:]):
            signs = 2 * torch.randint(2, (*x.shape[:2], 1, 1), device=x.device) - 1
            change = wave.to(x) * signs
            change *= epsilon / self.distance(torch.zeros_like(x), change)[:, None, None, None]
            for shown in ((x + change).clamp(0, 1), (x - change).clamp(0, 1)):
                logits = model(shown)
                wrong = logits.scatter(1, labels, -math.inf).amax(dim=1, keepdim=True)
                lead = wrong - logits.gather(1, labels)  # (N, 1), above 0 where the model errs
                best = torch.where((lead > highest)[:, :, None, None], shown, best)
                highest = torch.maximum(lead, highest)
        return restore(ep.astensor(best))

    @staticmethod
    def _waves(height, width):
        waves = set()
        for ring in range(1, 9):
            for turn in range(8):  # the other half of the circle holds the same waves
                angle = math.pi * turn / 8
                u = round(height // 2 * ring / 8 * math.sin(angle))
                waves.add((u, round(width // 2 * ring / 8 * math.cos(angle))))
        return [frequency.fourier_basis(height, width, *wave) for wave in sorted(waves)]


class _L2Fourier(_Fourier):
    distance = l2


class _HopSkipJump(fa.HopSkipJumpAttack):
    """Starts from the nearest image of the batch that the model takes for another class.

    If there is none, the image stays as it is.
    """

    def run(self, model, inputs, criterion, **settings):
        x, restore = ep.astensor_(inputs)
        x, labels = x.raw, criterion.labels.raw
        answers = model(x).argmax(dim=1)
        if not model(x).argmax(dim=1).equal(answers):
            raise ValueError("model must answer the same twice for hopskipjump, got a random one")
        far = torch.cdist(x.flatten(1), x.flatten(1), p=math.inf)
        far = far.masked_fill(answers == labels[:, None], math.inf)  # image in rows, start across
        distance, start = far.min(dim=1)
        found, result = distance.isfinite(), x.clone()
        # Look around by half a percent of the distance. At 32x32 pixels foolbox's gamma of 1 means
        # a thousandth of that, less than float32 can resolve.
        self.gamma = 0.005 * x[0].numel() ** 1.5
        if found.any():
            settings |= {"starting_points": x[start[found]]}
            target = Misclassification(labels[found])
            result[found] = super().run(model, x[found], target, **settings)
        return restore(ep.astensor(result))


# By name ------------------------------------------------------------------------------------

_CLASSES = {
    "fgsm": fa.LinfFastGradientAttack,
    "pgd": fa.LinfPGD,
    "pgd-l2": fa.L2PGD,
    "deepfool": fa.LinfDeepFoolAttack,
    "deepfool-l2": fa.L2DeepFoolAttack,
    "hopskipjump": partial(_HopSkipJump, initial_gradient_eval_steps=20, constraint="linf"),
    "fourier": _Fourier,
    "noise": partial(fa.LinfPGD, steps=0),  # what is left is the random start
}
_STEPS = {"pgd": 20, "pgd-l2": 20, "deepfool": 50, "deepfool-l2": 50, "hopskipjump": 10}
_CONFINED = {"pgd": _ConfinedPGD, "pgd-l2": _ConfinedL2PGD}
# Attacks without gradients that flags compare with, by the p of the norm.
_CONTROLS = {
    math.inf: {"noise breaks": _CLASSES["noise"], "waves break": _Fourier},
    2: {"noise breaks": partial(fa.L2PGD, steps=0), "waves break": _L2Fourier},
}
ATTACKS = tuple(_CLASSES)


def make(
    name: str,
    *,
    steps: int | None = None,
    component: str | None = None,
    radius: float | None = None,
    restarts: int = 1,
) -> fa.Attack:
    """Build an attack.

    Parameters
    ----------
    name : str
        One of :data:`ATTACKS`. With gradients, within a given epsilon: ``"fgsm"`` (one step
        along the sign of the gradient), ``"pgd"`` (Madry et al. 2018: from a random start,
        steps of ``2.5 * epsilon / steps``), ``"pgd-l2"``. With gradients, to the smallest
        epsilon: ``"deepfool"``, ``"deepfool-l2"`` (Moosavi-Dezfooli et al. 2016). Without
        gradients: ``"hopskipjump"`` (Chen et al. 2020: looks at answers only, to the smallest
        epsilon; starts from other images of the batch), ``"fourier"`` (Tsuzuku and Sato 2019:
        the worst of 64 waves), ``"noise"`` (uniform; the weakest control). Perturbations are
        measured by their largest pixel (L-infinity), those of ``-l2`` by their length.
    steps : int, optional
        Steps of an iterative attack; default 20 (PGD), 50 (DeepFool), 10 (HopSkipJump).
    component : {"low", "high"}, optional
        Confines the perturbation of ``"pgd"`` or ``"pgd-l2"`` to that component. It is shrunk,
        not cut, to fit into epsilon. Only the last clip, to [0, 1], may leave the component.
    radius : float, optional
        Radius of the component in waves per image.
    restarts : int
        Runs of the attack; the first success on an image, or the smallest one, is kept.

    Returns
    -------
    foolbox.attacks.Attack

    Raises
    ------
    ValueError
        If an argument is unknown, out of range, or of no meaning for this attack.
    """
    if name not in ATTACKS:
        raise ValueError(f"attack must be one of {', '.join(ATTACKS)}, got {name!r}")
    if (component is None) != (radius is None):
        got = f"component={component!r} and radius={radius}"
        raise ValueError(f"component and radius must be given together, got {got}")
    if component not in (None, "low", "high"):
        raise ValueError(f'component must be "low" or "high", got {component!r}')
    for argument, value, known in (("component", component, _CONFINED), ("steps", steps, _STEPS)):
        if value is not None and name not in known:
            raise ValueError(f"{argument} must be left out for {name!r}, got {value!r}")
    steps = _STEPS.get(name) if steps is None else steps
    for argument, count in (("steps", steps), ("restarts", restarts)):
        if count is not None and count < 1:
            raise ValueError(f"{argument} must be at least 1, got {count}")
    settings = {} if steps is None else {"steps": steps}
    if name in _CONFINED:
        settings["rel_stepsize"] = 2.5 / steps
    if component is None:
        attack = _CLASSES[name](**settings)
    else:
        attack = _CONFINED[name](component=component, radius=_radius(radius), **settings)
    return attack.repeat(restarts) if restarts > 1 else attack


# Attacks on images --------------------------------------------------------------------------


def perturb(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: str | fa.Attack,
    epsilon: float,
    *,
    batch_size: int = 250,
    seed: int = 0,
) -> Tensor:
    """Adversarial images.

    Parameters
    ----------
    model : nn.Module
        Attacked in evaluation mode; modes, gradients and ``requires_grad`` stay as they are.
    images : Tensor
        ``(N, C, H, W)``, float, pixels in [0, 1].
    labels : Tensor
        ``(N,)``, int64: the classes to lead away from.
    attack : str or foolbox.attacks.Attack
        A name (:data:`ATTACKS`), what :func:`make` returns, or foolbox's own. One that looks for
        the smallest perturbation has it cut to ``epsilon``.
    epsilon : float
        Largest size of a perturbation, in the attack's norm and in pixel units: 0 to 1 for
        L-infinity (8/255, not 8), to the square root of ``C * H * W`` for L2.
    batch_size : int
        Images attacked at a time.
    seed : int
        Of what the attack draws at random. torch's own random state stays as it is.

    Returns
    -------
    Tensor
        Shape, dtype and device of ``images``, in [0, 1], within ``epsilon`` of them.

    Raises
    ------
    ValueError
        If there are no images, pixels or epsilon are out of range, the attack is unknown, or
        HopSkipJump meets a model that answers at random.
    """
    attack = _named(attack)
    _check_images(images, labels)
    _check_sizes("epsilon", [epsilon], _largest(attack, images))
    pixels = images.detach().float()
    with _quiet(model, device=images.device):
        changed = _run(model, pixels, labels, attack, epsilon, batch_size, seed)
    return _cut(pixels, changed, attack, epsilon).to(images.dtype)


def _run(model, images, labels, attack, epsilon, batch_size, seed):
    """Images as the attack leaves them; as near as it gets if it looks for the smallest epsilon."""
    if epsilon == 0:
        return images
    torch.manual_seed(seed)
    limit = None if _is_minimal(attack) else epsilon
    target = PyTorchModel(model, bounds=(0, 1), device=images.device)
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    return torch.cat(
        [attack(target, x, Misclassification(y), epsilons=limit)[0] for x, y in batches]
    )


def _cut(images, changed, attack, epsilon):
    return attack.distance.clip_perturbation(images, changed, epsilon).clamp(0, 1)


@contextmanager
def _quiet(*models: nn.Module, device: torch.device) -> Iterator[None]:
    """Models in evaluation mode that gather no gradients; torch's random state is left alone."""
    modes = [(m, m.training) for model in models for m in model.modules()]
    weights = [p for model in models for p in model.parameters() if p.requires_grad]
    devices = [device] if device.type == "cuda" else []
    without_autocast = torch.autocast(device.type, enabled=False)
    with torch.random.fork_rng(devices), torch.enable_grad(), without_autocast:
        try:
            for model in models:
                model.eval()
            for weight in weights:
                weight.requires_grad_(False)
            yield
        finally:
            for weight in weights:
                weight.requires_grad_(True)
            for module, mode in modes:
                module.training = mode


# Robust accuracy ----------------------------------------------------------------------------


def robust_accuracy(
    model: nn.Module,
    data: ImageSet,
    attack: str | fa.Attack,
    epsilons: Sequence[float],
    *,
    protocol: str = "fixed",
    source: nn.Module | None = None,
    batch_size: int = 250,
    seed: int = 0,
    checked: int = 100,
) -> pd.DataFrame:
    """Share of images that a model gets right before and after an attack.

    Parameters
    ----------
    model, attack, batch_size, seed
        As in :func:`perturb`.
    data : ImageSet
    epsilons : sequence of float
        In pixel units, as in :func:`perturb`; 0 gives the clean accuracy.
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
        attack, :class:`StraightThrough` the adaptive attack. Default: ``model``.
    checked : int
        Images for those flags that need attacks of their own; 0 leaves these flags out.

    Returns
    -------
    DataFrame
        Indexed by ``epsilon``: ``accuracy``, in [0, 1], with Wilson's 95 % interval ``low``,
        ``high``, and ``table["flags"]`` (``table.flags`` is pandas' own): a str, empty, or what
        makes the row suspicious, joined by "; ".

    Raises
    ------
    ValueError
        If an argument is unknown or out of range, or the attack has no such protocol or no use
        for ``source``.

    Notes
    -----
    After the checks of Athalye et al. 2018, Carlini et al. 2019 and Croce and Hein 2020. A flag
    is a reason to look, not a proof. It is raised if

    1. the model came in training mode (it is attacked in evaluation mode all the same);
    2. two forward passes differ (by more than 1e-4 plus 0.1 %);
    3. the attack left [0, 1], or
    4. the ball (by more than 0.1 %; both is undone before images are counted);
    5. the loss of ``source`` has no gradient (below 1e-12 at all pixels of an image);
    6. accuracy rises with epsilon;
    7. at the largest epsilon, noise or the worst of 64 waves breaks more images;
    8. a quarter of the steps breaks more images for ``source``;
    9. images stay right though epsilon lets every image become grey: 0.5, or half the diagonal.

    A number of images counts if it is above two and above 2 %. Flags 5, 7 and 8 are for attacks
    with gradients, 9 for these and for those that look for the smallest perturbation, 7 and 9
    not for those confined to a component: they may fail for good reason.
    """
    attack, sizes = _named(attack), [float(epsilon) for epsilon in epsilons]
    images, labels, minimal = data.images, data.labels, _is_minimal(attack)
    _check_sizes("epsilons", sizes, _largest(attack, images))
    _check_protocol(protocol, source, minimal)
    general = []
    if any(module.training for module in model.modules()):
        general.append("the model came in training mode")
    source = model if source is None else source
    settings = {"batch_size": batch_size, "seed": seed}
    extra, survivors, flags = set(), {}, {}
    if minimal:
        extra = {_largest(attack, images) / 2}
    elif protocol == "minimum":
        extra = {max(sizes) * 2 ** (-k / 2) for k in range(1, 9)}
    with _quiet(model, source, device=images.device):
        right = _is_right(model, images, labels)
        unbroken = right.clone()
        if minimal:
            smallest = _run(source, images, labels, attack, None, **settings)
        for size in sorted(extra.union(sizes)):
            who = torch.ones_like(right) if size in sizes or minimal else unbroken.clone()
            if not who.any():
                continue
            x, y = images[who], labels[who]
            changed = smallest if minimal else _run(source, x, y, attack, size, **settings)
            unharmed = _is_right(model, _cut(x, changed, attack, size), y)
            unbroken[who] &= unharmed
            if size in sizes:
                survivors[size] = unbroken.clone() if protocol == "minimum" else right & unharmed
                flags[size] = list(_breaches(x, changed, attack, size))
        if minimal:
            general += _shares({_GREY: int(unbroken.sum())}, len(images))
        first = right.nonzero()[:checked, 0]
        if len(first):
            chosen, end = (images[first], labels[first]), max(sizes)
            left = int(survivors[end][first].sum())
            general += _doubts(model, source, *chosen, _core(attack), end, left, settings)
    rows, lowest = {}, len(images)
    for size, survived in survivors.items():
        count = int(survived.sum())
        if _is_notable(count - lowest, len(images)):
            flags[size].append("accuracy rises with epsilon")
        lowest = min(lowest, count)
        low, high = wilson_interval(count, len(images))
        rows[size] = {"accuracy": count / len(images), "low": low, "high": high}
        rows[size]["flags"] = "; ".join(general + flags[size])
    return pd.DataFrame([rows[size] for size in sizes], index=pd.Index(sizes, name="epsilon"))


_GREY = "{} of images stay right though epsilon reaches grey"


def _breaches(images, changed, attack, epsilon):
    """Flags 3 and 4."""
    if not (changed.min() >= -1e-6 and changed.max() <= 1 + 1e-6):
        yield "the attack left [0, 1]"
    if attack.distance(images, changed).max() > 1.001 * epsilon + 1e-6 and not _is_minimal(attack):
        yield "the attack left the ball"


def _doubts(model, source, images, labels, attack, epsilon, left, settings):
    """Flags 2, 5, 7, 8 and 9, from images that the model gets right; ``left`` still after all."""

    def after(attack, epsilon, *, by=source, on=source):
        """How many images are right after an attack."""
        changed = _run(by, images, labels, attack, epsilon, **settings)
        return int(_is_right(on, _cut(images, changed, attack, epsilon), labels).sum())

    passes = [predict(model, images) for _ in range(2)]
    if not torch.allclose(*passes, rtol=1e-3, atol=1e-4, equal_nan=True):
        yield "the model is random: two passes differ"
    if isinstance(attack, (_Fourier, _HopSkipJump)) or getattr(attack, "steps", 1) == 0:
        return  # it uses no gradients
    counts = {"gradients vanish for {} of images": _vanished(source, images, labels)}
    if isinstance(attack, BaseGradientDescent) and attack.steps >= 4:
        quarter = copy.copy(attack)
        quarter.steps //= 4
        quarter.rel_stepsize *= attack.steps / quarter.steps
        fewer = after(attack, epsilon) - after(quarter, epsilon)
        counts["a quarter of the steps breaks {} more images"] = fewer
    if not isinstance(attack, _Confined):
        for name, control in _CONTROLS.get(attack.distance.p, {}).items():
            fewer = left - after(control(), epsilon, by=model, on=model)
            counts[f"{name} {{}} more images than gradients"] = fewer
        if not _is_minimal(attack):
            counts[_GREY] = after(attack, _largest(attack, images) / 2, on=model)
    yield from _shares(counts, len(images))


def _vanished(model, images, labels):
    """Number of images without a gradient of the loss."""
    pixels = images.clone().requires_grad_()
    loss = F.cross_entropy(model(pixels), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, pixels)
    return int((~(gradient.abs().amax(dim=(1, 2, 3)) >= 1e-12)).sum())  # NaN counts too


def _shares(counts, n):
    """Texts with the shares that are notable."""
    return [
        text.format(f"{100 * count / n:.0f} %")
        for text, count in counts.items()
        if _is_notable(count, n)
    ]


def _is_notable(count, n):
    return count > max(2, 0.02 * n)


def _is_right(model, images, labels):
    return predict(model, images).argmax(dim=1) == labels


# A defence, and a way through it ------------------------------------------------------------


class FilteredInput(nn.Module):
    """A defence: the model sees only the low-frequency component of each image.

    Parameters
    ----------
    model : nn.Module
    radius : float
        Radius of the circle in waves per image, at least 0.
    rounded : bool
        Whether pixels are rounded to multiples of 1/255, as in a file. Rounding has no gradient,
        so attacks with gradients find nothing, though nothing is safer.

    Raises
    ------
    ValueError
        If the radius is negative or NaN.
    """

    def __init__(self, model: nn.Module, radius: float, *, rounded: bool = False):
        super().__init__()
        self.model, self.radius, self.rounded = model, _radius(radius), rounded
        self.training = model.training

    def prepare(self, x: Tensor) -> Tensor:
        """What the model sees of images ``(N, C, H, W)`` in [0, 1]: the same shape and range."""
        seen = frequency.low_pass(x, self.radius).clamp(0, 1)
        return (255 * seen).round() / 255 if self.rounded else seen

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)`` for images ``(N, C, H, W)`` in [0, 1]."""
        return self.model(self.prepare(x))

    def extra_repr(self) -> str:
        """How images are filtered."""
        return f"radius={self.radius}, rounded={self.rounded}"


class StraightThrough(nn.Module):
    """The adaptive attack's view of a defence: forward the same, backward without the filter.

    Parameters
    ----------
    defended : FilteredInput

    Notes
    -----
    Backward pass differentiable approximation (BPDA), Athalye et al. 2018, section 4.1: filtered
    images are close to the images, so the identity's gradient may stand for the filter's. If
    only the rounding is in the way, ``FilteredInput`` without it is the better source.
    """

    def __init__(self, defended: FilteredInput):
        super().__init__()
        self.defended, self.training = defended, defended.training

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)`` for images ``(N, C, H, W)`` in [0, 1]."""
        nothing = x - x.detach()  # but its gradient is that of x
        return self.defended.model(self.defended.prepare(x).detach() + nothing)


# What low-pass copies say about robustness --------------------------------------------------


def low_pass_bound(
    model: nn.Module, data: ImageSet, radii: Sequence[float], epsilons: Sequence[float]
) -> pd.DataFrame:
    """How robust a model can be at most, from what it says about low-pass copies.

    Wherever a model is right about an image and wrong about its copy, the copy is an adversarial
    example, and no attack was needed to find it.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
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
        answer; ``distance``, the median L-infinity distance of copies (these two are the same
        for every epsilon).

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
    _check_sizes("epsilons", epsilons, 1)
    answers = predict(model, data.images).argmax(dim=1)
    copies = []
    for radius in radii:
        seen = FilteredInput(model, radius).prepare(data.images)
        to_copies = predict(model, seen).argmax(dim=1)
        distance = (seen - data.images).abs().amax(dim=(1, 2, 3))
        copies.append((radius, to_copies != answers, to_copies != data.labels, distance))
    return answers == data.labels, copies


def _share(which):
    return int(which.sum()) / len(which)


# Checks -------------------------------------------------------------------------------------


def _core(attack):
    """What repeats, if the attack is repeated."""
    return attack.attack if isinstance(attack, Repeated) else attack


def _is_minimal(attack):
    return isinstance(_core(attack), MinimizationAttack)


def _named(attack):
    return attack if isinstance(attack, fa.Attack) else make(attack)


def _largest(attack, images):
    """Size, in the attack's norm, of the largest perturbation that leaves pixels in [0, 1]."""
    return images[0].numel() ** (1 / attack.distance.p)


def _check_sizes(name, sizes, largest):
    if len(sizes) == 0:
        raise ValueError(f"{name} must hold at least one size, got none")
    for size in sizes:
        if not 0 <= size <= largest:
            wanted = "1 (8/255, not 8)" if largest == 1 else f"{largest:.4g}, an image's diagonal"
            raise ValueError(f"{name} must be in pixel units, 0 to {wanted}, got {size}")


def _check_protocol(protocol, source, minimal):
    if protocol not in ("fixed", "minimum"):
        raise ValueError(f'protocol must be "fixed" or "minimum", got {protocol!r}')
    such = "an attack that looks for the smallest perturbation"
    if minimal and protocol == "fixed":
        raise ValueError(f'protocol must be "minimum" for {such}, got "fixed"')
    if minimal and source is not None:
        raise ValueError(f"source must be left out for {such}, got {type(source).__name__}")


def _radius(radius):
    frequency.radial_mask(1, 1, radius)  # refuses what is no radius
    return float(radius)


def _check_images(images, labels):
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    low, high = images.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images must hold pixels in [0, 1], got [{low:.3g}, {high:.3g}]")
    if labels.shape != images.shape[:1]:
        wanted, got = len(images), tuple(labels.shape)
        raise ValueError(f"labels must have shape ({wanted},), one per image, got {got}")
