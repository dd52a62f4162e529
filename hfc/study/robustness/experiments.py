"""Settings of chapter 5's experiments, at every scale.

Adversarial training takes few, large steps; batches are normalised, because it is far quicker.
Where kernels are changed afterwards there is no normalisation, as in the paper.
"""

from dataclasses import dataclass

from hfc.study.robustness.measure import (
    behind_filter,
    bound,
    by_ensemble,
    by_statistics,
    first_layer,
    perturbations,
    smoothed,
    with_remedies,
)
from hfc.study.robustness.measure_pooling import by_pooling
from hfc.study.settings import CPU, PAPER, QUICK, Experiment, Scale, Settings, grid
from hfc.training import Recipe

__all__ = ["EXPERIMENTS", "Attacked", "Bounded", "Filtered", "Pooled", "Remedied", "Smoothed"]


@dataclass(frozen=True, kw_only=True)
class Attacked(Settings):
    """Settings of a network that is attacked.

    Attributes
    ----------
    epsilons : tuple of float
        Sizes of the attack, in pixel units; 0 measures the clean accuracy.
    """

    epsilons: tuple[float, ...]

    def __post_init__(self):
        super().__post_init__()
        for epsilon in self.epsilons:
            if not 0 <= epsilon <= 1:
                raise ValueError(f"epsilons must be in pixel units, 0 to 1, got {epsilon}")


@dataclass(frozen=True, kw_only=True)
class Smoothed(Attacked):
    """With first kernels that are smoothed by each of ``rhos`` (:func:`hfc.kernels.smooth`).

    APGD, which is slow, is run on ``few`` images.
    """

    rhos: tuple[float, ...]
    few: int


@dataclass(frozen=True, kw_only=True)
class Remedied(Attacked):
    """With first kernels that keep only frequencies up to each of ``kernel_radii``."""

    kernel_radii: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Bounded(Attacked):
    """Attacked on ``few`` images, while bounds are computed on all."""

    few: int


@dataclass(frozen=True, kw_only=True)
class Filtered(Attacked):
    """Behind an input filter, under each of ``attacks``; the slow ones on ``few`` images."""

    attacks: tuple[str, ...]
    few: int


@dataclass(frozen=True, kw_only=True)
class Pooled(Attacked):
    """Attacked on ``few`` images, at the first epsilon; the rest is measured on all."""

    few: int


_EPSILONS = (0.0, 2 / 255, 4 / 255, 8 / 255)
_SMALL_EPSILONS = (0.0, 0.5 / 255, 1 / 255, 2 / 255)
_PUBLISHED_EPSILONS = (0.0, 0.03, 0.06, 0.09)
_DISTANCES = tuple(e / 255 for e in (0, 1, 2, 4, 8, 16, 32, 64, 128))
_RHOS = (0, 0.1, 0.25, 0.5, 1)
_FILTERS = (4, 6, 8, 10, 12, 14, 16, 32)  # the last lets everything pass
_QUICK = QUICK.changed(
    norm="batch",
    recipe=Recipe(epochs=8, batch_size=32, lr=0.1),
    train_size=3000,
    test_size=300,
    hfc_strength=0.9,
)
_CPU = CPU.changed(
    norm="batch",
    recipe=Recipe(epochs=12, batch_size=100, lr=0.1, gradient_clip=1.0),
    test_size=1000,
)
_PAPER = PAPER.changed(recipe={"epochs": 30}, test_size=2000)
_UNNORMALISED = {"norm": None, "kernel_size": 3}

_WITH_AND_WITHOUT = {
    "none": {"norm": None},
    "BatchNorm": {"norm": "batch", "kernel_size": 3},
}
_LIVE_TRAINING = {
    "natural": {},
    "adversarial": {"recipe": {"adversarial": 4 / 255, "attack_steps": 1}},
}
_TRAINING = {
    "natural": {},
    "adversarial": {"recipe": {"adversarial": 8 / 255, "attack_steps": 2}},
}
_FGSM_TRAINING = {
    "natural": {},
    "FGSM": {"recipe": {"adversarial": 8 / 255, "attack_steps": 1}},
}
# Smooth kernels without robustness? No high frequencies to learn from, or smaller weights.
_CONTROLS = {
    "LFC only": {"trained_on": "low", "train_radius": 8},
    "natural, decayed": {"recipe": {"weight_decay": 5e-3}},
}
_KERNEL_SIZES = {"3": {"kernel_size": 3}, "5": {"kernel_size": 5}}
_PENALTIES = {
    str(smoothness): {"recipe": {"smoothness": smoothness}}
    for smoothness in (0.0, 0.003, 0.03, 0.3)
}
_ALL_ATTACKS = (
    "naive",
    "adaptive",
    "adaptive, restarts",
    "adaptive, apgd",
    "low",
    "transferred",
    "rounded",
    "rounded, BPDA",
    "fourier",
    "hopskipjump",
)


