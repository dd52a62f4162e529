"""Which experiments there are, and their settings at every scale: one table.

``quick`` is what a chapter runs on the embedded data in seconds, ``cpu`` a laptop's reference
run on real photographs, ``paper`` the authors' setting. An experiment compares *conditions*:
labels ("heuristic: mixup") with the settings that make them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hfc import measures
from hfc.training import Recipe

__all__ = ["EXPERIMENTS", "Experiment"]


@dataclass(frozen=True)
class Experiment:
    """What an experiment is.

    Attributes
    ----------
    measure : callable
        ``measure(model, train_set, test_set, settings)`` returns a list of records. It is
        called after training or, if the settings name ``epochs``, after each of these, and
        ``epoch`` is added to the records.
    keys : tuple of str
        Names of the values that tell one seed's records apart, those that label the conditions
        among them.
    scales : dict
        The settings of each scale. ``conditions`` are pairs of labels and changed settings; a
        changed ``recipe`` is a dict of the fields that differ.
    claims : tuple of str
        Ids of the claims it tests.
    check : callable, optional
        ``check(settings)`` raises ValueError or DatasetError if it cannot be measured with
        them. It is called before anything is trained.
    """

    measure: Callable
    keys: tuple[str, ...]
    scales: dict[str, dict]
    claims: tuple[str, ...]
    check: Callable | None = None


def _grid(**axes):
    """Conditions from axes ``label={value: changes}``, every value with every other."""
    conditions = [({}, {})]
    for label, values in axes.items():
        conditions = [
            (
                labels | {label: value},
                own | changes | {"recipe": own.get("recipe", {}) | changes.get("recipe", {})},
            )
            for labels, own in conditions
            for value, changes in values.items()
        ]
    return tuple(conditions)


def _scales(quick, cpu, paper):
    return {"quick": _QUICK | quick, "cpu": _CPU | cpu, "paper": _PAPER | paper}


_RADII = (4, 8, 12, 16)
_COPIES = ("low", "high", "high + mean")
_SCALED = (*_COPIES, "low, scaled", "high, scaled")

_SAME = {
    "norm": None,
    "normalise": True,
    "dropout": 0.0,
    "width": None,
    "kernel_size": None,
    "shuffled": 0.0,
    "trained_on": None,
    "train_radius": None,
    "hfc_strength": None,
    "epochs": None,
    "images": ("train", "test"),
    "radii": _RADII,
    "components": _COPIES,
    "conditions": (({}, {}),),
}
_QUICK = _SAME | {
    "model": "small",
    "recipe": Recipe(epochs=12, batch_size=32, lr=0.1, weight_decay=0.0, gradient_clip=1.0),
    "train_size": 1500,
    "test_size": 500,
}
# Gradients are clipped so that networks with and without normalisation train by one recipe.
_CPU = _SAME | {
    "model": "small",
    "recipe": Recipe(epochs=10, batch_size=100, lr=0.1, weight_decay=0.0, gradient_clip=1.0),
    "train_size": 10_000,
    "test_size": 2000,
}
# The authors' setting: their 32-layer network without normalisation, pixels as they are. Their
# 100 epochs (300 for shuffled labels) stay where a claim is about long training; elsewhere
# _shorter() spares GPU time.
_PAPER = _SAME | {
    "model": "resnet32",
    "normalise": False,
    "recipe": Recipe(
        epochs=100,
        batch_size=100,
        optimizer="adam",
        lr=1e-4,
        schedule="constant",
        weight_decay=0.0,
    ),
    "train_size": None,
    "test_size": None,
}


def _shorter(epochs):
    """The authors' setting with fewer epochs."""
    return {"recipe": replace(_PAPER["recipe"], epochs=epochs)}


