"""What chapter 6 measures of detectors: average precision, and what is detected better."""

import copy
import dataclasses
import math

import torch

from hfc.detection import (
    best_match,
    brightened,
    components,
    detect,
    fit_detector,
    mean_average_precision,
    mirrored,
    recompressed,
)

__all__ = ["COPIES", "on_pictures"]

COPIES = ("low", "high", "high + mean")
_CONTROLS = {"mirrored": mirrored, "brighter": brightened, "JPEG": recompressed}
_CLEAR = 0.1  # of the score in [0, 1]: more than a trifle


def on_pictures(model, train_set, test_set, settings):
    """How well a detector finds objects in originals and in copies of the test pictures.

    Records of originals, of the controls (mirrored, brighter, JPEG), and of each component at each
    radius; then of detectors that were tuned further. ``better`` and ``better, clearly`` are the
    shares of objects whose score is higher than on originals, at all and by .1, ``images, better``
    the share of pictures with an object of the second kind.
    """
    mean = (train_set or test_set).mean_colour.cpu()
    records = []

    def record(labels, found, data, before):
        scores = torch.cat(best_match(found, data))
        numbers = {
            name: value
            for name, value in mean_average_precision(found, data).items()
            if not math.isnan(value)  # no such objects in the set
        }
        clearly = (scores > before + _CLEAR).split([len(boxes) for boxes in data.boxes])
        numbers |= {
            "found": (scores >= 0.5).float().mean().item(),
            "better": (scores > before).float().mean().item(),
            "better, clearly": torch.cat(clearly).float().mean().item(),
            "images, better": sum(bool(part.any()) for part in clearly) / len(data),
        }
        records.append(labels | numbers)

    def measure(model, training, copies):
        labels = {"training": training, "copy": "original", "unit": "none", "radius": 0.0}
        found = detect(model, test_set.images)
        before = torch.cat(best_match(found, test_set))
        record(labels | {"waves": 0.0}, found, test_set, before)
        for name, change in _CONTROLS.items() if training == "originals" else ():
            changed = change(test_set)
            found = detect(model, changed.images)
            record(labels | {"copy": name, "waves": 0.0}, found, changed, before)
        for name, unit, radius in copies:
            found = _on_component(model, test_set.images, name, radius, unit == "Nyquist", mean)
            own = {"copy": name, "unit": unit, "radius": radius}
            waves = _waves(test_set, radius) if unit == "Nyquist" else radius
            record(labels | own | {"waves": waves}, found, test_set, before)

    radii = [("Nyquist", share) for share in settings.shares]
    radii += [("waves", radius) for radius in settings.radii]
    measure(model, "originals", [(name, *radius) for radius in radii for name in COPIES])
    if settings.fine_tuned:
        tuned = _tuned(model, train_set, settings)
        low = [("low", "Nyquist", share) for share in settings.fine_tuned]
        measure(tuned, "tuned on originals", low)
    for share in settings.fine_tuned:
        tuned = _tuned(model, train_set, settings, share)
        measure(tuned, f"tuned on LFC, {share:g}", [("low", "Nyquist", share)])
    return records


def _on_component(model, images, name, radius, of_nyquist, mean):
    """Detections on copies, made a few at a time: a set may fill the memory."""
    found = []
    for k in range(0, len(images), 32):
        part = images[k : k + 32]
        found += detect(model, components(part, name, radius, mean=mean, of_nyquist=of_nyquist))
    return found


def _waves(data, share):
    """A share of the Nyquist frequency in waves per image, mean over the pictures."""
    sides = [min(image.shape[-2:]) for image in data.images]
    return share * sum(sides) / len(sides) / 2


def _tuned(model, train_set, settings, share=None):
    """The detector after some more epochs, on originals or on LFC copies."""
    tuned = copy.deepcopy(model)
    recipe = dataclasses.asdict(settings.recipe) | {"epochs": settings.fine_tune_epochs}
    recipe |= {"lr": recipe["lr"] / 3, "seed": recipe["seed"] + 5_000}
    if share is not None:
        recipe |= {"trained_on": "low", "train_radius": _waves(train_set, share)}
    fit_detector(tuned, train_set, **recipe, progress=False)
    return tuned
