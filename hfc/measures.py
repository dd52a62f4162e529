"""What experiments measure: a trained network and its data in, records out.

Each function takes ``(model, train_set, test_set, settings)``: the network in evaluation mode,
both sets as it was trained and is tested on, and the settings of its condition with ``seed``
added. It returns a list of dicts, JSON can hold them: labels that tell the records apart, and
the measured numbers.
"""

from torch import nn

from hfc import data
from hfc.evaluation import accuracy, component_accuracy, radius_sweep, signature_use
from hfc.training import autocast

__all__ = [
    "by_difficulty",
    "by_statistics",
    "needs_people",
    "observe",
    "on_copies",
    "with_signature",
]


def observe(model, train_set, test_set, chosen):
    """What the network says to the two components, radius by radius (C02)."""
    sweep = radius_sweep(model, test_set, chosen["radii"], mean=train_set.mean_colour)
    return sweep.reset_index().to_dict("records")


def on_copies(model, train_set, test_set, chosen):
    """Accuracy on images and on copies that keep one component (C04 to C10, C12 to C15)."""
    sets = {"train": train_set.take(slice(len(test_set))), "test": test_set}
    records = []
    for images in chosen["images"]:
        table = _copies(model, sets[images], train_set.mean_colour, chosen)
        records += [{"images": images} | row for row in table.reset_index().to_dict("records")]
    return records


def _copies(model, images, mean, chosen, **how):
    with autocast(images.images.device):
        return component_accuracy(
            model, images, chosen["radii"], chosen["components"], mean=mean, **how
        )


def by_statistics(model, train_set, test_set, chosen):
    """As :func:`on_copies`, by running and by batch statistics, with and without company.

    A network without BatchNorm is measured one way only: its answer to an image depends on that
    image alone. Claims C11 and C15, traps T1 and T2.
    """
    mean, records = train_set.mean_colour, []
    has_statistics = any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    ways = {("running", "alone"): {}}
    if has_statistics:  # without BatchNorm an image's logits depend on that image alone
        ways[("running", "mixed")] = {"mixed": True}
        ways[("batch", "alone")] = {"statistics": "batch"}
        ways[("batch", "mixed")] = {"statistics": "batch", "mixed": True}
    for (statistics, company), how in ways.items():
        table = _copies(model, test_set, mean, chosen, batch_size=100, **how)
        label = {"statistics": statistics, "company": company}
        records += [label | record for record in table.reset_index().to_dict("records")]
    return records


def with_signature(model, train_set, test_set, chosen):
    """Accuracy on copies, and how much the network follows a signature that nobody sees.

    Records add ``random_signature``, the accuracy on the same photographs with signatures drawn
    at random, and ``follows``, the share of wrong ones among these that it believes.
    """
    at_random = data.load(
        chosen["dataset"],
        "test",
        size=chosen["test_size"],
        seed=chosen["seed"],
        hfc_strength=0,
    ).to(test_set.images.device)
    table = _copies(model, test_set, train_set.mean_colour, chosen)
    table["random_signature"] = accuracy(model, at_random)
    table["follows"] = signature_use(model, at_random)
    return table.reset_index().to_dict("records")


def needs_people(chosen):
    """Complain unless the votes of people on these very test images are there."""
    if chosen["dataset"] != "cifar10" or chosen["test_size"] is not None:
        raise ValueError('people needs dataset "cifar10" with all its test images')
    data.human_votes()


def by_difficulty(model, train_set, test_set, chosen):
    """As :func:`observe`, for groups of images that people agree on more or less."""
    if chosen["dataset"] != "cifar10" or chosen["test_size"] is not None:
        raise ValueError('people needs dataset "cifar10" with all its test images')
    votes = data.human_votes().to(test_set.labels.device)
    agree = votes.gather(1, test_set.labels[:, None])[:, 0] / votes.sum(dim=1)
    bounds = {"all agree": (1, 1), "0.95 to 1": (0.95, 1), "0.8 to 0.95": (0.8, 0.95)}
    bounds["below 0.8"] = (-1, 0.8)
    records = []
    for agreement, (low, high) in bounds.items():
        chosen_images = (agree >= low) & (agree < high) if low < high else agree == 1
        images = test_set.take(chosen_images)
        sweep = radius_sweep(model, images, chosen["radii"], mean=train_set.mean_colour)
        label = {"agreement": agreement}
        records += [label | record for record in sweep.reset_index().to_dict("records")]
    return records
