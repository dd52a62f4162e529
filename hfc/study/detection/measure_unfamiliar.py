"""What chapter 6 measures of classifiers that meet what they were not trained on."""

from hfc.evaluation import logits
from hfc.frequency import component
from hfc.machine import autocast
from hfc.unfamiliar import SCORES, calibration_error, load_unfamiliar, outlier_scores, separation
from hfc.unfamiliar.sets import fingerprint

__all__ = ["of_the_unfamiliar", "on_confidence"]

_FEATURES = 5000  # training images that KNN compares with, at most
_COPIES = ("low", "high + mean")


def of_the_unfamiliar(model, train_set, test_set, settings):
    """AUROC and FPR95 of every score against every unfamiliar set, on originals and on copies.

    Familiar and unfamiliar images are copied alike, and so are KNN's training images. ``data`` is
    the fingerprint of the unfamiliar images.
    """
    seed, device = settings.recipe.seed, test_set.images.device
    outside = {
        name: load_unfamiliar(name, size=settings.outside_size, seed=seed).to(device)
        for name in settings.outside
    }
    prints = {name: fingerprint(images) for name, images in outside.items()}
    known, records = train_set.images[:_FEATURES], []
    for copy, radius in _copies(settings):

        def copied(images, copy=copy, radius=radius):
            if copy == "original":
                return images
            return component(images, copy, radius, mean=train_set.mean_colour)

        for score in SCORES:
            extra = {"familiar": copied(known)} if score == "KNN" else {}
            with autocast(device):
                inside, *others = (
                    outlier_scores(model, copied(images), score, **extra)
                    for images in (test_set.images, *outside.values())
                )
            for name, scores in zip(outside, others, strict=True):
                labels = {"outside": name, "score": score, "copy": copy, "radius": float(radius)}
                numbers = separation(inside, scores) | {"data": prints[name]}
                records.append(labels | numbers)
    return records


def on_confidence(model, train_set, test_set, settings):
    """Accuracy, mean confidence and calibration error on originals and on copies."""
    records = []
    for copy, radius in _copies(settings):
        images = test_set.images
        if copy != "original":
            images = component(images, copy, radius, mean=train_set.mean_colour)
        with autocast(images.device):
            found = logits(model, images)
        confidence = found.softmax(dim=1).amax(dim=1)
        right = found.argmax(dim=1) == test_set.labels
        records.append(
            {
                "copy": copy,
                "radius": float(radius),
                "accuracy": right.float().mean().item(),
                "confidence": confidence.mean().item(),
                "ECE": calibration_error(found, test_set.labels),
            }
        )
    return records


def _copies(settings):
    yield "original", 0
    for copy in _COPIES:
        for radius in settings.radii:
            yield copy, radius
