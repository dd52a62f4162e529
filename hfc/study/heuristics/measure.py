"""What chapter 4 measures besides accuracy on copies: ways to test BatchNorm, a planted wave."""

from hfc import data
from hfc.batchnorm import has_batchnorm
from hfc.evaluation import accuracy, signature_use
from hfc.study.low_and_high.measure import copies

__all__ = ["by_statistics", "with_signature"]


def by_statistics(model, train_set, test_set, settings):
    """Accuracy on copies, by running and by batch statistics, with and without company.

    A network without BatchNorm is measured one way only: its answer to an image depends on that
    image alone. Claims C11 and C15, traps T1 and T2.
    """
    mean, records = train_set.mean_colour, []
    ways = {("running", "alone"): {}}
    if has_batchnorm(model):  # without it an image's logits depend on that image alone
        ways[("running", "mixed")] = {"mixed": True}
        ways[("batch", "alone")] = {"statistics": "batch"}
        ways[("batch", "mixed")] = {"statistics": "batch", "mixed": True}
    for (statistics, company), how in ways.items():
        label = {"statistics": statistics, "company": company}
        rows = copies(model, test_set, mean, settings, batch_size=100, **how)
        records += [label | row for row in rows]
    return records


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
