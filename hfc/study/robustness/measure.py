"""What chapter 5 measures: kernels, and what attacks leave of a network in many settings."""

import copy

import torch
from torch import nn

from hfc.attacks import make, perturb
from hfc.batchnorm import batch_statistics, has_batchnorm, recalibrate
from hfc.evaluation import logits
from hfc.flags import Flag
from hfc.frequency import low_pass, radial_spectrum
from hfc.kernels import first_kernels, high_frequency_share, replace, roughness, smooth
from hfc.robustness import joint_bound, low_pass_bound, robust_accuracy
from hfc.study.low_and_high.measure import copies
from hfc.study.unit import network, seeded
from hfc.training import fit
from hfc.wrappers import FilteredInput, ScaledLogits, StraightThrough

__all__ = [
    "behind_filter",
    "bound",
    "by_ensemble",
    "by_statistics",
    "first_layer",
    "perturbations",
    "smoothed",
    "with_remedies",
]


def _attacked(model, test_set, settings, attack, **how):
    """Accuracy under attack at each epsilon of the settings, with flags."""
    table = robust_accuracy(model, test_set, attack, settings.epsilons, **how)
    table["flags"] = [_encoded(flags) for flags in table["flags"]]
    return table[["accuracy", "flags"]].reset_index().to_dict("records")


def _by_both(model, test_set, settings):
    """The same by PGD and by APGD; PGD's numbers are flagged where APGD breaks notably more."""
    pgd, apgd = (
        _attacked(model, test_set, settings, "pgd"),
        _attacked(model, test_set, settings, "apgd", checked=0),
    )
    for weaker, stronger in zip(pgd, apgd, strict=True):
        more = weaker["accuracy"] - stronger["accuracy"]
        if more > 0.02:
            flag = Flag("apgd-stronger", more).encode()
            weaker["flags"] = "; ".join(filter(None, (weaker["flags"], flag)))
    return {"pgd": pgd, "apgd": apgd}


def _encoded(flags):
    return "; ".join(flag.encode() for flag in flags)


def first_layer(model, train_set, test_set, settings):
    """First-layer kernels (C16), and what the network does with frequencies and under attack.

    ``roughness`` and ``high_share`` are those of all filters together, weighed by their energy;
    with ``drawn`` before the name they are those of untrained kernels.
    """
    drawn = copy.deepcopy(model)
    with torch.random.fork_rng():
        torch.manual_seed(settings.recipe.seed)
        next(layer for layer in drawn.modules() if isinstance(layer, nn.Conv2d)).reset_parameters()
    size = test_set.images.shape[-1]
    attacked = _attacked(model, test_set, settings, "pgd")
    same = {f"robust at {255 * row['epsilon']:.0f}/255": row["accuracy"] for row in attacked}
    found = {flag for row in attacked for flag in row["flags"].split("; ") if flag}
    same["flags"] = "; ".join(sorted(found))
    records = copies(model, test_set, train_set.mean_colour, settings)
    for prefix, of in (("", model), ("drawn ", drawn)):
        kernels = first_kernels(of).detach()
        energy = kernels.square().sum(dim=(1, 2, 3))
        rough = roughness(kernels, relative=False).sum() / energy.sum()
        same |= {f"{prefix}roughness": rough.item(), f"{prefix}norm": energy.sum().sqrt().item()}
        for record in records:
            share = high_frequency_share(kernels, size=size, radius=record["radius"])
            record[f"{prefix}high_share"] = ((share * energy).sum() / energy.sum()).item()
    return [record | same for record in records]


def smoothed(model, train_set, test_set, settings):
    """Accuracy under attack with smoothed first kernels, as published and normalised (C18, T4).

    ``attack`` is ``fgsm`` or ``pgd``; ``pgd, small logits``, which reads a copy whose logits
    are scaled down, so that no gradient vanishes in the softmax; ``pgd, transferred`` from the
    network that was not smoothed; or ``apgd``, on ``settings.few`` images and for the first and
    the last rho only. ``logits`` is the mean deviation of an image's logits.
    """
    records, kernels = [], first_kernels(model).detach()
    few = test_set.take(slice(settings.few))
    for rho in settings.rhos:
        for form in ("as published", "normalised") if rho else ("as published",):
            changed = replace(model, smooth(kernels, rho, normalised=form == "normalised"))
            recalibrate(changed, train_set.images)
            spread = logits(changed, test_set.images).std(dim=1).mean().item()
            ways = [
                ("fgsm", "fixed", {}),
                ("fgsm", "minimum", {}),
                ("pgd", "fixed", {}),
                ("pgd", "minimum", {}),
                ("pgd, small logits", "fixed", {"source": ScaledLogits(changed, 1 / spread)}),
                ("pgd, transferred", "fixed", {"source": model}),
            ]
            for attack, protocol, how in ways:
                label = {"rho": rho, "form": form, "attack": attack, "protocol": protocol}
                name = attack.split(",")[0]
                rows = _attacked(changed, test_set, settings, name, protocol=protocol, **how)
                records += [label | row | {"logits": spread} for row in rows]
            if form == "as published" and rho in (settings.rhos[0], settings.rhos[-1]):
                label = {"rho": rho, "form": form, "attack": "apgd", "protocol": "fixed"}
                rows = _attacked(changed, few, settings, "apgd", checked=0)
                records += [label | row | {"logits": spread} for row in rows]
    return records


def by_ensemble(model, train_set, test_set, settings):
    """Accuracy under PGD, APGD and the whole of AutoAttack, on the same images.

    PGD's numbers are flagged where APGD breaks notably more.
    """
    attacked = _by_both(model, test_set, settings)
    attacked["autoattack"] = _attacked(model, test_set, settings, "autoattack", checked=0)
    return [{"attack": attack} | row for attack, rows in attacked.items() for row in rows]


