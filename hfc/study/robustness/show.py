"""Figures and tables of chapter 5: attacks, perturbations, the filter, the bound.

What is about kernels is in :mod:`hfc.study.robustness.show_kernels`.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor, nn

from hfc import attacks, display
from hfc.data import ImageSet
from hfc.display import Picture, Table
from hfc.evaluation import logits
from hfc.frequency import low_pass
from hfc.study.measured import Measured
from hfc.study.results import Result

__all__ = [
    "attack_explorer",
    "attacks_tried",
    "bound_table",
    "bounds",
    "defence_table",
    "filter_defence",
    "spectra",
    "under_attack",
    "what_passes",
]

GAIN = 16  # changes are shown so many times as large
_EPSILON = 4 / 255


def attack_explorer(
    model: nn.Module,
    data: ImageSet,
    which: int,
    *,
    sizes: Sequence[int] = (0, 1, 2, 3, 4, 6, 8),
    start: int = 4,
):
    """Slider over epsilon: an image, the change that PGD makes, and what the network says.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
    which : int
        Index of the image.
    sizes : sequence of int
        Epsilons of the frames, in 1/255.
    start : int
        The one shown first.

    Returns
    -------
    ipywidgets.VBox
        See :func:`hfc.display.slideshow`.
    """
    one = data.take([which])
    changed = [attacks.perturb(model, one.images, one.labels, "pgd", s / 255) for s in sizes]
    said = [_said(model, images, data.classes) for images in changed]
    frames = [
        _explorer_frame(one.images[0], images[0], text, said[0], f"{size}/255")
        for size, images, text in zip(sizes, changed, said, strict=True)
    ]
    labels = [f"{size}/255" for size in sizes]
    return display.slideshow(frames, labels, name="epsilon", start=list(sizes).index(start))


def _said(model, images, classes):
    share, answer = logits(model, images).softmax(1).max(1)
    sure = f"{100 * share.item():.0f}".replace("100", "> 99")
    return f"“{classes[answer.item()]}”, {sure} %"


def _explorer_frame(image, changed, said, said_before, size):
    text = f"<b>ε = {size}:</b> shown the changed image, the network says {said}."
    pictures = display.panels(
        [image, GAIN * (changed - image), changed],
        [f"the image\n{said_before}", f"the change\n{GAIN} times", f"the image, changed\n{said}"],
        alts=[
            f"The image; the network says {said_before}",
            f"The change of at most {size}, enlarged {GAIN} times: grainy and coloured",
            f"The changed image, which looks the same; the network says {said}",
        ],
        roles=["original", "high", "original"],
        width=190,
    )
    text = f'<p style="margin:4px 0;line-height:1.35">{text}</p>'
    return Picture(f'<div style="padding:2px">{text}{pictures.markup}</div>', pictures.alt)


def attacks_tried(tables: Mapping[str, pd.DataFrame]) -> Table:
    """What several attacks leave, with intervals, and with flags in words.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        For each name of a row the table of :func:`hfc.robustness.robust_accuracy`; its first row
        counts.

    Returns
    -------
    Table
    """
    rows = {}
    for name, table in tables.items():
        accuracy, low, high, flags = table.iloc[0]
        rows[name] = {
            "right (%)": f"{100 * accuracy:.0f}",
            "95 % interval": f"{100 * low:.0f} to {100 * high:.0f}",
            "flags": "; ".join(map(str, flags)) or "none",
        }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("attack")
    return display.table(frame, "What each attack leaves right, with flags")


def under_attack(tables: Mapping[str, pd.DataFrame]) -> Picture:
    """Accuracy against epsilon, with Wilson's intervals.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        For each label a table of :func:`hfc.robustness.robust_accuracy`.

    Returns
    -------
    Picture
    """
    lines = {
        name: (
            [255 * epsilon for epsilon in table.index],
            *((100 * table[column]).tolist() for column in ("accuracy", "low", "high")),
        )
        for name, table in tables.items()
    }
    roles = dict(zip(lines, ("original", "both"), strict=False))
    told = "; ".join(
        f"{name}, {values[0]:.0f} percent right without attack, {values[-1]:.0f} at the largest"
        for name, (_, values, *_) in lines.items()
    )
    return display.line_plot(
        lines,
        roles=roles,
        xlabel="epsilon (in 1/255)",
        ylabel="right under PGD (%)",
        ylim=(0, 100),
        alt=f"Accuracy under PGD against epsilon: {told}",
    )


# Where perturbations live -------------------------------------------------------------------

_SPECTRA = {"perturbation": "perturbation", "images": "images", "white noise": "noise"}


def spectra(result: Result, titles: Mapping[str, str]) -> Picture:
    """Share of energy up to each distance: perturbations, images and white noise.

    Parameters
    ----------
    result : Result
        Of ``perturbation-spectrum``.
    titles : mapping of str to str
        For the title of each plot a label of ``training``.

    Returns
    -------
    Picture
    """
    plots, told = {}, []
    for title, training in titles.items():
        inside = {
            label: result.at(training=training)[column].apply(lambda e: e.cumsum("distance"))
            for label, column in _SPECTRA.items()
        }
        plots[title] = {label: share.curve() for label, share in inside.items()}
        beyond = (1 - inside["perturbation"].at(distance=8)).mean
        told.append(f"{title}, {100 * beyond:.0f} percent of a perturbation lies beyond 8")
    return display.small_multiples(
        plots,
        roles={"perturbation": "high", "images": "original", "white noise": "neither"},
        markers=False,
        height=2.3 if len(plots) > 2 else 3,
        ylim=(0, 102),
        xlabel="distance from the centre (waves per image)",
        ylabel="energy up to there (%)",
        alt="Share of energy up to each distance from the centre of the spectrum. Images rise at "
        f"once, white noise last, perturbations between: {'; '.join(told)}",
    )


# The filter as a defence --------------------------------------------------------------------


def what_passes(changes: Mapping[str, Tensor], radius: float, which: int) -> Picture:
    """Changes of an image, and what a low-pass filter lets through of them.

    Parameters
    ----------
    changes : mapping of str to Tensor
        For each name changes ``(N, C, H, W)`` of a set of images.
    radius : float
        Of the filter, in waves per image.
    which : int
        Index of the image whose changes are shown. The share of energy that passes is that of
        all together.

    Returns
    -------
    Picture
    """
    shown, captions, alts = [], [], []
    for name, change in changes.items():
        passed = low_pass(change, radius)
        share = display.percent((passed.square().sum() / change.square().sum()).item())
        shown += [GAIN * change[which], GAIN * passed[which]]
        captions += [f"change made\n{name}", f"what passes:\n{share} of the energy"]
        alts += [
            f"A change made {name}, {GAIN} times enlarged",
            f"What the filter lets through of it: blotches, {share} of the energy",
        ]
    return display.panels(shown, captions, alts=alts, roles=["high"] * len(shown), width=135)


_FILTER_LINES = {
    "no attack": ("naive", 0, "original"),
    "attack on the bare network": ("naive", _EPSILON, "low"),
    "attack from another network": ("transferred", _EPSILON, "neither"),
    "attack through the filter": ("adaptive", _EPSILON, "high"),
}


def filter_defence(result: Result) -> Picture:
    """Accuracy behind low-pass filters of many radii, under attacks that know more and more.

    Parameters
    ----------
    result : Result
        Of ``filter-defence``. The largest radius, which lets everything pass, is left out.

    Returns
    -------
    Picture
    """
    radii = result.measured.labels("radius")[:-1]

    def left(attack, epsilon) -> Measured:
        return result.at(attack=attack, epsilon=epsilon, radius=radii).accuracy

    lines = {label: left(*where[:2]).curve() for label, where in _FILTER_LINES.items()}
    told = "; ".join(
        f"{label}, {left(*where[:2]).at(radius=8).mean_text}"
        for label, where in _FILTER_LINES.items()
    )
    return display.line_plot(
        lines,
        roles={label: role for label, (_, _, role) in _FILTER_LINES.items()},
        ylim=(0, 80),
        xticks=radii,
        xlabel="radius of the filter (waves per image)",
        ylabel="right at epsilon 4/255 (%)",
        alt="Accuracy of a filtered network against the radius of the filter. In percent at "
        f"radius 8: {told}",
    )


_DEFENCE_ROWS = {
    "PGD on the bare network": "naive",
    "the same, confined to the LFC": "low",
    "PGD on another network, filtered": "transferred",
    "PGD through the filter": "adaptive",
    "the same, five times": "adaptive, restarts",
    "PGD, filter rounds to 8 bits": "rounded",
    "the same, BPDA": "rounded, BPDA",
    "the worst of 64 waves": "fourier",
    "HopSkipJump": "hopskipjump",
}


def defence_table(result: Result, radii: Sequence[float] = (4, 8, 12, 16, 32)) -> Table:
    """Accuracy behind the filter, for every attack that was tried.

    Parameters
    ----------
    result : Result
        Of ``filter-defence``.
    radii : sequence of float
        Columns.

    Returns
    -------
    Table
    """
    widest = max(result.measured.labels("radius"))
    columns = {}
    for radius in radii:
        at = result.at(radius=radius)
        column = {"no attack": at.at(attack="naive", epsilon=0).accuracy.without_flags}
        for text, attack in _DEFENCE_ROWS.items():
            column[text] = at.at(attack=attack, epsilon=_EPSILON).accuracy
        columns[f"r = {radius}, no filter" if radius == widest else f"r = {radius}"] = column
    frame = pd.DataFrame(columns).rename_axis("right at 4/255 (%)")
    return display.table(frame, "Accuracy behind the filter under each attack, by radius")


# The theorem --------------------------------------------------------------------------------

_TRAININGS = {"natural": "trained naturally", "adversarial": "trained adversarially"}
_BOUND, _LEFT = "bound from LFC copies", "left by PGD"


def bounds(result: Result) -> Picture:
    """The bound that LFC copies put on robust accuracy, beside what PGD leaves.

    Parameters
    ----------
    result : Result
        Of ``tradeoff``.

    Returns
    -------
    Picture
    """
    plots, told = {}, []
    for training, title in _TRAININGS.items():
        at = result.at(training=training, radius=result.measured.labels("radius")[0])
        plots[title] = {
            label: _in_pixel_units(at.without(epsilon=0)[column].curve())
            for label, column in ((_BOUND, "joint_bound"), (_LEFT, "robust"))
        }
        usual = at.at(epsilon=8 / 255)
        told.append(
            f"{title}, at 8/255 the bound allows {usual.joint_bound.mean_text} percent, PGD "
            f"leaves {usual.robust.mean_text}"
        )
    return display.small_multiples(
        plots,
        roles={_BOUND: "low", _LEFT: "high"},
        height=3,
        ylim=(0, 80),
        xscale="log",
        xticks=[1, 4, 16, 64],
        xticklabels=["1", "4", "16", "64"],
        xlabel="epsilon (in 1/255)",
        ylabel="right (%)",
        alt=f"Upper bound on robust accuracy, and accuracy under PGD, against epsilon: "
        f"{'; '.join(told)}",
    )


def _in_pixel_units(curve):
    x, *bands = curve
    return [255 * epsilon for epsilon in x], *bands


def bound_table(result: Result) -> Table:
    """What LFC copies of each radius do: other answers, distance, images broken.

    Parameters
    ----------
    result : Result
        Of ``tradeoff``.

    Returns
    -------
    Table
    """
    rows = {}
    for training in _TRAININGS:
        for radius in result.measured.labels("radius"):
            at = result.at(training=training, radius=radius)
            usual, large = at.at(epsilon=8 / 255), at.at(epsilon=32 / 255)
            rows[training, f"r = {radius:g}"] = {
                "answer changes on the LFC (%)": usual.differs,
                "median distance (in 1/255)": usual.distance.times(255, 1),
                "broken at 8/255 (%)": usual.broken,
                "broken at 32/255 (%)": large.broken,
            }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=["training", "LFC"])
    return display.table(frame, "What LFC copies of each radius do to the answer")