def _of(kind, base, epsilons=_EPSILONS, **own):
    """Settings of a kind, from those they begin with and the kind's own."""
    changed = base.changed(**{name: own.pop(name) for name in list(own) if hasattr(base, name)})
    return kind(**vars(changed), epsilons=epsilons, **own)


EXPERIMENTS = {
    "kernels": Experiment(
        measure=first_layer,
        keys=("training", "kernel", "radius"),
        scales={
            "quick": Scale(
                _of(Attacked, _QUICK, radii=(8,)),
                grid(
                    training=_LIVE_TRAINING | {"natural, useless wave": {"hfc_strength": 0}},
                    kernel={"5": {}},
                ),
            ),
            "cpu": Scale(
                # Half of the images, so that there can be more seeds.
                _of(Attacked, _CPU, radii=(4, 8, 12), train_size=10_000, test_size=500),
                grid(training=_TRAINING | _CONTROLS, kernel=_KERNEL_SIZES),
            ),
            "paper": Scale(
                _of(Attacked, _PAPER, radii=(4, 8, 12)),
                grid(training=_TRAINING | _CONTROLS, kernel=_KERNEL_SIZES),
            ),
        },
        claims=("C16",),
    ),
    "batch-attack": Experiment(
        measure=by_statistics,
        keys=("norm", "statistics", "attack", "epsilon"),
        scales={
            "quick": Scale(
                _of(Attacked, _QUICK, _SMALL_EPSILONS, test_size=100), grid(norm=_WITH_AND_WITHOUT)
            ),
            "cpu": Scale(  # the networks are those of "kernels", where they have BatchNorm
                _of(Attacked, _CPU, _SMALL_EPSILONS, train_size=10_000, test_size=500),
                grid(norm=_WITH_AND_WITHOUT),
            ),
            "paper": Scale(
                _of(Attacked, _PAPER, _SMALL_EPSILONS, test_size=500), grid(norm=_WITH_AND_WITHOUT)
            ),
        },
        claims=("N2",),
    ),
    "smoothing": Experiment(
        measure=smoothed,
        keys=("training", "rho", "form", "attack", "protocol", "epsilon"),
        scales={
            "quick": Scale(
                _of(Smoothed, _QUICK, test_size=100, few=10, rhos=(0, 1), **_UNNORMALISED),
                grid(training=_LIVE_TRAINING),
            ),
            "cpu": Scale(
                _of(
                    Smoothed,
                    _CPU,
                    _PUBLISHED_EPSILONS,
                    test_size=300,
                    few=100,
                    rhos=_RHOS,
                    **_UNNORMALISED,
                ),
                grid(training=_TRAINING),
            ),
            "paper": Scale(
                _of(Smoothed, _PAPER, _PUBLISHED_EPSILONS, few=500, rhos=_RHOS),
                grid(training=_TRAINING),
            ),
        },
        claims=("C17", "C18a", "C18b", "C18c"),
    ),
    "kernel-remedies": Experiment(
        measure=with_remedies,
        keys=("penalty", "kernel_radius", "attack", "epsilon"),
        scales={
            "quick": Scale(
                _of(Remedied, _QUICK, norm=None, test_size=50, kernel_radii=(1, 3)),
                grid(penalty={"0.0": {}, "0.03": {"recipe": {"smoothness": 0.03}}}),
            ),
            "cpu": Scale(
                _of(Remedied, _CPU, norm=None, test_size=300, kernel_radii=(1, 1.5, 2, 2.3, 3)),
                grid(penalty=_PENALTIES),
            ),
            "paper": Scale(_of(Remedied, _PAPER, kernel_radii=(1, 3)), grid(penalty=_PENALTIES)),
        },
        claims=("C22",),
    ),
    "filter-defence": Experiment(
        measure=behind_filter,
        keys=("radius", "attack", "epsilon"),
        scales={
            "quick": Scale(
                _of(
                    Filtered,
                    _QUICK,
                    test_size=200,
                    few=50,
                    radii=(8, 12, 32),
                    attacks=("naive", "adaptive", "low"),
                )
            ),
            "cpu": Scale(
                _of(Filtered, _CPU, test_size=500, few=100, radii=_FILTERS, attacks=_ALL_ATTACKS)
            ),
            "paper": Scale(_of(Filtered, _PAPER, few=200, radii=_FILTERS, attacks=_ALL_ATTACKS)),
        },
        claims=("C21",),
    ),
    "tradeoff": Experiment(
        measure=bound,
        keys=("training", "radius", "epsilon"),
        scales={
            "quick": Scale(
                _of(Bounded, _QUICK, radii=(4, 8, 12), few=50), grid(training=_LIVE_TRAINING)
            ),
            "cpu": Scale(
                _of(Bounded, _CPU, _DISTANCES, radii=(2, 4, 6, 8, 12, 16), few=300),
                grid(training=_TRAINING),
            ),
            "paper": Scale(
                _of(Bounded, _PAPER, _DISTANCES, radii=(2, 4, 6, 8, 12, 16), few=500),
                grid(training=_TRAINING),
            ),
        },
        claims=("C03",),
    ),
    "autoattack": Experiment(
        measure=by_ensemble,
        keys=("training", "attack", "epsilon"),
        scales={
            "quick": Scale(
                _of(Attacked, _QUICK, (0.0, 4 / 255), test_size=20), grid(training=_LIVE_TRAINING)
            ),
            "cpu": Scale(  # the networks are those of "tradeoff"
                _of(Attacked, _CPU, (0.0, 4 / 255, 8 / 255), test_size=200),
                grid(training=_TRAINING),
            ),
            "paper": Scale(
                _of(Attacked, _PAPER, (0.0, 4 / 255, 8 / 255), test_size=1000),
                grid(training=_TRAINING),
            ),
        },
    ),
    "perturbation-spectrum": Experiment(
        measure=perturbations,
        keys=("training", "distance"),
        scales={
            "quick": Scale(
                _of(
                    Attacked,
                    _QUICK,
                    (4 / 255,),
                    recipe=Recipe(epochs=6, batch_size=32, lr=0.03),
                    train_size=2000,
                    test_size=50,
                ),
                grid(
                    training={
                        "natural": {"hfc_strength": 1},
                        "natural, useless wave": {"hfc_strength": 0},
                        "adversarial": _LIVE_TRAINING["adversarial"] | {"hfc_strength": 1},
                    }
                ),
            ),
            "cpu": Scale(_of(Attacked, _CPU, (4 / 255,)), grid(training=_TRAINING)),
            "paper": Scale(_of(Attacked, _PAPER, (4 / 255,)), grid(training=_TRAINING)),
        },
    ),
    "pooling": Experiment(
        measure=by_pooling,
        keys=("training", "pooling"),
        scales={
            "quick": Scale(
                _of(
                    Pooled,
                    _QUICK,
                    (4 / 255,),
                    recipe=Recipe(epochs=6, batch_size=32, lr=0.1),
                    train_size=1000,
                    few=30,
                ),
                grid(training=_LIVE_TRAINING),
            ),
            "cpu": Scale(  # the natural networks with maxima are those of "kernels"
                _of(
                    Pooled,
                    _CPU,
                    (8 / 255,),
                    kernel_size=3,
                    train_size=10_000,
                    test_size=10_000,
                    few=500,
                ),
                grid(training=_FGSM_TRAINING),
            ),
            "paper": Scale(
                _of(
                    Pooled,
                    _PAPER,
                    (8 / 255,),
                    model="convnet",
                    norm="batch",
                    test_size=10_000,
                    few=1000,
                ),
                grid(training=_FGSM_TRAINING),
            ),
        },
        claims=("N5",),
    ),
}
