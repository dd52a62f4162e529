"""Public functions name the argument that is wrong, what came and what is wanted.

Every public function of the library is called as it should be, but for one argument, which is each
of many things that people pass by mistake.
"""

import re
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hfc
from hfc import (
    attacks,
    augment,
    batchnorm,
    data,
    evaluation,
    frequency,
    intervals,
    kernels,
    models,
    robustness,
    training,
    wrappers,
)
from hfc.arguments import Count, Images, checked
from tests.targets import image_set, linear, noise, seeded

PACKAGE = Path(hfc.__file__).parent
IMAGES, LABELS = noise(6), torch.tensor([0, 1] * 3)
LARGE = torch.rand(4, 3, 32, 32, generator=seeded(0))
PLANTED = data.ImageSet(LARGE, LABELS[:4], ("a", "b"), "made", 1 - LABELS[:4])
NORMED = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2)).eval()
COLOUR = IMAGES[0, :, :1, :1]
WEIGHT = torch.randn(3, 2, 3, 3, generator=seeded(0))


def drawn(**others):
    return {"generator": seeded(0)} | others


def calls():
    """Of every public function the arguments of a call that works; made anew, as some change."""
    model, some = linear().eval(), image_set(IMAGES, LABELS)
    asked = {"model": model, "data": some}
    attacked = {"model": model, "images": IMAGES, "labels": LABELS}
    ring = {"x": IMAGES, "radius": 1.0, "closed": True}
    weight = {"weight": WEIGHT}
    return {
        frequency.radial_mask: {"height": 4, "width": 4, "radius": 1.0, "closed": True},
        frequency.low_pass: ring,
        frequency.high_pass: ring,
        frequency.split: ring,
        frequency.band_pass: {"x": IMAGES, "inner": 0.5, "outer": 1.5, "closed": False},
        frequency.max_scale: {"x": IMAGES},
        frequency.component: {"x": IMAGES, "name": "high + mean", "radius": 1.0, "mean": COLOUR},
        frequency.radial_spectrum: {"x": IMAGES},
        frequency.amplitude_phase: {"x": IMAGES},
        frequency.recombine: {"amplitude": IMAGES, "phase": IMAGES},
        frequency.fourier_basis: {"height": 4, "width": 4, "u": 1, "v": 0},
        intervals.mean_interval: {"values": [0.5, 0.6], "level": 0.9},
        intervals.wilson_interval: {"count": 1, "n": 4, "level": 0.9},
        data.ImageSet: {"images": IMAGES, "labels": LABELS, "classes": ("a", "b"), "name": "made"},
        data.load: {
            "name": "synthetic",
            "split": "test",
            "size": 4,
            "seed": 1,
            "hfc_strength": 0.5,
        },
        data.plant_signature: {"data": PLANTED, "strength": 0.5, "amplitude": 0.1, "seed": 1},
        data.shuffle_labels: {"data": some, "fraction": 0.5, "seed": 1},
        models.build: {
            "name": "lenet",
            "num_classes": 3,
            "in_channels": 2,
            "norm": "batch",
            "dropout": 0.1,
            "width": 8,
            "normalise": False,
            "kernel_size": 3,
        },
        wrappers.OnComponent: {"model": model, "name": "low", "radius": 1.0, "mean": None},
        wrappers.FilteredInput: {"model": model, "radius": 1.0, "rounded": True},
        wrappers.StraightThrough: {"defended": wrappers.FilteredInput(model, 1.0)},
        wrappers.ScaledLogits: {"model": model, "factor": 2.0},
        batchnorm.layers: {"model": NORMED},
        batchnorm.has_batchnorm: {"model": NORMED},
        batchnorm.recalibrate: {"model": NORMED, "images": IMAGES, "batch_size": 3},
        kernels.first_kernels: {"model": NORMED},
        kernels.roughness: weight | {"relative": False},
        kernels.high_frequency_share: weight | {"size": 8, "radius": 2.0},
        kernels.smooth: weight | {"rho": 0.5, "normalised": True},
        kernels.replace: {"model": NORMED, "weight": WEIGHT},
        augment.crop_flip: drawn(images=IMAGES, shift=1, flip=True),
        augment.mixup: drawn(images=IMAGES, labels=LABELS, alpha=0.5, num_classes=2),
        augment.pgd: drawn(**attacked, epsilon=0.1, steps=1),
        training.Recipe: {
            "epochs": 1,
            "batch_size": 2,
            "optimizer": "sgd",
            "lr": 0.1,
            "schedule": "constant",
            "weight_decay": 0.1,
            "label_smoothing": 0.1,
            "gradient_clip": 1.0,
            "shift": 1,
            "flip": True,
            "mixup": 0.5,
            "adversarial": 0.0,
            "attack_steps": 1,
            "smoothness": 0.1,
            "seed": 1,
        },
        training.fit: {
            "model": linear(),
            "data": some,
            "recipe": training.Recipe(epochs=1, batch_size=3),
            "probes": [],
            "resume": None,
            "progress": False,
        },
        evaluation.logits: {
            "model": model,
            "images": IMAGES,
            "batch_size": 2,
            "statistics": "batch",
            "beside": IMAGES,
        },
        evaluation.is_right: attacked,
        evaluation.accuracy: asked,
        evaluation.component_accuracy: asked
        | {
            "radii": [1],
            "components": ["high + mean"],
            "mean": COLOUR,
            "statistics": "running",
            "mixed": True,
            "batch_size": 2,
        },
        evaluation.signature_use: {"model": linear(2, 3, 32), "data": PLANTED},
        evaluation.radius_sweep: asked | {"radii": [1], "mean": COLOUR},
        attacks.make: {"name": "pgd", "steps": 2, "component": "low", "radius": 1.0, "restarts": 2},
        attacks.perturb: attacked | {"attack": "fgsm", "epsilon": 0.1, "batch_size": 3, "seed": 1},
        robustness.robust_accuracy: asked
        | {
            "attack": "fgsm",
            "epsilons": [0.1],
            "protocol": "fixed",
            "source": model,
            "batch_size": 3,
            "seed": 1,
            "checked": 0,
        },
        robustness.low_pass_bound: asked | {"radii": [1], "epsilons": [0.1]},
        robustness.joint_bound: asked | {"radii": [1], "epsilons": [0.1]},
    }


