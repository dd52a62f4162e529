"""One unit of a detector: load the pictures, train the network of one seed, measure it.

What :mod:`hfc.study.settings` and :mod:`hfc.study.unit` are for classifiers.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from hfc.arguments import check_fields
from hfc.detection import DetectionSet, build_detector, fit_detector, load_detection
from hfc.detection.networks import NAMES
from hfc.detection.sources import SETS
from hfc.machine import default_device, using_threads
from hfc.study.settings import Settings, as_json
from hfc.training import History

__all__ = ["DetectorRecipe", "DetectorSettings", "compute", "network", "train"]


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe:
    """How a detector is trained: fields as in :func:`hfc.detection.training.fit_detector`.

    With no epochs it is not trained at all, but has torchvision's weights from COCO.
    """

    epochs: int
    batch_size: int = 8
    lr: float = 2e-3
    seed: int = 0

    def __post_init__(self):
        check_fields(self)
        for name, least in (("epochs", 0), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be a finite number above 0, got {self.lr}")


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """What one detector is, what it learns from, and what is measured.

    Attributes
    ----------
    model : str
        As in :func:`hfc.detection.networks.build_detector`.
    recipe : DetectorRecipe
        Its seed is that of the unit: it decides the initial weights, the order of the pictures,
        and which scenes are made.
    dataset : str
        One of :data:`hfc.detection.sources.SETS`.
    train_size, test_size, side, hfc_strength
        As in :func:`hfc.detection.sources.load_detection`.
    shares : tuple of float
        Radii of the copies that are measured, as shares of the Nyquist frequency.
    radii : tuple of float
        Further radii, in waves per image.
    fine_tuned : tuple of float
        Shares of the Nyquist frequency. For each, the trained detector learns from such LFC copies
        for ``fine_tune_epochs`` more, at a third of the learning rate; another one, for
        comparison, from originals.
    fine_tune_epochs : int

    Raises
    ------
    TypeError, ValueError
        If a value is of a wrong type or out of range; the text names the setting.
    """

    model: str
    recipe: DetectorRecipe
    dataset: str = "scenes"
    train_size: int | None = None
    test_size: int | None = None
    side: int | None = None
    hfc_strength: float | None = None
    shares: tuple[float, ...] = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
    radii: tuple[float, ...] = ()
    fine_tuned: tuple[float, ...] = ()
    fine_tune_epochs: int = 0

    epochs = None  # measured at the end
    changed = Settings.changed

    def __post_init__(self):
        check_fields(self)
        for name, known in (("model", NAMES), ("dataset", SETS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        for name in ("train_size", "test_size", "side"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("shares", "radii", "fine_tuned"):
            if not all(0 < radius < float("inf") for radius in getattr(self, name)):
                raise ValueError(f"{name} must be finite and above 0, got {getattr(self, name)}")
        if bool(self.fine_tuned) != (self.fine_tune_epochs > 0):
            got = f"fine_tuned={self.fine_tuned} and fine_tune_epochs={self.fine_tune_epochs}"
            raise ValueError(f"fine_tuned and fine_tune_epochs must come together, got {got}")
        if self.recipe.epochs == 0 and (self.model, self.fine_tuned) != ("resnet50", ()):
            raise ValueError(
                'recipe.epochs can be 0 only for model "resnet50", which has trained weights, and '
                f"without fine_tuned, got model {self.model!r} and fine_tuned {self.fine_tuned}"
            )

    def training(self) -> dict:
        """What decides the trained network, as JSON can hold it, without the seed."""
        measured = ("test_size", "shares", "radii", "fine_tuned", "fine_tune_epochs")
        return {name: value for name, value in as_json(self).items() if name not in measured}


def network(settings: DetectorSettings, classes: int, channels: int = 3) -> nn.Module:
    """Detector of the settings; the recipe's seed decides its weights."""
    trained = settings.recipe.epochs == 0
    with torch.random.fork_rng():
        torch.manual_seed(settings.recipe.seed)
        return build_detector(
            settings.model, num_classes=91 if trained else classes, trained=trained
        )


def train(
    settings: DetectorSettings, *, resume: str | os.PathLike | None = None, progress: bool = True
) -> tuple[nn.Module, DetectionSet | None, DetectionSet, History]:
    """Load the pictures and train the detector of one unit.

    Parameters
    ----------
    settings : DetectorSettings
        With the unit's seed.
    resume : path, optional
        As in :func:`hfc.detection.training.fit_detector`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    model : nn.Module
        Trained, in evaluation mode.
    train_set : DetectionSet or None
        None where nothing is trained.
    test_set : DetectionSet
    history : History
    """
    device, recipe = default_device(), settings.recipe

    def loaded(split, size):
        return load_detection(
            settings.dataset,
            split,
            size=size,
            side=settings.side,
            seed=recipe.seed,
            hfc_strength=settings.hfc_strength,
        )

    test_set = loaded("test", settings.test_size)
    model = network(settings, len(test_set.classes)).to(device)
    if recipe.epochs == 0:
        return model.eval(), None, test_set, History()
    train_set = loaded("train", settings.train_size)
    history = fit_detector(
        model, train_set, **dataclasses.asdict(recipe), resume=resume, progress=progress
    )
    return model.eval(), train_set, test_set, history


def compute(
    settings: DetectorSettings,
    measure: Callable,
    *,
    threads: int,
    resume: str | os.PathLike | None = None,
    progress: bool = True,
) -> dict:
    """Train and measure one unit; parameters and result as in :func:`hfc.study.unit.compute`."""
    start = time.perf_counter()
    with using_threads(threads):
        model, train_set, test_set, history = train(settings, resume=resume, progress=progress)
        trained = time.perf_counter()
        records = measure(model, train_set, test_set, settings)
    training = sum(row["seconds"] for row in history.rows)
    return {
        "records": records,
        "training": {
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": [row["loss"] for row in history.rows],
            "seconds": round(training, 1),
        },
        "data": (train_set or test_set).fingerprint,
        "seconds": round(max(training, trained - start) + time.perf_counter() - trained, 1),
    }
