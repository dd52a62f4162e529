"""What chapter 6 measures of detectors of adversarial examples."""

from hfc.attacks import perturb
from hfc.evaluation import is_right, logits
from hfc.frequency import low_pass
from hfc.unfamiliar import AgreedAnswer, SpectralDetector, disagreement, separation

__all__ = ["under_attack"]

_LEAST = 5  # attacked images without which a detector is not judged


def under_attack(model, train_set, test_set, settings):
    """How well disagreement and amplitudes tell attacked images from clean ones.

    The first ``settings.few`` test images that the model gets right are attacked by PGD, and by PGD
    on :class:`hfc.unfamiliar.AgreedAnswer` at every radius. Detectors are judged by the images that
    fool the model; ``fooled`` is their share. ``caught`` and ``false alarms`` are the shares of
    them, and of clean images, that a plain rule finds: both answers differ, or the regression says
    more than one half. The regression learns from the first half of the images, clean and under
    PGD, and is judged by the second; the adaptive attack that it meets is that of the first radius.
    """
    right = is_right(model, test_set.images, test_set.labels)
    chosen = right.nonzero()[: settings.few, 0]
    images, labels = test_set.images[chosen], test_set.labels[chosen]
    half, records = len(images) // 2, []

    def both_answers(shown, radius):
        copies = low_pass(shown, radius)
        first, second = (logits(model, seen).argmax(dim=1) for seen in (shown, copies))
        return disagreement(model, shown, radius), first != second

    for epsilon in settings.epsilons:
        attacked = {("PGD", 0): perturb(model, images, labels, "pgd", epsilon)}
        for radius in settings.radii:
            both = AgreedAnswer(model, radius)
            attacked["adaptive", radius] = perturb(both, images, labels, "pgd", epsilon)
        fooled = {name: ~is_right(model, seen, labels) for name, seen in attacked.items()}
        shares = {name: {"fooled": which.float().mean().item()} for name, which in fooled.items()}
        for radius in settings.radii:
            clean = both_answers(images, radius)
            for name in (("PGD", 0), ("adaptive", radius)):
                if fooled[name].sum() >= _LEAST:
                    found = both_answers(attacked[name][fooled[name]], radius)
                    own = _labels("disagreement", name[0], epsilon, radius)
                    records.append(own | shares[name] | _judged(clean, found))
        spectral = SpectralDetector().fit(images[:half], attacked["PGD", 0][:half])
        clean = spectral.scores(images[half:])
        for name in (("PGD", 0), ("adaptive", settings.radii[0])):
            late = attacked[name][half:][fooled[name][half:]]
            if len(late) >= _LEAST:
                found = spectral.scores(late)
                own = _labels("amplitudes", name[0], epsilon, 0)
                judged = _judged((clean, clean > 0.5), (found, found > 0.5))
                records.append(own | shares[name] | judged)
    return records


def _labels(detector, attack, epsilon, radius):
    return {
        "detector": detector,
        "attack": attack,
        "epsilon": float(epsilon),
        "radius": float(radius),
    }


def _judged(clean, found):
    """By scores, and by alarms of a plain rule, on clean and on attacked images."""
    return separation(clean[0], found[0]) | {
        "caught": found[1].float().mean().item(),
        "false alarms": clean[1].float().mean().item(),
    }
