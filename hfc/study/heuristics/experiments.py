"""Settings of chapter 4's experiments, at every scale."""

from dataclasses import dataclass

from hfc.study.heuristics.measure import by_statistics, in_company, with_signature
from hfc.study.heuristics.measure_shortcuts import in_bands
from hfc.study.low_and_high.measure import on_copies
from hfc.study.memorisation.experiments import only
from hfc.study.settings import (
    COPIES,
    CPU,
    PAPER,
    QUICK,
    RADII,
    SCALED,
    Experiment,
    Scale,
    Settings,
    grid,
)
from hfc.training import Recipe

__all__ = ["EXPERIMENTS"]

_RAW_AND_SCALED = (*COPIES, "high, scaled")

# Changes of settings that have a name.
_BATCH_NORM = {"norm": "batch"}
_WITH_AND_WITHOUT = {"none": {}, "BatchNorm": _BATCH_NORM}
_NORMS = _WITH_AND_WITHOUT | {"GroupNorm": {"norm": "group"}}
_HEURISTICS = {
    "vanilla": {},
    "dropout": {"dropout": 0.5},
    "mixup": {"recipe": {"mixup": 0.5}},
    "BatchNorm": _BATCH_NORM,
    "adversarial": {"recipe": {"adversarial": 8 / 255, "attack_steps": 2}},
}
_LIVE_ATTACK = {"recipe": {"adversarial": 4 / 255, "attack_steps": 1}}
_INPUTS = {"normalised": {"normalise": True}, "raw": {"normalise": False}}
_SGD = {"recipe": {"optimizer": "sgd", "lr": 0.1, "gradient_clip": 1.0}}
_ADAM = {"recipe": {"optimizer": "adam", "lr": 3e-3}}
_OPTIMIZERS = {
    "SGD": _SGD,
    "Adam": _ADAM,
    "AdaGrad": {"recipe": {"optimizer": "adagrad", "lr": 0.01}},
    "Adadelta": {"recipe": {"optimizer": "adadelta", "lr": 1.0}},
    "RMSprop": {"recipe": {"optimizer": "rmsprop", "lr": 1e-3}},
}
_SIGNATURES = grid(signature={"telling": {"told": 0.9}, "random": {"told": 0.0}})
_LOW_WITH_AND_WITHOUT = grid(
    norm=_WITH_AND_WITHOUT,
    train_radius={"all": {}} | {str(radius): only("low", radius) for radius in RADII},
)


@dataclass(frozen=True, kw_only=True)
class InCompany(Settings):
    """Settings of a network whose test batches of 100 hold ``company`` originals each.

    Attributes
    ----------
    company : tuple of int
        0 to 99.
    """

    company: tuple[int, ...]

    def __post_init__(self):
        super().__post_init__()
        for others in self.company:
            if not 0 <= others <= 99:
                raise ValueError(f"company must be 0 to 99 originals of 100, got {others}")


@dataclass(frozen=True, kw_only=True)
class InBands(Settings):
    """Settings of networks that learn a signature, each in another band.

    Attributes
    ----------
    bands : tuple of float
        Radii of the signatures in waves per image, 4 to 15: below, two classes share a wave,
        beyond, images of 32 pixels have none.
    band_epochs : tuple of int
        Epochs of these trainings after which to measure.
    told : float
        How often a signature names the label in training; else it names a class at random.
    """

    bands: tuple[float, ...]
    band_epochs: tuple[int, ...]
    told: float = 0.9

    def __post_init__(self):
        super().__post_init__()
        for band in self.bands:
            if not 4 <= band <= 15:
                raise ValueError(f"bands must be 4 to 15 waves per image, got {band}")
        last = self.recipe.epochs
        if not any(1 <= epoch <= last for epoch in self.band_epochs):
            raise ValueError(f"band_epochs must name one from 1 to {last}, got {self.band_epochs}")
        if not 0 <= self.told <= 1:
            raise ValueError(f"told must be between 0 and 1, got {self.told}")


def _company(base, radii, company):
    changed = base.changed(radii=radii, components=("high", "high + mean"))
    return InCompany(**vars(changed), company=company)


def _bands(base, bands, epochs):
    return InBands(**vars(base.changed(**_BATCH_NORM)), bands=bands, band_epochs=epochs)


def _strengths(*strengths):
    return {strength: {"hfc_strength": strength} for strength in strengths}


