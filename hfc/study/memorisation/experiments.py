"""Settings of chapter 3's experiments, at every scale."""

from hfc.study.low_and_high.measure import on_copies
from hfc.study.memorisation.measure import by_difficulty, needs_people
from hfc.study.settings import CPU, PAPER, QUICK, RADII, SCALED, Experiment, Scale, grid
from hfc.training import Recipe

__all__ = ["EXPERIMENTS", "only"]


def only(component, radius):
    """Changes that let a network see one component in training, and test that radius."""
    return {"trained_on": component, "train_radius": radius, "radii": (radius,)}


def _trained_on(components, radii):
    return tuple(
        ({"trained_on": component, "train_radius": radius}, only(component, radius))
        for component in components
        for radius in radii
    )


_LABELS = {
    "true": {},
    "25 % shuffled": {"shuffled": 0.25},
    "50 % shuffled": {"shuffled": 0.5},
    "all shuffled": {"shuffled": 1.0},
}

EXPERIMENTS = {
    "memorisation": Experiment(
        measure=on_copies,
        keys=("labels", "epoch", "images", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(
                    norm="batch",
                    recipe=Recipe(epochs=16, batch_size=32, lr=0.03, weight_decay=0.0),
                    train_size=1000,
                    epochs=(1, 2, 3, 6, 10, 16),
                    radii=(8,),
                ),
                grid(
                    labels={
                        "true": {"hfc_strength": 1},
                        "true, useless wave": {"hfc_strength": 0},
                        "all shuffled": {"hfc_strength": 1, "shuffled": 1.0},
                    }
                ),
            ),
            "cpu": Scale(
                CPU.changed(
                    recipe=Recipe(
                        epochs=60, batch_size=50, lr=0.05, weight_decay=0.0, gradient_clip=1.0
                    ),
                    train_size=5000,
                    epochs=(*range(1, 7), 8, 10, 12, *range(15, 61, 5)),
                ),
                grid(labels=_LABELS),
            ),
            "paper": Scale(
                PAPER.changed(
                    epochs=(1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 300)
                ),
                grid(
                    labels={
                        "true": {},
                        "all shuffled": {"shuffled": 1.0, "recipe": {"epochs": 300}},
                    }
                ),
            ),
        },
        claims=("C04", "C05"),
    ),
    "lfc-hfc-training": Experiment(
        measure=on_copies,
        keys=("trained_on", "train_radius", "images", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(
                    norm="batch",
                    recipe=Recipe(epochs=8, batch_size=32, lr=0.03, weight_decay=0.0),
                    train_size=1000,
                    hfc_strength=0.9,
                ),
                (
                    ({"trained_on": "low", "train_radius": 8}, only("low", 8)),
                    ({"trained_on": "high", "train_radius": 8}, only("high", 8)),
                    (
                        {"trained_on": "high, useless wave", "train_radius": 8},
                        only("high", 8) | {"hfc_strength": 0},
                    ),
                ),
            ),
            "cpu": Scale(
                CPU.changed(train_size=10_000, components=SCALED), _trained_on(SCALED, RADII)
            ),
            "paper": Scale(
                PAPER.changed(components=SCALED, recipe={"epochs": 20}),
                _trained_on(SCALED, RADII),
            ),
        },
        claims=("C06",),
    ),
    "people": Experiment(
        measure=by_difficulty,
        keys=("agreement", "copies", "radius"),
        scales={
            "quick": Scale(QUICK.changed(norm="batch", test_size=None, radii=(4, 8))),
            "cpu": Scale(
                CPU.changed(
                    norm="batch",
                    recipe=Recipe(
                        epochs=12, batch_size=100, lr=0.1, gradient_clip=1.0, shift=2, flip=True
                    ),
                    train_size=None,
                    test_size=None,
                )
            ),
            "paper": Scale(PAPER.changed(recipe={"epochs": 30})),
        },
        check=needs_people,
    ),
}
