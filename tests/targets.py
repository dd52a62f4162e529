"""What attacks are tested on: images, linear models with known margins, one trained network."""

from functools import cache

import numpy as np
import torch
from torch import nn

from hfc import data, models, training
from hfc.data import ImageSet
from hfc.evaluation import accuracy, logits


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noise(n, channels=2, size=4, lowest=0.3, highest=0.7, seed=0):
    images = torch.rand(n, channels, size, size, generator=seeded(seed))
    return lowest + (highest - lowest) * images


def image_set(images, labels, classes=2):
    return ImageSet(images, labels, tuple("abcdefghij"[:classes]), "made")


class Linear(nn.Module):
    """Logits by one matrix, all 0 for a grey image; it keeps what it was shown."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.shown, self.modes = [], []

    def forward(self, x):
        self.shown.append(x.detach().clone())
        self.modes.append(self.training)
        return (x - 0.5).flatten(1) @ self.weight.flatten(1).T


class Random(Linear):
    """Answers anew each time."""

    def forward(self, x):
        found = super().forward(x)
        return found + torch.randn_like(found)


def linear(classes=2, channels=2, size=4, seed=0):
    return Linear(torch.randn(classes, channels, size, size, generator=seeded(seed)))


def answers(model, images):
    return logits(model, images).argmax(dim=1)


def two_classes(n=60, channels=2, size=4, seed=0, wrong=0.1, **changes):
    """A linear model, images with its answers as labels but for a few, and their margins."""
    model = linear(2, channels, size, seed)
    images = noise(n, channels, size, seed=seed, **changes)
    labels = answers(model, images)
    labels[: int(wrong * n)] = 1 - labels[: int(wrong * n)]
    model.eval()
    weight = model.weight.detach()
    towards = weight[1 - labels] - weight[labels]  # (N, C, H, W)
    margin = -((images - 0.5) * towards).flatten(1).sum(dim=1).double().numpy()
    return model, image_set(images, labels), towards, margin


def norms(towards, p):
    """How fast a margin shrinks along the best direction of an L-infinity or L2 ball."""
    dual = {"linf": 1, "l2": 2}[p]
    return np.linalg.norm(towards.flatten(1).double().numpy(), dual, axis=1)


def between(distances, gap=1.05):
    """Epsilons with room to the distances of all images: middles of gaps of 5 % and more."""
    near = np.sort(distances[distances > 0])
    wide = near[1:] / near[:-1] > gap
    assert wide.sum() >= 4
    return ((near[1:] + near[:-1]) / 2)[wide]


def network(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.build("small", **{"num_classes": 3, "width": 8, "dropout": 0.5} | changes)


@cache
def healthy():
    """A small network in evaluation mode that has learnt something, and test images."""
    train = data.load("synthetic", "train", size=1500)
    model = network(num_classes=10, dropout=0.0)
    recipe = training.Recipe(epochs=6, batch_size=50)
    training.fit(model, train, recipe, progress=False)
    test = data.load("synthetic", "test", size=80)
    assert accuracy(model, test) > 0.55
    return model.eval(), test