def _batch_sizes(sizes, middle, epochs):
    """Each size for the same epochs; sizes above the middle one also for as many steps."""
    conditions = [("epochs", size, epochs) for size in sizes]
    conditions += [("steps", size, epochs * size // middle) for size in sizes if size > middle]
    return tuple(
        (
            {"budget": f"same {budget}", "batch_size": size},
            {"recipe": {"batch_size": size, "epochs": epochs}},
        )
        for budget, size, epochs in conditions
    )


EXPERIMENTS = {
    "heuristics": Experiment(
        measure=on_copies,
        keys=("heuristic", "epoch", "images", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(
                    hfc_strength=0.9, epochs=(2, 4, 8, 12), images=("test",), radii=(4, 8)
                ),
                grid(heuristic=_HEURISTICS | {"adversarial": _LIVE_ATTACK}),
            ),
            "cpu": Scale(
                CPU.changed(epochs=(1, 2, 4, 6, 8, 10)),
                grid(heuristic=_HEURISTICS),
            ),
            "paper": Scale(
                PAPER.changed(recipe={"epochs": 30}, epochs=tuple(range(2, 31, 2))),
                grid(heuristic=_HEURISTICS),
            ),
        },
        claims=("C08", "C09", "C10", "C12"),
    ),
    "batch-size": Experiment(
        measure=on_copies,
        keys=("budget", "batch_size", "images", "radius"),
        scales={
            "quick": Scale(QUICK, _batch_sizes((16, 64, 256), 64, 6)),
            "cpu": Scale(
                CPU.changed(
                    recipe=Recipe(
                        epochs=10, batch_size=100, optimizer="adam", lr=1e-3, weight_decay=0.0
                    ),
                    train_size=10_000,
                ),
                _batch_sizes((10, 32, 100, 1000), 100, 10),
            ),
            "paper": Scale(PAPER, _batch_sizes((32, 100, 1000), 100, 10)),
        },
        claims=("C07",),
    ),
    "architectures": Experiment(
        measure=on_copies,
        keys=("architecture", "images", "radius"),
        scales={
            "quick": Scale(
                QUICK, grid(architecture={"LeNet": {"model": "lenet"}, "small": {"model": "small"}})
            ),
            "cpu": Scale(
                CPU.changed(train_size=10_000),
                grid(
                    architecture={
                        "LeNet": {"model": "lenet"},
                        "AlexNet": {"model": "alexnet"},
                        "VGG": {"model": "vgg"},
                        "ResNet": {"model": "resnet32"},
                    }
                ),
            ),
            "paper": Scale(
                PAPER.changed(recipe={"epochs": 30}),
                grid(
                    architecture={
                        "LeNet": {"model": "lenet"},
                        "AlexNet": {"model": "alexnet", "width": 64},
                        "VGG": {"model": "vgg", "width": 64},
                        "ResNet": {"model": "resnet32"},
                    }
                ),
            ),
        },
        claims=("C13",),
    ),
    "optimizers": Experiment(
        measure=on_copies,
        keys=("optimizer", "epoch", "images", "radius"),
        scales={
            "quick": Scale(QUICK.changed(epochs=(12,)), grid(optimizer=_OPTIMIZERS)),
            "cpu": Scale(
                CPU.changed(train_size=10_000, epochs=(1, 2, 3, 4, 6, 8, 10)),
                grid(optimizer=_OPTIMIZERS),
            ),
            "paper": Scale(
                PAPER.changed(recipe={"epochs": 10}, epochs=tuple(range(1, 11))),
                grid(optimizer=_OPTIMIZERS),
            ),
        },
        claims=("C14",),
    ),
    "batchnorm": Experiment(
        measure=by_statistics,
        keys=("norm", "inputs", "optimizer", "epoch", "statistics", "company", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(
                    hfc_strength=0.9,
                    epochs=(2, 4, 6, 8, 10, 12),
                    radii=(4, 8),
                    components=SCALED,
                ),
                grid(norm=_WITH_AND_WITHOUT, inputs={"normalised": {}}, optimizer={"SGD": {}}),
            ),
            "cpu": Scale(
                CPU.changed(
                    train_size=10_000,
                    recipe={"epochs": 12},
                    epochs=(1, 2, 3, 4, 6, 9, 12),
                    test_size=1000,
                    components=_RAW_AND_SCALED,
                ),
                (
                    *grid(
                        norm=_WITH_AND_WITHOUT,
                        inputs=_INPUTS,
                        optimizer={"SGD": _SGD, "Adam": _ADAM},
                    ),
                    *grid(
                        norm={"GroupNorm": _NORMS["GroupNorm"]},
                        inputs={"normalised": {}},
                        optimizer={"SGD": _SGD},
                    ),
                ),
            ),
            "paper": Scale(
                PAPER.changed(recipe={"epochs": 10}, epochs=tuple(range(1, 11)), components=SCALED),
                grid(norm=_NORMS, inputs=_INPUTS, optimizer={"Adam": {}, "SGD": _SGD}),
            ),
        },
        claims=("C11b",),
    ),
    "batchnorm-resnet32": Experiment(
        measure=by_statistics,
        keys=("norm", "epoch", "statistics", "company", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(
                    model="resnet32",
                    width=8,
                    recipe=Recipe(epochs=4, batch_size=50, lr=0.1, gradient_clip=1.0),
                    train_size=500,
                    epochs=(4,),
                    radii=(4, 8),
                    components=_RAW_AND_SCALED,
                ),
                grid(norm=_WITH_AND_WITHOUT),
            ),
            "cpu": Scale(
                CPU.changed(
                    model="resnet32",
                    normalise=False,
                    # One rate for all, that of the network that bears least, and its decay.
                    recipe=Recipe(
                        epochs=16,
                        batch_size=100,
                        optimizer="adam",
                        lr=1e-3,
                        weight_decay=0.0,
                        gradient_clip=1.0,
                    ),
                    test_size=1500,
                    epochs=(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15, 16),
                    components=_RAW_AND_SCALED,
                ),
                grid(norm=_NORMS),
            ),
            "paper": Scale(
                PAPER.changed(
                    epochs=(1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 70, 100),
                    components=_RAW_AND_SCALED,
                ),
                grid(norm=_WITH_AND_WITHOUT),
            ),
        },
        claims=("C11a", "C11b", "C11c"),
    ),
    "batch-company": Experiment(
        measure=in_company,
        keys=("norm", "radius", "company"),
        scales={
            "quick": Scale(
                _company(QUICK.changed(hfc_strength=0.9, test_size=60), (4, 8), (0, 50, 99)),
                grid(norm={"BatchNorm": _BATCH_NORM}),
            ),
            "cpu": Scale(
                _company(CPU.changed(test_size=300), (4, 8), (0, 50, 80, 90, 95, 99)),
                grid(norm={"BatchNorm": _BATCH_NORM}),
            ),
            "paper": Scale(
                _company(
                    PAPER.changed(test_size=300, recipe={"epochs": 30}),
                    (4, 8),
                    (0, 50, 80, 90, 95, 99),
                ),
                grid(norm={"BatchNorm": _BATCH_NORM}),
            ),
        },
    ),
    "batchnorm-lfc": Experiment(
        measure=on_copies,
        keys=("norm", "train_radius", "images", "radius"),
        scales={
            "quick": Scale(
                QUICK,
                grid(norm=_WITH_AND_WITHOUT, train_radius={"all": {}, "8": only("low", 8)}),
            ),
            "cpu": Scale(CPU.changed(train_size=10_000), _LOW_WITH_AND_WITHOUT),
            "paper": Scale(PAPER.changed(recipe={"epochs": 10}), _LOW_WITH_AND_WITHOUT),
        },
        claims=("C15",),
    ),
    "planted": Experiment(
        measure=with_signature,
        keys=("heuristic", "strength", "epoch", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(epochs=(12,), radii=(8,)),
                grid(
                    heuristic={"vanilla": {}, "BatchNorm": _BATCH_NORM},
                    strength=_strengths(0, 0.9),
                ),
            ),
            "cpu": Scale(
                CPU.changed(train_size=10_000, epochs=(1, 2, 3, 4, 6, 8, 10), radii=(8,)),
                grid(
                    heuristic=_HEURISTICS | {"GroupNorm": _NORMS["GroupNorm"]},
                    strength=_strengths(0, 0.5, 0.9, 1),
                ),
            ),
            "paper": Scale(
                PAPER.changed(recipe={"epochs": 10}, epochs=tuple(range(1, 11)), radii=(8,)),
                grid(
                    heuristic=_HEURISTICS | {"GroupNorm": _NORMS["GroupNorm"]},
                    strength=_strengths(0, 0.9),
                ),
            ),
        },
    ),
    "shortcuts": Experiment(
        measure=in_bands,
        keys=("signature", "band", "epoch"),
        scales={
            "quick": Scale(  # embedded images have a signature at 12 anyhow: here it tells nothing
                _bands(
                    QUICK.changed(
                        hfc_strength=0.0, train_size=1000, test_size=300, recipe={"epochs": 6}
                    ),
                    (4, 8),
                    (1, 2, 4, 6),
                ),
                _SIGNATURES,
            ),
            "cpu": Scale(
                _bands(
                    CPU.changed(train_size=10_000, recipe={"epochs": 6}), (4, 8, 12), (1, 2, 4, 6)
                ),
                _SIGNATURES,
            ),
            "paper": Scale(
                _bands(PAPER.changed(recipe={"epochs": 10}), (4, 8, 12), (1, 2, 4, 6, 10)),
                _SIGNATURES,
            ),
        },
        claims=("N4",),
    ),
}
