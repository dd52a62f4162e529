"""What chapter 4 measures besides accuracy on copies: ways to test BatchNorm, a planted wave."""

import copy

import torch

from hfc import data
from hfc.batchnorm import has_batchnorm, recalibrate
from hfc.evaluation import accuracy, logits, signature_use
from hfc.frequency import component
from hfc.machine import autocast
from hfc.study.low_and_high.measure import copies

__all__ = ["by_statistics", "in_company", "with_signature"]

_BATCH = 100  # images, as the authors test
_RECALIBRATED = 5000  # training images, for statistics gathered anew


def by_statistics(model, train_set, test_set, settings):
    """Accuracy on copies, by running and by batch statistics, with and without company.

    ``recalibrated`` are running statistics that are gathered anew on training images: averages
    that lag behind the weights are a rival explanation of what batch statistics do. In company
    ``mixed`` every second image is an original. A network without BatchNorm is measured one way
    only: its answer to an image depends on that image alone. Claims C11 and C15, traps T1 and T2.
    """
    mean, images = train_set.mean_colour, test_set.images
    ways = [("running", "alone", model, {})]
    if has_batchnorm(model):  # without it an image's logits depend on that image alone
        anew = copy.deepcopy(model)
        with autocast(images.device):
            recalibrate(anew, train_set.images[:_RECALIBRATED])
        ways += [
            ("recalibrated", "alone", anew, {}),
            ("batch", "alone", model, {"statistics": "batch"}),
            ("batch", "mixed", model, {"statistics": "batch", "mixed": True}),
        ]
    records = []
    for statistics, company, tested, how in ways:
        label = {"statistics": statistics, "company": company}
        rows = copies(tested, test_set, mean, settings, batch_size=_BATCH, **how)
        records += [label | row for row in rows]
    return records


def in_company(model, train_set, test_set, settings):
    """Accuracy on copies by batch statistics, by how many originals share a batch of 100 (T1).

    ``company`` counts them: with 0 all are copies, with 99 there is one copy in a batch.
    """
    records = []
    for radius in settings.radii:
        for others in settings.company:
            row = {"radius": float(radius), "company": others}
            for name in settings.components:
                shown = component(test_set.images, name, radius, mean=train_set.mean_colour)
                row[name] = _right_among(model, shown, test_set, others)
            records.append(row)
    return records


def _right_among(model, shown, test_set, others):
    """Share of copies that are right in batches with so many originals of other images."""
    images, own = test_set.images, _BATCH - others
    places = torch.arange(others, device=images.device)
    answers = []
    with autocast(images.device):
        for k, part in enumerate(shown.split(own)):
            company = images[(places + k * others) % len(images)]
            batch = torch.cat((part, company))
            found = logits(model, batch, batch_size=_BATCH, statistics="batch")
            answers.append(found[: len(part)].argmax(dim=1))
    return (torch.cat(answers) == test_set.labels).float().mean().item()


def with_signature(model, train_set, test_set, settings):
    """Accuracy on copies, and how much the network follows a signature that nobody sees.

    Records add ``random_signature``, the accuracy on the same photographs with signatures drawn
    at random, and ``follows``, the share of wrong ones among these that it believes.
    """
    at_random = data.load(
        settings.dataset,
        "test",
        size=settings.test_size,
        seed=settings.recipe.seed,
        hfc_strength=0,
    ).to(test_set.images.device)
    same = {
        "random_signature": accuracy(model, at_random),
        "follows": signature_use(model, at_random),
    }
    rows = copies(model, test_set, train_set.mean_colour, settings)
    return [row | same for row in rows]
