"""Settings of chapter 2's experiment, at every scale."""

from hfc.study.low_and_high.measure import observe
from hfc.study.settings import CPU, PAPER, QUICK, Experiment, Scale
from hfc.training import Recipe

__all__ = ["EXPERIMENTS"]

_RADII = (0, 2, 4, 5, 6, 8, 12, 16)

EXPERIMENTS = {
    "observation": Experiment(
        measure=observe,
        keys=("copies", "radius"),
        scales={
            "quick": Scale(
                QUICK.changed(
                    radii=_RADII,
                    norm="batch",
                    recipe=Recipe(epochs=6, batch_size=64, lr=0.03),
                    train_size=4000,
                    test_size=1000,
                )
            ),
            "cpu": Scale(
                CPU.changed(
                    radii=_RADII,
                    norm="batch",
                    model="convnet",
                    recipe=Recipe(
                        epochs=12, batch_size=256, lr=0.3, label_smoothing=0.1, shift=2, flip=True
                    ),
                    train_size=None,
                    test_size=None,
                )
            ),
            "paper": Scale(PAPER.changed(radii=_RADII, recipe={"epochs": 30})),
        },
        claims=("C02", "C23"),
    ),
}
