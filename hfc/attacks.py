"""Adversarial attacks: foolbox, wrapped thinly.

They change the pixels of images in [0, 1] by at most epsilon, in pixel units (8/255, not 8), in
float32, on the device of the images, against a model in evaluation mode; a seed decides what they
draw. How many images a model still gets right is the matter of :mod:`hfc.robustness`.

>>> from hfc import data, models
>>> model = models.build("small", num_classes=10, width=8).eval()
>>> test = data.load("synthetic", "test", size=10)
>>> changed = perturb(model, test.images, test.labels, "fgsm", 8 / 255)
>>> round(255 * (changed - test.images).abs().max().item())
8
"""

import copy
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else foolbox needs a git to be installed

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox takes names from where SciPy once had them
    import eagerpy as ep
    from foolbox import PyTorchModel
    from foolbox import attacks as fa
    from foolbox.attacks.base import Attack, FixedEpsilonAttack, MinimizationAttack, Repeated
    from foolbox.attacks.gradient_descent_base import BaseGradientDescent
    from foolbox.criteria import Misclassification
    from foolbox.distances import l2, linf

from hfc import frequency
from hfc.arguments import Count, Images, Labels, Seed, checked
from hfc.autoattack import Ensemble
from hfc.evaluation import logits
from hfc.models import check_labels, check_pixels, evaluation_mode, frozen

__all__ = ["ATTACKS", "make", "perturb"]

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
    """The wave of a polar grid that speaks most for a wrong class: 8 directions, 8 rings up to the
    Nyquist frequencies, either sign; the signs of the channels are drawn (Yin et al. 2019).
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
                found = model(shown)
                wrong = found.scatter(1, labels, -math.inf).amax(dim=1, keepdim=True)
                lead = wrong - found.gather(1, labels)  # (N, 1), above 0 where the model errs
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
    "apgd": partial(Ensemble, standard=False),
    "autoattack": partial(Ensemble, standard=True),
    "deepfool": fa.LinfDeepFoolAttack,
    "deepfool-l2": fa.L2DeepFoolAttack,
    "hopskipjump": partial(_HopSkipJump, initial_gradient_eval_steps=20, constraint="linf"),
    "fourier": _Fourier,
    "noise": partial(fa.LinfPGD, steps=0),  # what is left is the random start
}
_STEPS = {"pgd": 20, "pgd-l2": 20, "deepfool": 50, "deepfool-l2": 50, "hopskipjump": 10}
_CONFINED = {"pgd": _ConfinedPGD, "pgd-l2": _ConfinedL2PGD}
_CONTROLS = {  # by the p of the norm
    math.inf: {"noise": _CLASSES["noise"], "waves": _Fourier},
    2: {"noise": partial(fa.L2PGD, steps=0), "waves": _L2Fourier},
}
ATTACKS = tuple(_CLASSES)


@checked
def make(
    name: str,
    *,
    steps: int | None = None,
    component: str | None = None,
    radius: float | None = None,
    restarts: int = 1,
) -> Attack:
    """Build an attack.

    Parameters
    ----------
    name : str
        One of :data:`ATTACKS`. With gradients, within a given epsilon: ``"fgsm"`` (one step
        along the sign of the gradient), ``"pgd"`` (Madry et al. 2018: from a random start,
        steps of ``2.5 * epsilon / steps``), ``"pgd-l2"``, ``"apgd"`` and ``"autoattack"`` (Croce
        and Hein 2020: APGD on the cross-entropy and aimed at each class; the whole standard
        ensemble, which is the yardstick and slow). With gradients, to the smallest
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
    if radius is not None:
        frequency.radial_mask(1, 1, radius)  # refuses what is no radius
    for argument, value, known in (("component", component, _CONFINED), ("steps", steps, _STEPS)):
        if value is not None and name not in known:
            raise ValueError(f"{argument} must be left out for {name!r}, got {value!r}")
    steps = _STEPS.get(name) if steps is None else steps
    settings = {} if steps is None else {"steps": steps}
    for argument, count in (settings | {"restarts": restarts}).items():
        if count < 1:
            raise ValueError(f"{argument} must be at least 1, got {count}")
    if name in _CONFINED:
        settings["rel_stepsize"] = 2.5 / steps
    if component is not None:
        settings |= {"component": component, "radius": float(radius)}
    attack = (_CLASSES if component is None else _CONFINED)[name](**settings)
    return attack.repeat(restarts) if restarts > 1 else attack


