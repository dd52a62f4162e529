"""One training loop for every recipe.

>>> import torch
>>> from hfc import data, models
>>> train = data.load("synthetic", "train", size=500)
>>> _ = torch.manual_seed(0)
>>> model = models.build("small", num_classes=10)
>>> history = fit(model, train, Recipe(epochs=1, batch_size=50), progress=False)
>>> sorted(history.rows[0])
['epoch', 'loss', 'seconds', 'train_accuracy']
"""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from hfc import checkpoints
from hfc.arguments import check_fields, checked
from hfc.augment import crop_flip, mixup, pgd
from hfc.data import ImageSet
from hfc.kernels import first_kernels, roughness
from hfc.machine import autocast, progress_bar

__all__ = ["History", "Recipe", "fit"]

Probe = Callable[[nn.Module, int], Mapping[str, object]]


_WHOLE = {"epochs": 1, "batch_size": 1, "attack_steps": 1, "shift": 0, "seed": 0}  # at least


@dataclass(frozen=True)
class Recipe:
    """How to train: everything but the network and the data.

    Attributes
    ----------
    epochs : int
        Passes over the training set.
    batch_size : int
        Images per step; the last, smaller batch of an epoch is left out.
    optimizer : {"sgd", "adam", "adagrad", "adadelta", "rmsprop"}
        ``"sgd"`` is with Nesterov momentum 0.9.
    lr : float
        Learning rate, at its highest.
    schedule : {"triangle", "constant"}
        ``"triangle"`` rises for the first quarter of the steps and falls to zero.
    weight_decay : float
        L2 penalty on the weights of convolutions and linear layers.
    label_smoothing : float
        0 to below 1.
    gradient_clip : float, optional
        Largest L2 norm of the gradient of all weights together; longer ones are shortened.
    shift : int
        Random shift by up to so many pixels (:func:`hfc.augment.crop_flip`).
    flip : bool
        Random mirroring.
    mixup : float
        Alpha of :func:`hfc.augment.mixup`; 0 leaves it out.
    adversarial : float
        Epsilon, in pixel units, of :func:`hfc.augment.pgd`, which then makes every training
        image; 0 leaves it out.
    attack_steps : int
        Its steps.
    smoothness : float
        Weight of a penalty on rough kernels in the first layer: ``smoothness`` times the sum of
        :func:`hfc.kernels.roughness`, not relative, over its filters; 0 leaves it out. SGD
        becomes unstable when ``lr * smoothness`` is above about 0.08. Smaller kernels are less
        rough, too, and where a normalisation follows that costs nothing: compare relative
        roughness.
    seed : int
        Order of the images, augmentation and dropout. The initial weights are the model's.

    Raises
    ------
    TypeError, ValueError
        If a value is of a wrong type or out of range.
    """

    epochs: int
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = 0.1
    schedule: str = "triangle"
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    gradient_clip: float | None = None
    shift: int = 0
    flip: bool = False
    mixup: float = 0.0
    adversarial: float = 0.0
    attack_steps: int = 7
    smoothness: float = 0.0
    seed: int = 0

    def __post_init__(self):
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number, at least {least}, got {value}")
            object.__setattr__(self, name, int(value))
        check_fields(self)
        for name, hint in type(self).__annotations__.items():
            if hint in (float, float | None) and getattr(self, name) is not None:
                object.__setattr__(self, name, float(getattr(self, name)))
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr must be a finite number above 0, got {self.lr}")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise ValueError(
                f"weight_decay must be a finite number of at least 0, got {self.weight_decay}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ValueError(f"gradient_clip must be above 0, got {self.gradient_clip}")
        if not (self.mixup >= 0 and math.isfinite(self.mixup)):
            raise ValueError(f"mixup must be a finite number of at least 0, got {self.mixup}")
        if not 0 <= self.adversarial <= 1:
            raise ValueError(
                f"adversarial must be in pixel units, 0 to 1 (8/255, not 8), got {self.adversarial}"
            )
        if not (self.smoothness >= 0 and math.isfinite(self.smoothness)):
            raise ValueError(
                f"smoothness must be a finite number of at least 0, got {self.smoothness}"
            )
        for name, known in (("optimizer", _OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                wanted, got = ", ".join(known), getattr(self, name)
                raise ValueError(f"{name} must be one of {wanted}, got {got!r}")


@dataclass
class History:
    """What happened in each epoch.

    Attributes
    ----------
    rows : list of dict
        One per epoch: ``epoch`` (from 1), ``loss`` and ``train_accuracy`` (running means over
        the epoch, the accuracy in [0, 1], on the images as they were trained on: augmented,
        attacked, or blended by mixup, where the label with the larger share counts),
        ``seconds``, and what the probes returned. The loss is the cross-entropy, without
        penalties on weights.
    """

    rows: list[dict] = field(default_factory=list)

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a table, one epoch a row."""
        return pd.DataFrame(self.rows).set_index("epoch")


@checked
def fit(
    model: nn.Module,
    data: ImageSet,
    recipe: Recipe,
    *,
    probes: Sequence[Probe] = (),
    device=None,
    resume: str | os.PathLike | None = None,
    progress: bool = True,
) -> History:
    """Train a model in place.

    Parameters
    ----------
    model : nn.Module
        Maps ``(N, C, H, W)`` in [0, 1] to logits ``(N, classes)``.
    data : ImageSet
        The training set; it is moved to ``device`` whole.
    recipe : Recipe
    probes : sequence of callables
        After each epoch, counted from 1, ``probe(model, epoch)`` returns names and numbers for
        the history.
    device : torch.device, optional
        Default: where the model is.
    resume : path, optional
        Checkpoint file. It is written after every epoch; if it is there, training goes on
        from it, to the same final weights as without the break. A checkpoint of another
        recipe or data set is refused; a damaged one is reported and training starts afresh.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the data set is smaller than one batch, ``resume`` belongs to another training, or
        the recipe asks for smoothness of a model without a convolution.
    FloatingPointError
        If the loss, or it and the penalty, becomes NaN or infinite; the last good checkpoint
        stays.

    Notes
    -----
    The same seed, machine and thread count give the same weights, bit for bit. In bfloat16
    where the hardware has it (:func:`hfc.machine.autocast`).
    """
    if len(data) < recipe.batch_size:
        raise ValueError(
            f"data must hold at least one batch of {recipe.batch_size} images, got {len(data)}"
        )
    if recipe.smoothness:
        first_kernels(model)  # fails now rather than later
    device = torch.device(device or next(model.parameters()).device)
    model.to(device, memory_format=torch.channels_last)
    data = data.to(device)
    optimizer = _OPTIMIZERS[recipe.optimizer](_parameter_groups(model, recipe), lr=recipe.lr)
    identity = {
        "recipe": dataclasses.asdict(recipe),
        "data": data.fingerprint,
        "model": repr(model),
    }
    history = History()
    if resume is not None:
        history.rows = checkpoints.load(resume, model, optimizer, identity, device)
    steps = len(data) // recipe.batch_size
    with progress_bar(
        recipe.epochs * steps,
        initial=len(history.rows) * steps,
        desc=f"training on {data.name}",
        unit="step",
        show=progress,
    ) as bar:
        for epoch in range(len(history.rows), recipe.epochs):
            row = _epoch(model, data, recipe, optimizer, epoch, bar)
            for probe in probes:
                row |= probe(model, row["epoch"])
            history.rows.append(row)
            if resume is not None:
                checkpoints.save(resume, model, optimizer, identity, history.rows)
            bar.set_postfix(epoch=row["epoch"], train_accuracy=f"{row['train_accuracy']:.3f}")
    return history


def _epoch(model, data, recipe, optimizer, epoch, bar):
    start = time.perf_counter()
    model.train()
    device, size = data.images.device, recipe.batch_size
    steps = len(data) // size
    # Each epoch has random streams of its own, so that a resumed training repeats them.
    generator = torch.Generator().manual_seed(recipe.seed * 10_000 + epoch)
    order = torch.randperm(len(data), generator=generator).to(device)
    entropies, losses = torch.empty(2, steps, device=device)
    right = torch.zeros((), device=device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(recipe.seed * 10_000 + epoch)
        for step in range(steps):
            rate = SCHEDULES[recipe.schedule](
                (epoch * steps + step + 0.5) / (recipe.epochs * steps)
            )
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * rate
            batch = order[step * size : (step + 1) * size]
            images, labels = _batch(model, data, recipe, batch, generator)
            with autocast(device):
                logits = model(images)
                loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            entropies[step] = loss.detach()
            if recipe.smoothness:
                rough = roughness(first_kernels(model), relative=False).sum()
                loss = loss + recipe.smoothness * rough
            optimizer.zero_grad()
            loss.backward()
            if recipe.gradient_clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
            optimizer.step()
            losses[step] = loss.detach()
            wanted = labels.argmax(dim=1) if labels.ndim == 2 else labels
            right += (logits.detach().argmax(dim=1) == wanted).sum()
            bar.update()
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        raise FloatingPointError(
            f"the loss became {losses[bad[0, 0]].item()} at step {bad[0, 0].item() + 1} of epoch "
            f"{epoch + 1}; a lower learning rate than lr={recipe.lr} may help"
        )
    return {
        "epoch": epoch + 1,
        "loss": entropies.mean().item(),
        "train_accuracy": right.item() / (steps * size),
        "seconds": time.perf_counter() - start,
    }


def _batch(model, data, recipe, batch, generator):
    """Images and labels (or, after mixup, targets) of one step."""
    images, labels = data.images[batch], data.labels[batch]
    images = crop_flip(images, shift=recipe.shift, flip=recipe.flip, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    if recipe.adversarial:
        with autocast(images.device):
            images = pgd(
                model,
                images,
                labels,
                epsilon=recipe.adversarial,
                steps=recipe.attack_steps,
                generator=generator,
            )
    if recipe.mixup:
        images, labels = mixup(
            images,
            labels,
            alpha=recipe.mixup,
            num_classes=len(data.classes),
            generator=generator,
        )
    return images, labels


def _parameter_groups(model, recipe):
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others}]


def _sgd(groups, lr):
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


_OPTIMIZERS = {
    "sgd": _sgd,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
}
# Share of the highest learning rate at a share of the training, both in [0, 1].
SCHEDULES = {
    "triangle": lambda done: min(done / 0.25, (1 - done) / 0.75),
    "constant": lambda done: 1.0,
}