# Changes of settings that have a name.
_BATCH_NORM = {"norm": "batch"}
_HEURISTICS = {
    "vanilla": {},
    "dropout": {"dropout": 0.5},
    "mixup": {"recipe": {"mixup": 0.5}},
    "BatchNorm": _BATCH_NORM,
    "adversarial": {"recipe": {"adversarial": 8 / 255, "attack_steps": 5}},
}
_NORMS = {"none": {}, "BatchNorm": _BATCH_NORM, "GroupNorm": {"norm": "group"}}
_INPUTS = {"normalised": {"normalise": True}, "raw": {"normalise": False}}
_ADAM = {"recipe": {"optimizer": "adam", "lr": 3e-3}}
_SGD = {"recipe": {"optimizer": "sgd", "lr": 0.1, "gradient_clip": 1.0}}
_OPTIMIZERS = {
    "SGD": _SGD,
    "Adam": _ADAM,
    "AdaGrad": {"recipe": {"optimizer": "adagrad", "lr": 0.01}},
    "Adadelta": {"recipe": {"optimizer": "adadelta", "lr": 1.0}},
    "RMSprop": {"recipe": {"optimizer": "rmsprop", "lr": 1e-3}},
}
_LABELS = {
    "true": {},
    "25 % shuffled": {"shuffled": 0.25},
    "50 % shuffled": {"shuffled": 0.5},
    "all shuffled": {"shuffled": 1.0},
}


def _strengths(*strengths):
    return {strength: {"hfc_strength": strength} for strength in strengths}


def _trained_on(components, radii):
    return tuple(
        ({"trained_on": name, "train_radius": radius}, _only(name, radius))
        for name in components
        for radius in radii
    )


def _only(name, radius):
    return {"trained_on": name, "train_radius": radius, "radii": (radius,)}


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


_ADAM_CPU = {
    "recipe": Recipe(epochs=10, batch_size=100, optimizer="adam", lr=1e-3, weight_decay=0.0)
}
_LOW_WITH_AND_WITHOUT = _grid(
    norm={"none": {}, "BatchNorm": _BATCH_NORM},
    train_radius={"all": {}} | {str(radius): _only("low", radius) for radius in _RADII},
)
_RAW_AND_SCALED = (*_COPIES, "high, scaled")
_OBSERVATION = {
    "radii": (0, 2, 4, 5, 6, 8, 12, 16),
    "norm": "batch",
}

# Chapter 5. Adversarial training by few, large steps; batches are normalised, because it is far
# quicker. Where kernels are changed afterwards there is no normalisation, as in the paper.
_ROBUST_QUICK = {
    "norm": "batch",
    "recipe": Recipe(epochs=8, batch_size=32, lr=0.1),
    "train_size": 3000,
    "test_size": 300,
    "hfc_strength": 0.9,
    "epsilons": (0.0, 2 / 255, 4 / 255, 8 / 255),
}
_ROBUST_CPU = {
    "norm": "batch",
    "recipe": Recipe(epochs=12, batch_size=100, lr=0.1, gradient_clip=1.0),
    "train_size": 20_000,
    "test_size": 1000,
    "epsilons": (0.0, 2 / 255, 4 / 255, 8 / 255),
}
_ROBUST_PAPER = {**_shorter(30), "test_size": 2000, "epsilons": (0.0, 2 / 255, 4 / 255, 8 / 255)}
_UNNORMALISED = {"norm": None, "kernel_size": 3}
_LIVE_ATTACK = {"recipe": {"adversarial": 4 / 255, "attack_steps": 1}}
_ATTACK = {"recipe": {"adversarial": 8 / 255, "attack_steps": 2}}
_TRAINING = {"natural": {}, "adversarial": _ATTACK}
_LIVE_TRAINING = {"natural": {}, "adversarial": _LIVE_ATTACK}
# Smooth kernels without robustness? No high frequencies to learn from, or smaller weights.
_CONTROLS = {
    "LFC only": {"trained_on": "low", "train_radius": 8},
    "natural, decayed": {"recipe": {"weight_decay": 5e-3}},
}
_KERNEL_SIZES = {"3": {"kernel_size": 3}, "5": {"kernel_size": 5}}
_PUBLISHED_EPSILONS = (0.0, 0.03, 0.06, 0.09)
_PENALTIES = {
    str(smoothness): {"recipe": {"smoothness": smoothness}}
    for smoothness in (0.0, 0.003, 0.03, 0.3)
}
_ALL_ATTACKS = (
    "naive",
    "adaptive",
    "adaptive, restarts",
    "low",
    "transferred",
    "rounded",
    "rounded, BPDA",
    "fourier",
    "hopskipjump",
)
_FILTERS = (4, 6, 8, 10, 12, 14, 16, 32)  # the last lets everything pass
_DISTANCES = tuple(e / 255 for e in (0, 1, 2, 4, 8, 16, 32, 64, 128))