class OneNumber(nn.Module):
    def forward(self, x):
        return x.flatten(1).sum(dim=1)


MISTAKES = {
    "None": None,
    "text": "4",
    "another name": "banana",
    "bytes": b"4",
    "list": [1, 2],
    "list of text": ["4", None],
    "empty list": [],
    "dict": {"a": 1},
    "object": object(),
    "function": len,
    "complex": 1j,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus one": -1,
    "half": 0.5,
    "10**30": 10**30,
    "array": np.zeros((6, 2, 4, 4), np.float32),
    "array of labels": np.array([0, 1] * 3),
    "0-d tensor": torch.tensor(1.0),
    "row": torch.rand(6),
    "integers": (IMAGES * 255).to(torch.uint8),
    "complex tensor": torch.complex(IMAGES, IMAGES),
    "meta tensor": IMAGES.to("meta"),
    "sparse tensor": IMAGES.to_sparse(),
    "no images": IMAGES[:0],
    "images without pixels": IMAGES[..., :0],
    "one image": IMAGES[0],
    "NaN images": IMAGES * float("nan"),
    "0 to 255": IMAGES * 255,
    "large": IMAGES * 3e38,
    "other size": torch.rand(6, 3, 7, 5, generator=seeded(1)),
    "labels as floats": LABELS.float(),
    "labels out of range": LABELS - 100,
    "labels in columns": LABELS[:, None],
    "bools": LABELS.bool(),
    "class": nn.Linear,
    "one number an image": OneNumber(),
    "model of other images": nn.Linear(3, 2),
    "image set": image_set(IMAGES, LABELS),
}


def verdict(function, arguments, name):
    """How a call went: "fine", "told", or what died where."""
    try:
        function(**arguments)
    except (TypeError, ValueError, FloatingPointError, RuntimeError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = PACKAGE in Path(frames[-1].filename).parents
        words = "|".join(map(re.escape, {name, *NAMED.get(name, ())}))
        named = re.search(rf"\b({words})\b", str(error))
        return "told" if own and named else f"{frames[-1].filename}: {error!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "fine"


# Where an argument is wrong beside another one, the text may name that one.
NAMED = {
    "images": ("model", "labels", "data", "shift"),
    "data": ("model", "images", "labels", "components", "epsilon", "batch", "radii", "x"),
    "model": ("images", "weight", "labels"),
    "labels": ("model", "num_classes", "images"),
    "radii": ("radius",),
    "epsilons": ("epsilon",),
    "epsilon": ("steps",),
    "components": ("name",),
    "amplitude": ("phase",),
    "phase": ("amplitude",),
    "classes": ("labels",),
    "weight": ("model", "kernels"),
    "mean": ("x", "model"),
    "beside": ("model",),
    "batch_size": ("beside", "data"),
    "component": ("radius",),
    "radius": ("component",),
    "name": ("attack", "component", "radius", "steps", "restarts", "width", "kernel_size"),
    "attack": ("name",),
    "source": ("model",),
    "recipe": ("data",),
    "lr": ("loss",),
}


def test_the_calls_work():
    for function, arguments in calls().items():
        function(**arguments)


def test_all_public_functions_are_called():
    called = {function.__name__ for function in calls()}
    rooms = (frequency, intervals, models, kernels, augment, evaluation, robustness, wrappers)
    inner = {"COMPONENTS", "RadialSpectrum", "Flag", "NAMES", "check_labels", "check_pixels"}
    inner |= {"evaluation_mode", "frozen"}
    assert {name for room in rooms for name in room.__all__} - inner <= called


def test_what_the_checker_knows():
    @checked
    def function(
        number: float, whole: Count = 1, several: Sequence[float] = (), images: Images | None = None
    ):
        return number

    assert function(np.float32(2), whole=np.int64(3), several=range(2), images=None) == 2
    assert function(1, several=torch.rand(3), images=IMAGES) == 1
    for given, text in {
        ("2",): "number must be a number, got '2'",
        (True,): "number must be a number, got True",
        (1, 1.5): "whole must be a whole number, got 1.5",
        (1, 0): "whole must be at least 1, got 0",
        (1, 1, "12"): "several must be a sequence of numbers, got '12'",
        (1, 1, (1, "2")): "several must hold numbers, got '2'",
        (1, 1, (), LABELS): "images must be a floating-point tensor, got torch.int64",
        (1, 1, (), IMAGES[0]): r"images must have shape \(N, C, H, W\), got \(2, 4, 4\)",
        (1, 1, (), "4"): "images must be a torch.Tensor or None, got '4'",
    }.items():
        with pytest.raises((TypeError, ValueError), match=f"^{text}$"):
            function(*given)


def test_wrong_arguments_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a name that is taken for a path makes a file
    died = []
    for k, (function, arguments) in enumerate(calls().items()):
        for name in arguments:
            for mistake, value in MISTAKES.items():
                fresh = list(calls().values())[k] | {name: value}
                how = verdict(function, fresh, name)
                if how not in ("fine", "told"):
                    died.append(f"{function.__qualname__}({name}={mistake}): {how[:200]}")
    assert len(died) < 15, "\n".join(died)
