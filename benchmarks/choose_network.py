"""The pilot that chose the network of scale ``cpu``: python benchmarks/choose_network.py

Rule, fixed before: of the candidates that see all frequencies (stride 1 in the first layer), the
cheapest whose accuracy on HFC copies (mean added) is above chance at r = 8 and at r = 12 by three
standard errors of the 10,000 test images, without normalisation, with both pilot seeds. No result
of the book has these seeds.

A first pilot on the same seeds, with other initial weights, left the GELU networks only; its table
was not kept. The one beside this file leaves the ReLU networks of the same widths, too, and by
itself would choose one of them. Read over both, the cheapest that never fails is ``plain``. On a
processor without bfloat16 it takes 68 to 76 core-seconds for 10 epochs, not the 60 that were wished
for; ReLU would take 49 to 52. How much a network reads at r = 12 depends on its initial weights, so
a quarter of the time did not seem worth a floor.
"""

import csv
import sys
import time
from pathlib import Path

import torch
from torch import nn

from hfc import data, models
from hfc.evaluation import component_accuracy
from hfc.machine import using_threads
from hfc.study.settings import CPU
from hfc.study.unit import seeded
from hfc.training import fit

SEEDS = (901, 902)
RADII = (8, 12)
TABLE = Path(__file__).with_suffix(".csv")


def _plain(widths, activation):
    """Four 3x3 convolutions, with maxima of 2x2 pixels in between."""
    layers, before = [models.build("plain", num_classes=10)[0]], 3  # pixels around 0
    for k, width in enumerate(widths):
        pool = [nn.MaxPool2d(2)] if k else []
        layers += [*pool, nn.Conv2d(before, width, 3, padding=1), activation()]
        before = width
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * before, 10)]
    return nn.Sequential(*layers, *head)


CANDIDATES = {
    "small (stride 2)": lambda: models.build("small", num_classes=10, norm=None),
    "vgg, width 8": lambda: models.build("vgg", num_classes=10, norm=None, width=8),
    "16-32-64-64, ReLU": lambda: _plain((16, 32, 64, 64), nn.ReLU),
    "16-32-32-64, ReLU": lambda: _plain((16, 32, 32, 64), nn.ReLU),
    "16-32-64-64, GELU": lambda: _plain((16, 32, 64, 64), nn.GELU),
    "16-32-32-64, GELU": lambda: _plain((16, 32, 32, 64), nn.GELU),
}


def main():
    """Train every candidate with every seed; the table goes beside this file."""
    rows = []
    with using_threads(1):
        for name, build in CANDIDATES.items():
            rows += [{"network": name} | _row(build, seed) for seed in SEEDS]
            print(rows[-2:], file=sys.stderr)
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(build, seed):
    settings = seeded(CPU, seed)
    train = data.load("cifar10", "train", size=settings.train_size, seed=seed)
    test = data.load("cifar10", "test")
    torch.manual_seed(seed)
    model = build()
    start = time.process_time()
    fit(model, train, settings.recipe, progress=False)
    seconds = time.process_time() - start
    copies = ["high", "high + mean"]
    found = component_accuracy(model, test, RADII, copies, mean=train.mean_colour)
    row = {"seed": seed, "core-seconds": round(seconds), "parameters": _size(model)}
    row["test"] = round(found["original"].iloc[0], 3)
    for name in copies:
        row |= {f"{name}, r = {r}": round(found.loc[float(r), name], 3) for r in RADII}
    return row


def _size(model):
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()
