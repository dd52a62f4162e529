"""What chapter 3 measures besides accuracy on copies: images that people agree on, or not."""

from hfc import data
from hfc.evaluation import radius_sweep

__all__ = ["by_difficulty", "needs_people"]


def needs_people(settings):
    """Complain unless the votes of people on these very test images are there."""
    if settings.dataset != "cifar10" or settings.test_size is not None:
        raise ValueError('people needs dataset "cifar10" with all its test images')
    data.human_votes()


def by_difficulty(model, train_set, test_set, settings):
    """As :func:`hfc.study.low_and_high.measure.observe`, for groups by agreement of people."""
    needs_people(settings)
    votes = data.human_votes().to(test_set.labels.device)
    agree = votes.gather(1, test_set.labels[:, None])[:, 0] / votes.sum(dim=1)
    bounds = {"all agree": (1, 1), "0.95 to 1": (0.95, 1), "0.8 to 0.95": (0.8, 0.95)}
    bounds["below 0.8"] = (-1, 0.8)
    records = []
    for agreement, (low, high) in bounds.items():
        chosen = (agree >= low) & (agree < high) if low < high else agree == 1
        images = test_set.take(chosen)
        sweep = radius_sweep(model, images, settings.radii, mean=train_set.mean_colour)
        label = {"agreement": agreement}
        records += [label | record for record in sweep.reset_index().to_dict("records")]
    return records
