"""Figures and tables of chapter 5 about kernels: how smooth they are, and what it is good for."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor

from hfc import display
from hfc.display import Picture, Table
from hfc.kernels import roughness
from hfc.study.measured import Measurements
from hfc.study.results import Result
from hfc.study.verdict import claims

__all__ = [
    "beside_paper",
    "kernel_sheets",
    "kernel_table",
    "remedies",
    "remedy_table",
    "smooth_or_robust",
    "smoothing_attacks",
]

_SMALL = 0.03  # smallest epsilon of the published table
_SIZES = ("3", "5")
_TRAININGS = {  # role and marker
    "natural": ("original", "v"),
    "adversarial": ("both", "o"),
    "natural, decayed": ("neither", "^"),
    "LFC only": ("low", "s"),
}


def kernel_sheets(weights: Mapping[str, Tensor], *, columns: int = 6) -> Picture:
    """Filters of first layers as pictures, with how rough and how large they are.

    Parameters
    ----------
    weights : mapping of str to Tensor
        For each caption a weight ``(out, in, kh, kw)``; ``in`` is 1 or 3.
    columns : int
        Filters in a row.

    Returns
    -------
    Picture
        Each filter in its own contrast around grey.
    """
    captions = [
        f"{name}\nroughness {_rough(weight):.2f}\nnorm {weight.norm().item():.1f}"
        for name, weight in weights.items()
    ]
    return display.panels(
        [_sheet(weight.detach(), columns) for weight in weights.values()],
        captions,
        alts=[
            f"{len(weight)} first-layer filters, {caption.replace(chr(10), ', ')}"
            for weight, caption in zip(weights.values(), captions, strict=True)
        ],
        width=190,
    )


def _sheet(weight, columns):
    weight = weight / weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 2 + 0.5
    tiles = torch.nn.functional.pad(weight, (0, 1, 0, 1), value=1.0)
    rows = [torch.cat(list(row), dim=2) for row in tiles.split(columns)]
    return torch.cat(rows, dim=1)[:, :-1, :-1]


def _rough(weight):
    """Relative roughness of all filters together."""
    return (roughness(weight, relative=False).sum() / weight.square().sum()).item()


# Smooth kernels and robust networks ---------------------------------------------------------


def smooth_or_robust(result: Result) -> Picture:
    """Roughness of kernels and robust accuracy, a dot for each network.

    Parameters
    ----------
    result : Result
        Of ``kernels``.

    Returns
    -------
    Picture
    """
    told = []
    with display.style():
        figure, plots = display.subplots(1, 2, height=3.4, sharey=True)
        for axes, size in zip(plots, _SIZES, strict=True):
            for training, (role, marker) in _TRAININGS.items():
                at = result.at(kernel=size, training=training, radius=8)
                robust = [100 * share for share in at.robust_at_4_255.values]
                colour = display.COLOURS[role]
                axes.plot(at.roughness.values, robust, marker, color=colour, label=training)
                told.append(
                    f"{training}, {size} by {size}: roughness "
                    f"{at.roughness.number(2).mean_text}, {at.robust_at_4_255.mean_text} percent"
                )
            axes.set(title=f"kernels {size} × {size}", ylim=(-3, 60))
        figure.supxlabel("roughness of the first kernels", fontsize=12)
        figure.supylabel("right under PGD 4/255 (%)", fontsize=12)
        handles, labels = plots[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, handlelength=1)
    return display.show(
        figure,
        "Robust accuracy against roughness of the first kernels, a dot for each network. Means: "
        + "; ".join(told),
    )


def kernel_table(result: Result) -> Table:
    """First-layer kernels of every training: roughness, HFC share, norm, and accuracies.

    Parameters
    ----------
    result : Result
        Of ``kernels``.

    Returns
    -------
    Table
    """
    rows = {}
    for size in _SIZES:
        at = result.at(kernel=size, radius=8)
        for training in _TRAININGS:
            own = at.at(training=training)
            rows[f"{size} × {size}", training] = _kernels(own) | {
                "test (%)": own.original,
                "PGD 4/255 (%)": own.robust_at_4_255,
                "LFC, r = 8 (%)": own.low,
            }
        rows[f"{size} × {size}", "untrained"] = _kernels(at.at(training="natural"), "drawn ")
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=["kernels", "training"])
    return display.table(frame, "First-layer kernels by size and training")


def _kernels(measured: Measurements, prefix=""):
    return {
        "roughness": measured[f"{prefix}roughness"].number(2),
        "HFC share (%)": measured[f"{prefix}high_share"],
        "norm": measured[f"{prefix}norm"].number(2),
    }


# Smoothing kernels --------------------------------------------------------------------------

_SMOOTHING_LINES = {
    "no attack": ({"attack": "pgd", "protocol": "fixed", "epsilon": 0}, "original"),
    "fixed epsilon": ({"attack": "pgd", "protocol": "fixed", "epsilon": _SMALL}, "low"),
    "minimum norm": ({"attack": "pgd", "protocol": "minimum", "epsilon": _SMALL}, "high"),
    "small logits": ({"attack": "pgd, small logits", "epsilon": _SMALL}, "both"),
    "from before smoothing": ({"attack": "pgd, transferred", "epsilon": _SMALL}, "neither"),
}


def smoothing_attacks(result: Result) -> Picture:
    """Accuracy against rho without attack and under four kinds of PGD at epsilon 0.03.

    Parameters
    ----------
    result : Result
        Of ``smoothing``.

    Returns
    -------
    Picture
        A plot for each training and each form of smoothing.
    """
    plots, told = {}, []
    for training in ("natural", "adversarial"):
        for form in ("as published", "normalised"):
            at = result.at(training=training)
            lines = {
                label: _over_rho(at.at(**where), form)
                for label, (where, _) in _SMOOTHING_LINES.items()
            }
            title = f"{training}, {form}"
            plots[title] = lines
            clean, left = (lines[label][1] for label in ("no attack", "small logits"))
            told.append(
                f"{title}, from {clean[0]:.0f} to {clean[-1]:.0f} percent without attack, from "
                f"{left[0]:.0f} to {left[-1]:.0f} under PGD with small logits"
            )
    return display.small_multiples(
        plots,
        roles={label: role for label, (_, role) in _SMOOTHING_LINES.items()},
        ylim=(0, 80),
        xlabel="rho",
        ylabel="right (%)",
        alt="Accuracy against rho, from 0 to 1, without attack and under four kinds of PGD at "
        f"epsilon 0.03: {'; '.join(told)}",
    )


def _over_rho(measured, form):
    """Curve over rho; without smoothing both forms are the same, and stored as one of them."""
    accuracy = measured.accuracy
    smoothed = [rho for rho in measured.labels("rho") if rho > 0]
    start = accuracy.at(form="as published", rho=[0]).curve()
    rest = accuracy.at(form=form, rho=smoothed).curve()
    return [before + after for before, after in zip(start, rest, strict=True)]


def beside_paper(result: Result, attack: str) -> Table:
    """Smoothing as published, by the minimum-norm protocol, beside the paper's table 2.

    Parameters
    ----------
    result : Result
        Of ``smoothing``.
    attack : {"pgd", "fgsm"}

    Returns
    -------
    Table
    """
    published = claims()["C18a"]["paper"]
    rows = {}
    for row in published["rows"]:
        at = result.at(form="as published", training=row["training"], rho=row["rho"])
        attacked = at.at(attack=attack, protocol="minimum")
        clean = at.at(attack="pgd", protocol="fixed", epsilon=0).accuracy.without_flags
        cells = {("no attack", "paper"): _published(row["clean"]), ("no attack", "ours"): clean}
        for epsilon, share in zip(published["epsilons"], row[attack], strict=True):
            cells[f"ε = {epsilon}", "paper"] = _published(share)
            cells[f"ε = {epsilon}", "ours"] = attacked.at(epsilon=epsilon).accuracy
        rows[row["training"], f"ρ = {row['rho']:g}"] = cells
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=["training", "smoothing"])
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return display.table(frame, f"Right in percent under {attack.upper()}, the paper's and ours")


def _published(share):
    return f"{100 * share:.1f}"


# Other remedies -----------------------------------------------------------------------------

_REMEDY_ROLES = {
    "none": "original",
    "low-pass, r = 1": "low",
    "penalty 0.003": "neither",
    "penalty 0.03": "high",
    "penalty 0.3": "both",
}


def remedies(result: Result) -> Picture:
    """Accuracy against epsilon with low-passed first kernels and with a penalty on rough ones.

    Parameters
    ----------
    result : Result
        Of ``kernel-remedies``.

    Returns
    -------
    Picture
    """
    measured, lines, told = _remedies(result), {}, []
    for name in _REMEDY_ROLES:
        x, *bands = measured[name].accuracy.curve()
        lines[name] = [255 * epsilon for epsilon in x], *bands
        left = ", ".join(f"{share:.0f}" for share in bands[0])
        told.append(f"{name}: {left}")
    sizes = lines["none"][0]
    listed = display.listed(f"{size:.0f}" for size in sizes)
    return display.line_plot(
        lines,
        roles=_REMEDY_ROLES,
        ylim=(0, 80),
        xticks=[round(size) for size in sizes],
        xlabel="epsilon (in 1/255)",
        ylabel="right under PGD (%)",
        alt=f"Percent right under PGD at {listed} in 1/255. {'; '.join(told)}",
    )


def _remedies(result) -> dict[str, Measurements]:
    """Measurements of each remedy: weaker and weaker kernels, then stronger penalties."""
    measured = result.at(attack="pgd")
    radii = sorted(measured.labels("kernel_radius"), reverse=True)
    plain, whole = measured.at(penalty="0.0"), measured.at(kernel_radius=radii[0])
    rows = {"none": plain.at(kernel_radius=radii[0])}
    rows |= {f"low-pass, r = {r:g}": plain.at(kernel_radius=r) for r in radii[1:]}
    penalties = [name for name in measured.labels("penalty") if name != "0.0"]
    return rows | {f"penalty {name}": whole.at(penalty=name) for name in penalties}


def remedy_table(result: Result) -> Table:
    """Roughness and accuracies of every remedy.

    Parameters
    ----------
    result : Result
        Of ``kernel-remedies``.

    Returns
    -------
    Table
    """
    rows = {}
    for name, measured in _remedies(result).items():
        clean = measured.at(epsilon=0)
        rows[name] = {
            "mean roughness": clean.roughness.number(2),
            "no attack (%)": clean.accuracy.without_flags,
        } | {f"PGD {size}/255 (%)": measured.at(epsilon=size / 255).accuracy for size in (2, 4, 8)}
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("remedy")
    return display.table(frame, "Roughness of kernels and accuracy under PGD, by remedy")
