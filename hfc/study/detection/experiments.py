"""Settings of chapter 6's experiments, at every scale."""

from dataclasses import dataclass

from hfc.study.detection.measure import on_pictures
from hfc.study.detection.measure_attacked import under_attack
from hfc.study.detection.measure_unfamiliar import of_the_unfamiliar, on_confidence
from hfc.study.detectors import DetectorRecipe, DetectorSettings
from hfc.study.settings import CPU, PAPER, QUICK, Experiment, Scale, Settings, grid
from hfc.unfamiliar import UNFAMILIAR, load_unfamiliar

__all__ = ["EXPERIMENTS"]

_SCENES = DetectorSettings(
    model="small",
    recipe=DetectorRecipe(epochs=10, lr=3e-3),
    train_size=500,
    test_size=80,
)
# Blood cells, at half of their size: 240 x 320 pixels.
_CELLS = DetectorSettings(
    model="lite0",
    recipe=DetectorRecipe(epochs=20, lr=1e-3),
    dataset="bccd",
    train_size=205,
    side=240,
    fine_tuned=(1 / 4, 1 / 2),
    fine_tune_epochs=3,
)
# The authors' detector on their set. Their radius of 128 waves per image is measured as it is;
# the shares tell what it means for pictures of any size.
_COCO = DetectorSettings(
    model="resnet50",
    recipe=DetectorRecipe(epochs=0),
    dataset="coco",
    radii=(32, 64, 128, 192),
)
# A third of chapter 4's recipes: the plain network, and one that has learned to mistrust the HFC.
_TRAINED = grid(
    training={
        "natural": {},
        "adversarial": {"recipe": {"adversarial": 8 / 255, "attack_steps": 2}},
    }
)
_TRAINED_LIVE = grid(
    training={
        "natural": {},
        "adversarial": {"recipe": {"adversarial": 4 / 255, "attack_steps": 1}},
    }
)


@dataclass(frozen=True, kw_only=True)
class Outside(Settings):
    """Settings of a classifier that meets unfamiliar images.

    Attributes
    ----------
    outside : tuple of str
        Of :data:`hfc.unfamiliar.UNFAMILIAR`.
    outside_size : int
        Images of each.
    """

    outside: tuple[str, ...]
    outside_size: int

    def __post_init__(self):
        super().__post_init__()
        for name in self.outside:
            if name not in UNFAMILIAR:
                raise ValueError(f"outside must be of {', '.join(UNFAMILIAR)}, got {name!r}")
        if self.outside_size < 1:
            raise ValueError(f"outside_size must be at least 1, got {self.outside_size}")


@dataclass(frozen=True, kw_only=True)
class Watched(Settings):
    """Settings of a classifier that is attacked while detectors look on.

    Attributes
    ----------
    few : int
        How many test images are attacked.
    epsilons : tuple of float
        In pixel units.
    """

    few: int
    epsilons: tuple[float, ...]

    def __post_init__(self):
        super().__post_init__()
        if self.few < 20:
            raise ValueError(f"few must be at least 20, got {self.few}")
        for epsilon in self.epsilons:
            if not 0 < epsilon <= 1:
                raise ValueError(f"epsilons must be in pixel units, 0 to 1, got {epsilon}")


def _check_outside(settings):
    """Complain of missing pictures before anything is trained."""
    for name in settings.outside:
        load_unfamiliar(name, size=1)


def _outside(base, sets, size):
    return Outside(**vars(base.changed(radii=(4, 8, 12))), outside=sets, outside_size=size)


def _watched(base, few, *epsilons):
    own = vars(base.changed(radii=(8, 12)))
    return Watched(**own, few=few, epsilons=tuple(n / 255 for n in epsilons))


_LIVE = QUICK.changed(hfc_strength=0.9)
_LONG = PAPER.changed(recipe={"epochs": 30})
_PHOTOGRAPHS = ("cifar100", "gtsrb", "textures")

EXPERIMENTS = {
    "detection": Experiment(
        measure=on_pictures,
        keys=("training", "copy", "unit", "radius"),
        scales={"quick": Scale(_SCENES), "cpu": Scale(_CELLS), "paper": Scale(_COCO)},
        claims=("C19",),
    ),
    "unfamiliar": Experiment(
        measure=of_the_unfamiliar,
        keys=("training", "outside", "score", "copy", "radius"),
        scales={
            "quick": Scale(_outside(_LIVE, ("scenes", "crops"), 300), _TRAINED_LIVE[:1]),
            "cpu": Scale(_outside(CPU, _PHOTOGRAPHS, 1000), _TRAINED),
            "paper": Scale(_outside(_LONG, _PHOTOGRAPHS, 10_000), _TRAINED),
        },
        claims=("O1",),
        check=_check_outside,
    ),
    "calibration": Experiment(
        measure=on_confidence,
        keys=("training", "copy", "radius"),
        scales={
            "quick": Scale(_LIVE.changed(radii=(4, 8, 12)), _TRAINED_LIVE[:1]),
            "cpu": Scale(CPU.changed(radii=(4, 8, 12)), _TRAINED),
            "paper": Scale(_LONG.changed(radii=(4, 8, 12)), _TRAINED),
        },
        claims=("O2",),
    ),
    "attacked": Experiment(
        measure=under_attack,
        keys=("training", "detector", "attack", "epsilon", "radius"),
        scales={
            "quick": Scale(_watched(_LIVE, 100, 4), _TRAINED_LIVE[:1]),
            "cpu": Scale(_watched(CPU, 300, 2, 8), _TRAINED),
            "paper": Scale(_watched(_LONG, 1000, 1, 2, 4, 8), _TRAINED),
        },
        claims=("O3", "O4"),
    ),
}
