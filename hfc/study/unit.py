"""One unit: load the data, train the network of one seed and condition, measure it.

What stands here and in the rooms below decides the numbers, so it is part of every unit's
identity (:func:`hfc.study.code.code_hash`).
"""

import dataclasses
import os
import time
from collections.abc import Callable

import torch
from torch import nn

from hfc import data, models
from hfc.data import ImageSet
from hfc.machine import default_device, using_threads
from hfc.study.settings import Settings
from hfc.training import History, fit
from hfc.wrappers import OnComponent

__all__ = ["compute", "network", "seeded", "train"]


def seeded(settings: Settings, seed: int) -> Settings:
    """The settings of one unit: the recipe has its seed."""
    return dataclasses.replace(settings, recipe=dataclasses.replace(settings.recipe, seed=seed))


def network(settings: Settings, classes: int, channels: int) -> nn.Module:
    """Untrained network of the settings; the recipe's seed decides its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.recipe.seed)
        return models.build(
            settings.model,
            num_classes=classes,
            in_channels=channels,
            norm=settings.norm,
            dropout=settings.dropout,
            width=settings.width,
            kernel_size=settings.kernel_size,
            normalise=settings.normalise,
        )


def train(
    settings: Settings,
    *,
    measure: Callable | None = None,
    resume: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[nn.Module, ImageSet, ImageSet, History]:
    """Load the data and train the network of one unit.

    Parameters
    ----------
    settings : Settings
        With the unit's seed (:func:`seeded`).
    measure : callable, optional
        What to measure after each of ``settings.epochs``; the records stand in the history.
    resume : path, optional
        As in :func:`hfc.training.fit`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    model : nn.Module
        Trained, in evaluation mode. It takes images even if it was trained on a component.
    train_set, test_set : ImageSet
        With shuffled labels for training, if so chosen.
    history : History
    """
    device, seed = default_device(), settings.recipe.seed
    train_set, test_set = (
        data.load(
            settings.dataset, split, size=size, seed=seed, hfc_strength=settings.hfc_strength
        ).to(device)
        for split, size in (("train", settings.train_size), ("test", settings.test_size))
    )
    train_set = data.shuffle_labels(train_set, settings.shuffled, seed=seed)
    model = network(settings, len(train_set.classes), train_set.images.shape[1])
    trained = model
    if settings.trained_on is not None:
        mean = train_set.mean_colour
        trained = OnComponent(model, settings.trained_on, settings.train_radius, mean)

    def probe(_, epoch):
        if measure is None or epoch not in (settings.epochs or ()):
            return {}
        records = measure(model, train_set, test_set, settings)
        return {"records": [{"epoch": epoch} | record for record in records]}

    history = fit(
        trained,
        train_set,
        settings.recipe,
        probes=[probe],
        device=device,
        resume=resume,
        progress=progress,
    )
    return model.eval(), train_set, test_set, history


def compute(
    settings: Settings,
    measure: Callable,
    *,
    threads: int,
    resume: str | os.PathLike | None = None,
    progress: bool = True,
) -> dict:
    """Train and measure one unit.

    Parameters
    ----------
    settings, measure, resume, progress
        As in :func:`train`. Without ``settings.epochs`` it is measured at the end.
    threads : int
        Threads of PyTorch. The numbers depend on it, in the last digits of every step.

    Returns
    -------
    dict
        ``records``; ``training``, facts about the training; ``data``, the fingerprint of the
        training set; ``seconds``, of everything, the training included where ``resume`` was
        trained before.
    """
    start = time.perf_counter()
    with using_threads(threads):
        model, train_set, test_set, history = train(
            settings, measure=measure, resume=resume, progress=progress
        )
        trained = time.perf_counter()
        if settings.epochs is None:
            records = measure(model, train_set, test_set, settings)
        else:
            records = [record for row in history.rows for record in row.get("records", [])]
    if len({tuple(sorted(record)) for record in records}) > 1:
        raise ValueError("records must all have the same names")
    training = sum(row["seconds"] for row in history.rows)
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_accuracy": history.rows[-1]["train_accuracy"],
        "running_accuracy": [row["train_accuracy"] for row in history.rows],
        "seconds": round(training, 1),
    }
    return {
        "records": records,
        "training": facts,
        "data": train_set.fingerprint,
        "seconds": round(max(training, trained - start) + time.perf_counter() - trained, 1),
    }
