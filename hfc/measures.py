"""What experiments measure: a trained network and its data in, records out.

Each function takes ``(model, train_set, test_set, settings)``: the network in evaluation mode,
both sets as it was trained and is tested on, and the settings of its condition with ``seed``
added. It returns a list of dicts, JSON can hold them: labels that tell the records apart, and
the measured numbers.
"""

import copy
import dataclasses

import torch
from torch import nn

from hfc import data, models
from hfc.attacks import (
    FilteredInput,
    StraightThrough,
    joint_bound,
    low_pass_bound,
    make,
    perturb,
    robust_accuracy,
)
from hfc.evaluation import (
    accuracy,
    component_accuracy,
    predict,
    radius_sweep,
    signature_use,
)
from hfc.frequency import low_pass, radial_spectrum
from hfc.kernels import (
    first_kernels,
    high_frequency_share,
    recalibrate,
    replace,
    roughness,
    smooth,
)
from hfc.training import autocast, fit

__all__ = [
    "behind_filter",
    "bound",
    "by_difficulty",
    "by_statistics",
    "first_layer",
    "needs_people",
    "network",
    "observe",
    "on_copies",
    "perturbations",
    "smoothed",
    "with_remedies",
    "with_signature",
]


def network(chosen, classes, channels, seed):
    """Untrained network of the settings; the seed decides its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build(
            chosen["model"],
            num_classes=classes,
            in_channels=channels,
            norm=chosen["norm"],
            dropout=chosen["dropout"],
            width=chosen["width"],
            kernel_size=chosen["kernel_size"],
            normalise=chosen["normalise"],
        )


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


def _attacked(model, test_set, chosen, attack, **how):
    """Accuracy under attack at each epsilon of the settings, with flags."""
    table = robust_accuracy(model, test_set, attack, chosen["epsilons"], **how)
    return table[["accuracy", "flags"]].reset_index().to_dict("records")


def first_layer(model, train_set, test_set, chosen):
    """First-layer kernels (C16), and what the network does with frequencies and under attack.

    ``roughness`` and ``high_share`` are those of all filters together, weighed by their energy;
    with ``drawn`` before the name they are those of untrained kernels.
    """
    drawn = copy.deepcopy(model)
    with torch.random.fork_rng():
        torch.manual_seed(chosen["seed"])
        next(layer for layer in drawn.modules() if isinstance(layer, nn.Conv2d)).reset_parameters()
    size = test_set.images.shape[-1]
    attacked = _attacked(model, test_set, chosen, "pgd")
    same = {f"robust at {255 * row['epsilon']:.0f}/255": row["accuracy"] for row in attacked}
    same["flags"] = "; ".join(sorted({row["flags"] for row in attacked} - {""}))
    copies = _copies(model, test_set, train_set.mean_colour, chosen)
    records = copies.reset_index().to_dict("records")
    for prefix, of in (("", model), ("drawn ", drawn)):
        kernels = first_kernels(of).detach()
        energy = kernels.square().sum(dim=(1, 2, 3))
        rough = roughness(kernels, relative=False).sum() / energy.sum()
        same |= {f"{prefix}roughness": rough.item(), f"{prefix}norm": energy.sum().sqrt().item()}
        for record in records:
            share = high_frequency_share(kernels, size=size, radius=record["radius"])
            record[f"{prefix}high_share"] = ((share * energy).sum() / energy.sum()).item()
    return [record | same for record in records]


class _Divided(nn.Module):
    """A model with smaller logits: the same answers, but its softmax does not saturate."""

    def __init__(self, model, factor):
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, x):
        return self.model(x) / self.factor


def smoothed(model, train_set, test_set, chosen):
    """Accuracy under attack with smoothed first kernels, as published and normalised (C18, T4).

    ``attack`` is ``fgsm`` or ``pgd``; ``pgd, small logits``, which reads a copy whose logits
    are scaled down, so that no gradient vanishes in the softmax; or ``pgd, transferred`` from
    the network that was not smoothed. ``logits`` is the mean deviation of an image's logits.
    """
    records, kernels = [], first_kernels(model).detach()
    for rho in chosen["rhos"]:
        for form in ("as published", "normalised") if rho else ("as published",):
            changed = replace(model, smooth(kernels, rho, normalised=form == "normalised"))
            recalibrate(changed, train_set.images)
            logits = predict(changed, test_set.images).std(dim=1).mean().item()
            ways = [
                ("fgsm", "fixed", {}),
                ("fgsm", "minimum", {}),
                ("pgd", "fixed", {}),
                ("pgd", "minimum", {}),
                ("pgd, small logits", "fixed", {"source": _Divided(changed, logits)}),
                ("pgd, transferred", "fixed", {"source": model}),
            ]
            for attack, protocol, how in ways:
                label = {"rho": rho, "form": form, "attack": attack, "protocol": protocol}
                name = attack.split(",")[0]
                rows = _attacked(changed, test_set, chosen, name, protocol=protocol, **how)
                records += [label | row | {"logits": logits} for row in rows]
    return records


def with_remedies(model, train_set, test_set, chosen):
    """Accuracy under attack with first kernels that keep their low frequencies only (C22)."""
    records, kernels = [], first_kernels(model).detach()
    for radius in chosen["kernel_radii"]:
        changed = replace(model, low_pass(kernels, radius))
        recalibrate(changed, train_set.images)
        rows = _attacked(changed, test_set, chosen, "pgd")
        rough = roughness(first_kernels(changed).detach()).mean().item()
        records += [{"kernel_radius": radius, "roughness": rough} | row for row in rows]
    return records


def behind_filter(model, train_set, test_set, chosen):
    """The input filter as a defence, under attacks that know more and more of it (C21).

    ``naive`` attacks the bare network, ``adaptive`` goes through the filter, ``low`` keeps its
    perturbation where the filter lets it pass, ``transferred`` reads another network behind
    the same filter, ``fourier`` and ``hopskipjump`` read no gradients at all. A filter that
    rounds to 8 bits has none: ``rounded`` attacks it all the same, ``rounded, BPDA`` takes the
    filter for the identity on the way back.
    """
    other = network(
        chosen, len(train_set.classes), train_set.images.shape[1], chosen["seed"] + 1000
    )
    recipe = dataclasses.replace(chosen["recipe"], seed=chosen["seed"] + 1000)
    fit(other, train_set, recipe, device=train_set.images.device, progress=False)
    few = test_set.take(slice(chosen["few"]))
    records = []
    for radius in chosen["radii"]:
        defended = FilteredInput(model, radius)
        rounded = FilteredInput(model, radius, rounded=True)
        ways = {
            "naive": (defended, test_set, "pgd", {"source": model}),
            "adaptive": (defended, test_set, "pgd", {}),
            "adaptive, restarts": (defended, few, make("pgd", restarts=5), {}),
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
        for name in chosen["attacks"]:
            against, images, attack, how = ways[name]
            rows = _attacked(against, images, chosen, attack, **how)
            records += [{"radius": radius, "attack": name} | row for row in rows]
    return records


def bound(model, train_set, test_set, chosen):
    """The bound that LFC copies put on robust accuracy, beside what attacks leave (C03)."""
    table = low_pass_bound(model, test_set, chosen["radii"], chosen["epsilons"])
    joint = joint_bound(model, test_set, chosen["radii"], chosen["epsilons"])
    measured = {row["epsilon"]: row for row in _attacked(model, test_set, chosen, "pgd")}
    records = table.reset_index().to_dict("records")
    for record in records:
        epsilon = record["epsilon"]
        record |= {
            "joint_bound": joint[epsilon],
            "robust": measured[epsilon]["accuracy"],
            "flags": measured[epsilon]["flags"],
        }
    return records


def perturbations(model, train_set, test_set, chosen):
    """Where in frequency adversarial perturbations live: shares of energy, ring by ring.

    Averaged over images: ``perturbation`` (by PGD at the settings' first epsilon), ``gradient``
    (of the loss), beside ``images`` (without their mean) and ``noise`` (white).
    """
    x, labels = test_set.images, test_set.labels
    changed = perturb(model, x, labels, "pgd", chosen["epsilons"][0])
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
    robust = _attacked(model, test_set, chosen, "pgd")[0]
    return [
        {"distance": distance, "accuracy": robust["accuracy"], "flags": robust["flags"]}
        | {name: values[distance] for name, values in spectra.items()}
        for distance in range(len(count))
    ]