@checked
def perturb(
    model: nn.Module,
    images: Images,
    labels: Labels,
    attack: str | Attack,
    epsilon: float,
    *,
    batch_size: Count = 250,
    seed: Seed = 0,
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
        If pixels or epsilon are out of range, labels name none of the model's classes, the attack
        is unknown, logits are not finite, or HopSkipJump meets a model that answers at random.
    """
    attack = named(attack)
    check_pixels(images)
    if labels.shape != images.shape[:1]:
        wanted, got = len(images), tuple(labels.shape)
        raise ValueError(f"labels must have shape ({wanted},), one per image, got {got}")
    check_sizes("epsilon", [epsilon], largest_size(attack, images))
    pixels = images.detach().float()
    with attacking(model, device=images.device):
        check_labels(labels, logits(model, pixels[:1]).shape[1])
        changed = run(model, pixels, labels, attack, epsilon, batch_size=batch_size, seed=seed)
    return _cast(cut(pixels, changed, attack, epsilon), pixels, images.dtype)


def _cast(changed, images, dtype):
    """Pixels in another dtype, each rounded towards the image where it would go beyond."""
    result = changed.to(dtype)
    if dtype not in (torch.bfloat16, torch.float16):
        return result
    too_far = (result.float() - images).abs() > (changed - images).abs()
    step = torch.where(too_far, (images - result.float()).sign(), 0)  # to a neighbouring number
    return (result.view(torch.int16) + step.to(torch.int16)).view(dtype)


# The parts of which hfc.robustness is made --------------------------------------------------


def run(
    model: nn.Module,
    images: Images,
    labels: Labels,
    attack: Attack,
    epsilon: float | None,
    *,
    batch_size: int,
    seed: int,
) -> Tensor:
    """Images as the attack leaves them, to be cut; a minimal one does not ask for epsilon."""
    if epsilon == 0:
        return images
    torch.manual_seed(seed)
    limit = None if is_minimal(attack) else epsilon
    target = PyTorchModel(model, bounds=(0, 1), device=images.device)
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    return torch.cat(
        [attack(target, x, Misclassification(y), epsilons=limit)[0] for x, y in batches]
    )


def cut(images: Images, changed: Tensor, attack: Attack, epsilon: float) -> Tensor:
    """Perturbed images, brought back into [0, 1] and the ball; as they were where they are NaN."""
    inside = attack.distance.clip_perturbation(images, changed, epsilon).clamp(0, 1)
    return torch.where(inside.isnan(), images, inside)


@contextmanager
def attacking(*models: nn.Module, device: torch.device) -> Iterator[None]:
    """Models in evaluation mode that gather no gradients; torch's random state is left alone."""
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        evaluation_mode(*models),
        frozen(*models),
    ):
        yield


def named(attack: str | Attack) -> Attack:
    """The attack of that name, or the attack itself."""
    return attack if isinstance(attack, Attack) else make(attack)


def core(attack: Attack) -> Attack:
    """What repeats, if the attack is repeated."""
    return attack.attack if isinstance(attack, Repeated) else attack


def is_minimal(attack: Attack) -> bool:
    """Whether it looks for the smallest perturbation, not for the best within epsilon."""
    return isinstance(core(attack), MinimizationAttack)


def is_confined(attack: Attack) -> bool:
    """Whether its perturbations lie in one frequency component."""
    return isinstance(core(attack), _Confined)


def reads_gradients(attack: Attack) -> bool:
    """Whether gradients lead it."""
    attack = core(attack)
    return not isinstance(attack, _Fourier | _HopSkipJump) and getattr(attack, "steps", 1) > 0


def quarter(attack: Attack) -> Attack | None:
    """The same PGD with a quarter of the steps, each four times as long; None if it has no four."""
    attack = core(attack)
    if not isinstance(attack, BaseGradientDescent) or attack.steps < 4:
        return None
    shorter = copy.copy(attack)
    shorter.steps //= 4
    shorter.rel_stepsize *= attack.steps / shorter.steps
    return shorter


def controls(attack: Attack) -> dict[str, Attack]:
    """Attacks in the same norm that read no gradients: ``noise`` and ``waves``."""
    known = _CONTROLS.get(core(attack).distance.p, {})
    return {name: control() for name, control in known.items()}


def largest_size(attack: Attack, images: Images) -> float:
    """Size, in the attack's norm, of the largest perturbation that leaves pixels in [0, 1]."""
    return images[0].numel() ** (1 / attack.distance.p)


def check_sizes(name: str, sizes: Sequence[float], largest: float) -> None:
    """Refuse epsilons that no perturbation can have."""
    if len(sizes) == 0:
        raise ValueError(f"{name} must hold at least one size, got none")
    for size in sizes:
        if not 0 <= size <= largest:
            wanted = "1 (8/255, not 8)" if largest == 1 else f"{largest:.4g}, an image's diagonal"
            raise ValueError(f"{name} must be in pixel units, 0 to {wanted}, got {size}")
