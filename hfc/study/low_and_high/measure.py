"""What a trained network says to components of images: what chapters 2 to 4 measure.

Every measure takes ``(model, train_set, test_set, settings)``: the network in evaluation mode,
both sets as it was trained and is tested on, and the settings of its unit. It returns records:
dicts that JSON can hold, labels that tell the records apart and the measured numbers.
"""

from hfc.evaluation import component_accuracy, radius_sweep
from hfc.machine import autocast

__all__ = ["copies", "observe", "on_copies"]


def observe(model, train_set, test_set, settings):
    """What the network says to the two components, radius by radius (C02)."""
    with autocast(test_set.images.device):
        sweep = radius_sweep(model, test_set, settings.radii, mean=train_set.mean_colour)
    return sweep.reset_index().to_dict("records")


def on_copies(model, train_set, test_set, settings):
    """Accuracy on images and on copies that keep one component (C04 to C10, C12 to C15)."""
    sets = {"train": train_set.take(slice(len(test_set))), "test": test_set}
    records = []
    for images in settings.images:
        rows = copies(model, sets[images], train_set.mean_colour, settings)
        records += [{"images": images} | row for row in rows]
    return records


def copies(model, images, mean, settings, **how):
    """Records of :func:`hfc.evaluation.component_accuracy`, by the radii of the settings."""
    with autocast(images.images.device):
        table = component_accuracy(
            model, images, settings.radii, settings.components, mean=mean, **how
        )
    return table.reset_index().to_dict("records")
