"""What chapter 5 measures of pooling: accuracy, shifts and attacks, one network for each kind."""

import torch

from hfc.augment import crop_flip
from hfc.evaluation import accuracy, logits
from hfc.machine import autocast
from hfc.pooling import KINDS, replace_pooling
from hfc.robustness import robust_accuracy
from hfc.study.unit import network
from hfc.training import fit

__all__ = ["by_pooling"]

_SHIFT = 4  # pixels, the largest


def by_pooling(model, train_set, test_set, settings):
    """Accuracy, consistency and robustness of networks that differ in their pooling (N5).

    The unit's own network is ``max``; the others begin with the same weights and are trained by
    the same recipe. ``consistency`` is the share of test images that get one answer at two random
    shifts. FGSM and PGD attack ``settings.few`` images at the settings' first epsilon.
    """
    few, attacks = test_set.take(slice(settings.few)), ("fgsm", "pgd")
    shifted = _twice_shifted(test_set.images, settings.recipe.seed)
    records = []
    for pooling in KINDS:
        pooled = model if pooling == "max" else _trained(pooling, train_set, settings)
        record = {"pooling": pooling}
        with autocast(test_set.images.device):
            record["original"] = accuracy(pooled, test_set)
            first, second = (logits(pooled, images).argmax(dim=1) for images in shifted)
        record["consistency"] = (first == second).float().mean().item()
        flags = set()
        for attack in attacks:
            (row,) = robust_accuracy(pooled, few, attack, settings.epsilons[:1]).to_dict("records")
            record[f"robust, {attack}"] = row["accuracy"]
            flags |= {flag.encode() for flag in row["flags"]}
        records.append(record | {"flags": "; ".join(sorted(flags))})
    return records


def _trained(pooling, train_set, settings):
    untrained = network(settings, len(train_set.classes), train_set.images.shape[1])
    pooled = replace_pooling(untrained, pooling)
    fit(pooled, train_set, settings.recipe, device=train_set.images.device, progress=False)
    return pooled.eval()


def _twice_shifted(images, seed):
    """The images at two random shifts each, the same for every network of a seed."""
    generator = torch.Generator().manual_seed(seed)
    return [crop_flip(images, shift=_SHIFT, flip=False, generator=generator) for _ in range(2)]
