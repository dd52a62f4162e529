"""What chapter 4 measures of shortcuts: signatures in three bands, and networks that learn them."""

import dataclasses

import numpy as np
import torch

from hfc import synthetic
from hfc.evaluation import is_right, signature_use
from hfc.frequency import band_pass
from hfc.machine import autocast
from hfc.study.unit import network
from hfc.training import fit

__all__ = ["in_bands", "planted"]

_TEST = 1000  # added to the seed, so that test images do not repeat the draws of training images


def in_bands(model, train_set, test_set, settings):
    """How soon networks follow a signature in a low, a middle and a high band (N4).

    For each of ``settings.bands``, radii in waves per image, a network is trained on images whose
    signature lies there and names the label as often as ``settings.told`` says. After each of
    ``settings.band_epochs``: ``original``, accuracy on test images without signature; ``random``,
    the same with signatures drawn at random, and ``follows``, the share of wrong ones among these
    that it believes; ``as trained``, accuracy where signatures tell as much as in training, and
    ``without 4``, the same with all frequencies within a wave of radius 4 removed.

    ``untouched`` is ``follows`` of the unit's own network, which never saw these signatures.
    ``distinct`` is their energy over that of the test images themselves, in the band.
    """
    seed, records = settings.recipe.seed, []
    for band in settings.bands:
        learned = planted(train_set, band, settings.told, seed=seed)
        telling = planted(test_set, band, settings.told, seed=seed + _TEST)
        at_random = planted(test_set, band, 0, seed=seed + _TEST)
        shown = {
            "original": test_set.images,
            "random": at_random.images,
            "as trained": telling.images,
        }
        for removed in settings.bands:
            shown[f"without {removed:g}"] = telling.images - _around(telling.images, removed)
        with autocast(test_set.images.device):
            untouched = signature_use(model, at_random)
        same = {"untouched": untouched, "distinct": _distinct(test_set, at_random, band)}
        for epoch, found in _learning(learned, at_random, shown, settings).items():
            records.append({"band": float(band), "epoch": epoch} | found | same)
    return records


def planted(images, band, told, *, seed):
    """As :func:`hfc.data.plant_signature` makes it, at about ``band`` waves per image.

    Ten directions are ten frequencies from a radius of 4 on. With a radius of 12 the pixels are
    those of that function.
    """
    pixels, signature, n = [], [], synthetic.CHUNK
    for k, part in enumerate(images.images.cpu().split(n)):
        rng = np.random.default_rng([seed, 2, k])
        labels = images.labels[k * n : (k + 1) * n].cpu().numpy()
        names = synthetic.named_classes(labels, told, len(images.classes), rng)
        wave = _waves(names, band, *part.shape[-2:], rng)
        pixels.append(synthetic.to_8_bits(part.double().numpy() + wave[:, None]))
        signature.append(names)
    return dataclasses.replace(
        images,
        images=torch.from_numpy(np.concatenate(pixels)).to(images.images.device),
        signature=torch.from_numpy(np.concatenate(signature)).to(images.labels.device),
        name=f"{images.name} + signature at {band:g}",
    )


def _waves(names, band, height, width, rng):
    """Waves of integer frequency, ``(n, H, W)``; direction 18 degrees times the class."""
    angle = np.pi / 10 * names[:, None, None]
    u, v = np.rint(band * np.sin(angle)), np.rint(band * np.cos(angle))
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    phase, level = rng.random((2, len(names), 1, 1))
    return 2 * synthetic.AMPLITUDE * level * np.cos(2 * np.pi * (u * y + v * x + phase))


def _learning(learned, at_random, shown, settings):
    """What a network that is trained on ``learned`` says to the copies, by epoch."""
    model = network(settings, len(learned.classes), learned.images.shape[1])
    device, found = learned.images.device, {}

    def probe(model, epoch):
        if epoch in settings.band_epochs:
            with autocast(device):
                rows = {
                    name: is_right(model, images, at_random.labels).float().mean().item()
                    for name, images in shown.items()
                }
                found[epoch] = rows | {"follows": signature_use(model, at_random)}
        return {}

    fit(model, learned, settings.recipe, probes=[probe], device=device, progress=False)
    return found


def _around(images, band):
    """What images hold within a wave of a radius."""
    return band_pass(images, band - 1, band + 1)


def _distinct(plain, signed, band):
    waves, own = (
        _around(images, band).double().square().sum()
        for images in (signed.images - plain.images, plain.images)
    )
    return (waves / own).item()