def by_statistics(model, train_set, test_set, settings):
    """Accuracy under PGD by running statistics and by those of the attacked batch (N2).

    ``attack`` is ``own``, which goes through the very statistics that are tested, or
    ``transferred``: images that fool the network by running statistics, tested by the batch's.
    All images are one batch, in the attack and in the test.
    """
    running = copy.deepcopy(model)
    how = {"batch_size": len(test_set), "checked": 0}
    rows = {("running", "own"): _attacked(running, test_set, settings, "pgd", **how)}
    if has_batchnorm(model):  # without it an image's logits depend on that image alone
        with batch_statistics(model):
            rows["batch", "own"] = _attacked(model, test_set, settings, "pgd", **how)
            rows["batch", "transferred"] = _attacked(
                model, test_set, settings, "pgd", source=running, **how
            )
    return [
        {"statistics": statistics, "attack": attack} | row
        for (statistics, attack), listed in rows.items()
        for row in listed
    ]


def with_remedies(model, train_set, test_set, settings):
    """Accuracy under attack with first kernels that keep their low frequencies only (C22).

    ``attack`` is ``pgd`` or ``apgd``, on the same images.
    """
    records, kernels = [], first_kernels(model).detach()
    for radius in settings.kernel_radii:
        changed = replace(model, low_pass(kernels, radius))
        recalibrate(changed, train_set.images)
        rough = roughness(first_kernels(changed).detach()).mean().item()
        for attack, rows in _by_both(changed, test_set, settings).items():
            label = {"kernel_radius": radius, "attack": attack}
            records += [label | {"roughness": rough} | row for row in rows]
    return records


def behind_filter(model, train_set, test_set, settings):
    """The input filter as a defence, under attacks that know more and more of it (C21).

    ``naive`` attacks the bare network, ``adaptive`` goes through the filter, ``low`` keeps its
    perturbation where the filter lets it pass, ``transferred`` reads another network behind
    the same filter, ``fourier`` and ``hopskipjump`` read no gradients at all. A filter that
    rounds to 8 bits has none: ``rounded`` attacks it all the same, ``rounded, BPDA`` takes the
    filter for the identity on the way back.
    """
    second = seeded(settings, settings.recipe.seed + 1000)
    other = network(second, len(train_set.classes), train_set.images.shape[1])
    fit(other, train_set, second.recipe, device=train_set.images.device, progress=False)
    few = test_set.take(slice(settings.few))
    records = []
    for radius in settings.radii:
        defended = FilteredInput(model, radius)
        rounded = FilteredInput(model, radius, rounded=True)
        ways = {
            "naive": (defended, test_set, "pgd", {"source": model}),
            "adaptive": (defended, test_set, "pgd", {}),
            "adaptive, restarts": (defended, few, make("pgd", restarts=5), {}),
            "adaptive, apgd": (defended, few, "apgd", {}),
            "low": (
                defended,
                test_set,
                make("pgd", component="low", radius=radius),
                {"source": model},
            ),
            "transferred": (defended, test_set, "pgd", {"source": FilteredInput(other, radius)}),
            "rounded": (rounded, few, "pgd", {}),
            "rounded, BPDA": (rounded, few, "pgd", {"source": StraightThrough(rounded)}),
            "fourier": (defended, few, "fourier", {}),
            "hopskipjump": (defended, few, "hopskipjump", {"protocol": "minimum"}),
        }
        for name in settings.attacks:
            against, images, attack, how = ways[name]
            rows = _attacked(against, images, settings, attack, **how)
            records += [{"radius": radius, "attack": name} | row for row in rows]
    return records


def bound(model, train_set, test_set, settings):
    """The bound that LFC copies put on robust accuracy, beside what attacks leave (C03)."""
    table = low_pass_bound(model, test_set, settings.radii, settings.epsilons)
    joint = joint_bound(model, test_set, settings.radii, settings.epsilons)
    both = _by_both(model, test_set.take(slice(settings.few)), settings)
    measured, strongest = ({row["epsilon"]: row for row in rows} for rows in both.values())
    records = table.reset_index().to_dict("records")
    for record in records:
        epsilon = record["epsilon"]
        record |= {
            "joint_bound": joint[epsilon],
            "robust": measured[epsilon]["accuracy"],
            "robust, apgd": strongest[epsilon]["accuracy"],
            "flags": measured[epsilon]["flags"],
        }
    return records


def perturbations(model, train_set, test_set, settings):
    """Where in frequency adversarial perturbations live: shares of energy, ring by ring.

    Averaged over images: ``perturbation`` (by PGD at the settings' first epsilon), ``gradient``
    (of the loss), beside ``images`` (without their mean) and ``noise`` (white).
    """
    x, labels = test_set.images, test_set.labels
    changed = perturb(model, x, labels, "pgd", settings.epsilons[0])
    wanted = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        nn.functional.cross_entropy(model(wanted), labels, reduction="sum"), wanted
    )

    def shares(values):
        energy = radial_spectrum(values).energy.sum(dim=1)  # over channels: (N, rings)
        whole = energy.sum(dim=1, keepdim=True)
        return (energy / whole)[whole[:, 0] > 0].mean(dim=0).tolist()

    count = radial_spectrum(x[:1]).count
    spectra = {
        "perturbation": shares(changed - x),
        "gradient": shares(gradient),
        "images": shares(x - x.mean(dim=(-2, -1), keepdim=True)),
        "noise": (count / count.sum()).tolist(),
    }
    robust = _attacked(model, test_set, settings, "pgd")[0]
    return [
        {"distance": distance, "accuracy": robust["accuracy"], "flags": robust["flags"]}
        | {name: values[distance] for name, values in spectra.items()}
        for distance in range(len(count))
    ]