EXPERIMENTS = {
    "observation": Experiment(
        measure=measures.observe,
        keys=("copies", "radius"),
        scales=_scales(
            quick={
                **_OBSERVATION,
                "recipe": Recipe(epochs=6, batch_size=64, lr=0.03),
                "train_size": 4000,
                "test_size": 1000,
            },
            cpu={
                **_OBSERVATION,
                "model": "convnet",
                "recipe": Recipe(
                    epochs=12, batch_size=256, lr=0.3, label_smoothing=0.1, shift=2, flip=True
                ),
                "train_size": None,
                "test_size": None,
            },
            paper=_shorter(30) | {"radii": _OBSERVATION["radii"]},
        ),
        claims=("C02", "C23"),
    ),
    "memorisation": Experiment(
        measure=measures.on_copies,
        keys=("labels", "epoch", "images", "radius"),
        scales=_scales(
            quick={
                "norm": "batch",
                "recipe": Recipe(epochs=16, batch_size=32, lr=0.03, weight_decay=0.0),
                "train_size": 1000,
                "test_size": 500,
                "epochs": (1, 2, 3, 6, 10, 16),
                "radii": (8,),
                "conditions": _grid(
                    labels={
                        "true": {"hfc_strength": 1},
                        "true, useless wave": {"hfc_strength": 0},
                        "all shuffled": {"hfc_strength": 1, "shuffled": 1.0},
                    },
                ),
            },
            cpu={
                "recipe": Recipe(
                    epochs=60, batch_size=50, lr=0.05, weight_decay=0.0, gradient_clip=1.0
                ),
                "train_size": 5000,
                "epochs": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60),
                "conditions": _grid(labels=_LABELS),
            },
            paper={
                "epochs": (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 300),
                "conditions": _grid(
                    labels={
                        "true": {},
                        "all shuffled": {"shuffled": 1.0, "recipe": {"epochs": 300}},
                    }
                ),
            },
        ),
        claims=("C04", "C05"),
    ),
    "lfc-hfc-training": Experiment(
        measure=measures.on_copies,
        keys=("trained_on", "train_radius", "images", "radius"),
        scales=_scales(
            quick={
                "norm": "batch",
                "recipe": Recipe(epochs=8, batch_size=32, lr=0.03, weight_decay=0.0),
                "train_size": 1000,
                "hfc_strength": 0.9,
                "conditions": (
                    ({"trained_on": "low", "train_radius": 8}, _only("low", 8)),
                    ({"trained_on": "high", "train_radius": 8}, _only("high", 8)),
                    (
                        {"trained_on": "high, useless wave", "train_radius": 8},
                        _only("high", 8) | {"hfc_strength": 0},
                    ),
                ),
            },
            cpu={"components": _SCALED, "conditions": _trained_on(_SCALED, _RADII)},
            paper=_shorter(20)
            | {"components": _SCALED, "conditions": _trained_on(_SCALED, _RADII)},
        ),
        claims=("C06",),
    ),
    "batch-size": Experiment(
        measure=measures.on_copies,
        keys=("budget", "batch_size", "images", "radius"),
        scales=_scales(
            quick={"conditions": _batch_sizes((16, 64, 256), 64, 6)},
            cpu=_ADAM_CPU | {"conditions": _batch_sizes((10, 32, 100, 320, 1000), 100, 10)},
            paper={"conditions": _batch_sizes((32, 100, 1000), 100, 10)},
        ),
        claims=("C07",),
    ),
    "architectures": Experiment(
        measure=measures.on_copies,
        keys=("architecture", "images", "radius"),
        scales=_scales(
            quick={
                "conditions": _grid(
                    architecture={"LeNet": {"model": "lenet"}, "small": {"model": "small"}}
                )
            },
            cpu={
                "conditions": _grid(
                    architecture={
                        "LeNet": {"model": "lenet"},
                        "AlexNet": {"model": "alexnet"},
                        "VGG": {"model": "vgg"},
                        "ResNet": {"model": "resnet32"},
                    }
                )
            },
            paper=_shorter(30)
            | {
                "conditions": _grid(
                    architecture={
                        "LeNet": {"model": "lenet"},
                        "AlexNet": {"model": "alexnet", "width": 64},
                        "VGG": {"model": "vgg", "width": 64},
                        "ResNet": {"model": "resnet32"},
                    }
                )
            },
        ),
        claims=("C13",),
    ),
    "optimizers": Experiment(
        measure=measures.on_copies,
        keys=("optimizer", "epoch", "images", "radius"),
        scales=_scales(
            quick={"epochs": (12,), "conditions": _grid(optimizer=_OPTIMIZERS)},
            cpu={"epochs": tuple(range(1, 11)), "conditions": _grid(optimizer=_OPTIMIZERS)},
            paper=_shorter(10)
            | {"epochs": tuple(range(1, 11)), "conditions": _grid(optimizer=_OPTIMIZERS)},
        ),
        claims=("C14",),
    ),
    "heuristics": Experiment(
        measure=measures.on_copies,
        keys=("heuristic", "epoch", "images", "radius"),
        scales=_scales(
            quick={
                "hfc_strength": 0.9,
                "epochs": (2, 4, 8, 12),
                "images": ("test",),
                "radii": (4, 8),
                "conditions": _grid(
                    heuristic=_HEURISTICS
                    | {"adversarial": {"recipe": {"adversarial": 4 / 255, "attack_steps": 1}}}
                ),
            },
            cpu={
                "train_size": 20_000,
                "epochs": tuple(range(1, 11)),
                "conditions": _grid(heuristic=_HEURISTICS),
            },
            paper=_shorter(30)
            | {"epochs": tuple(range(2, 31, 2)), "conditions": _grid(heuristic=_HEURISTICS)},
        ),
        claims=("C08", "C09", "C10", "C12"),
    ),
    "batchnorm": Experiment(
        measure=measures.by_statistics,
        keys=(
            "norm",
            "inputs",
            "optimizer",
            "epoch",
            "statistics",
            "company",
            "radius",
        ),
        scales=_scales(
            quick={
                "hfc_strength": 0.9,
                "epochs": (2, 4, 6, 8, 10, 12),
                "radii": (4, 8),
                "components": _SCALED,
                "conditions": _grid(
                    norm={"none": {}, "BatchNorm": _BATCH_NORM},
                    inputs={"normalised": {}},
                    optimizer={"SGD": {}},
                ),
            },
            cpu={
                "recipe": Recipe(
                    epochs=12, batch_size=100, lr=0.1, weight_decay=0.0, gradient_clip=1.0
                ),
                "epochs": (1, 2, 3, 4, 6, 8, 10, 12),
                "test_size": 1000,
                "components": _SCALED,
                "conditions": _grid(
                    norm=_NORMS, inputs=_INPUTS, optimizer={"SGD": _SGD, "Adam": _ADAM}
                ),
            },
            paper=_shorter(10)
            | {
                "epochs": tuple(range(1, 11)),
                "components": _SCALED,
                "conditions": _grid(
                    norm=_NORMS,
                    inputs=_INPUTS,
                    optimizer={"Adam": {}, "SGD": _SGD},
                ),
            },
        ),
        claims=("C11",),
    ),
    "batchnorm-resnet32": Experiment(
        measure=measures.by_statistics,
        keys=("norm", "epoch", "statistics", "company", "radius"),
        scales=_scales(
            quick={
                "model": "resnet32",
                "width": 8,
                "recipe": Recipe(epochs=4, batch_size=50, lr=0.1, gradient_clip=1.0),
                "train_size": 500,
                "epochs": (4,),
                "radii": (4, 8),
                "components": _RAW_AND_SCALED,
                "conditions": _grid(norm={"none": {}, "BatchNorm": _BATCH_NORM}),
            },
            cpu={
                "model": "resnet32",
                "normalise": False,
                "recipe": Recipe(
                    epochs=20,
                    batch_size=100,
                    optimizer="adam",
                    lr=3e-4,
                    schedule="constant",
                    weight_decay=0.0,
                ),
                "train_size": None,
                "test_size": 1500,
                "epochs": (1, 2, 3, 4, 6, 8, 12, 16, 20),
                "components": _RAW_AND_SCALED,
                # Without normalisation a learning rate of 1e-3 is too high for 32 layers.
                "conditions": _grid(
                    norm={"none": {}, "BatchNorm": _BATCH_NORM | {"recipe": {"lr": 1e-3}}}
                ),
            },
            paper={
                "epochs": (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 70, 100),
                "components": _RAW_AND_SCALED,
                "conditions": _grid(norm={"none": {}, "BatchNorm": _BATCH_NORM}),
            },
        ),
        claims=("C11",),
    ),
    "batchnorm-lfc": Experiment(
        measure=measures.on_copies,
        keys=("norm", "train_radius", "images", "radius"),
        scales=_scales(
            quick={
                "conditions": _grid(
                    norm={"none": {}, "BatchNorm": _BATCH_NORM},
                    train_radius={"all": {}, "8": _only("low", 8)},
                )
            },
            cpu={"conditions": _LOW_WITH_AND_WITHOUT},
            paper=_shorter(10) | {"conditions": _LOW_WITH_AND_WITHOUT},
        ),
        claims=("C15",),
    ),
    "planted": Experiment(
        measure=measures.with_signature,
        keys=("heuristic", "strength", "epoch", "radius"),
        scales=_scales(
            quick={
                "epochs": (12,),
                "radii": (8,),
                "conditions": _grid(
                    heuristic={"vanilla": {}, "BatchNorm": _BATCH_NORM},
                    strength=_strengths(0, 0.9),
                ),
            },
            cpu={
                "epochs": (1, 2, 3, 4, 6, 8, 10),
                "radii": (8,),
                "conditions": _grid(
                    heuristic=_HEURISTICS | {"GroupNorm": _NORMS["GroupNorm"]},
                    strength=_strengths(0, 0.5, 0.9, 1),
                ),
            },
            paper=_shorter(10)
            | {
                "epochs": tuple(range(1, 11)),
                "radii": (8,),
                "conditions": _grid(
                    heuristic=_HEURISTICS | {"GroupNorm": _NORMS["GroupNorm"]},
                    strength=_strengths(0, 0.9),
                ),
            },
        ),
        claims=(),
    ),
    "kernels": Experiment(
        measure=measures.first_layer,
        keys=("training", "kernel", "radius"),
        scales=_scales(
            quick=_ROBUST_QUICK
            | {
                "radii": (8,),
                "conditions": _grid(
                    training=_LIVE_TRAINING | {"natural, useless wave": {"hfc_strength": 0}},
                    kernel={"5": {}},
                ),
            },
            cpu=_ROBUST_CPU
            | {
                "radii": (4, 8, 12),
                "conditions": _grid(training=_TRAINING | _CONTROLS, kernel=_KERNEL_SIZES),
            },
            paper=_ROBUST_PAPER
            | {
                "radii": (4, 8, 12),
                "conditions": _grid(training=_TRAINING | _CONTROLS, kernel=_KERNEL_SIZES),
            },
        ),
        claims=("C16",),
    ),
    "smoothing": Experiment(
        measure=measures.smoothed,
        keys=("training", "rho", "form", "attack", "protocol", "epsilon"),
        scales=_scales(
            quick=_ROBUST_QUICK
            | _UNNORMALISED
            | {
                "test_size": 100,
                "rhos": (0, 1),
                "conditions": _grid(training=_LIVE_TRAINING),
            },
            cpu=_ROBUST_CPU
            | _UNNORMALISED
            | {
                "test_size": 300,
                "rhos": (0, 0.1, 0.25, 0.5, 1),
                "epsilons": _PUBLISHED_EPSILONS,
                "conditions": _grid(training=_TRAINING),
            },
            paper=_ROBUST_PAPER
            | {
                "rhos": (0, 0.1, 0.25, 0.5, 1),
                "epsilons": _PUBLISHED_EPSILONS,
                "conditions": _grid(training=_TRAINING),
            },
        ),
        claims=("C17", "C18"),
    ),
    "kernel-remedies": Experiment(
        measure=measures.with_remedies,
        keys=("penalty", "kernel_radius", "epsilon"),
        scales=_scales(
            quick=_ROBUST_QUICK
            | {
                "norm": None,
                "kernel_radii": (1, 3),
                "conditions": _grid(
                    penalty={"0.0": {}, "0.03": {"recipe": {"smoothness": 0.03}}},
                ),
            },
            cpu=_ROBUST_CPU
            | {
                "norm": None,
                "kernel_radii": (1, 1.5, 2, 2.3, 3),
                "conditions": _grid(penalty=_PENALTIES),
            },
            paper=_ROBUST_PAPER | {"kernel_radii": (1, 3), "conditions": _grid(penalty=_PENALTIES)},
        ),
        claims=("C22",),
    ),
    "filter-defence": Experiment(
        measure=measures.behind_filter,
        keys=("radius", "attack", "epsilon"),
        scales=_scales(
            quick=_ROBUST_QUICK
            | {
                "test_size": 200,
                "few": 50,
                "radii": (8, 12, 32),
                "attacks": ("naive", "adaptive", "low"),
            },
            cpu=_ROBUST_CPU
            | {"test_size": 500, "few": 100, "radii": _FILTERS, "attacks": _ALL_ATTACKS},
            paper=_ROBUST_PAPER | {"few": 200, "radii": _FILTERS, "attacks": _ALL_ATTACKS},
        ),
        claims=("C21",),
    ),
    "tradeoff": Experiment(
        measure=measures.bound,
        keys=("training", "radius", "epsilon"),
        scales=_scales(
            quick=_ROBUST_QUICK
            | {"radii": (4, 8, 12), "conditions": _grid(training=_LIVE_TRAINING)},
            cpu=_ROBUST_CPU
            | {
                "radii": (2, 4, 6, 8, 12, 16),
                "epsilons": _DISTANCES,
                "conditions": _grid(training=_TRAINING),
            },
            paper=_ROBUST_PAPER
            | {
                "radii": (2, 4, 6, 8, 12, 16),
                "epsilons": _DISTANCES,
                "conditions": _grid(training=_TRAINING),
            },
        ),
        claims=("C03",),
    ),
    "perturbation-spectrum": Experiment(
        measure=measures.perturbations,
        keys=("training", "distance"),
        scales=_scales(
            quick=_ROBUST_QUICK
            | {
                "recipe": Recipe(epochs=6, batch_size=32, lr=0.03),
                "train_size": 2000,
                "test_size": 50,
                "epsilons": (4 / 255,),
                "conditions": _grid(
                    training={
                        "natural": {"hfc_strength": 1},
                        "natural, useless wave": {"hfc_strength": 0},
                        "adversarial": _LIVE_ATTACK | {"hfc_strength": 1},
                    }
                ),
            },
            cpu=_ROBUST_CPU | {"epsilons": (4 / 255,), "conditions": _grid(training=_TRAINING)},
            paper=_ROBUST_PAPER | {"epsilons": (4 / 255,), "conditions": _grid(training=_TRAINING)},
        ),
        claims=(),
    ),
    "people": Experiment(
        measure=measures.by_difficulty,
        keys=("agreement", "copies", "radius"),
        scales=_scales(
            quick={"norm": "batch", "test_size": None, "radii": (4, 8)},
            cpu={
                "norm": "batch",
                "recipe": Recipe(
                    epochs=12, batch_size=100, lr=0.1, gradient_clip=1.0, shift=2, flip=True
                ),
                "train_size": None,
                "test_size": None,
            },
            paper=_shorter(30) | {"test_size": None},
        ),
        claims=(),
        check=measures.needs_people,
    ),
}
