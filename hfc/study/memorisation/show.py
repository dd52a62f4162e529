"""What chapter 3 shows of networks that learn true and shuffled labels.

Figures take results or parts of them and say in their alt text what the lines come to.
"""

from collections.abc import Mapping, Sequence

import ipywidgets
import pandas as pd
from torch import Tensor

from hfc import display
from hfc.data import ImageSet
from hfc.display import Picture, Table
from hfc.frequency import low_pass
from hfc.intervals import mean_interval
from hfc.study.measured import Measured
from hfc.study.results import Result
from hfc.study.settings import RADII
from hfc.study.verdict import claims

__all__ = [
    "against_paper",
    "epoch_slider",
    "half_learned",
    "kept_on_copies",
    "line_ends",
    "low_while_learning",
    "running_mean",
    "two_labels",
    "waves_while_learning",
    "which_is_which",
    "while_learning",
]

LABELS = {"true": "true labels", "all shuffled": "shuffled labels"}
COPIES = {"LFC": "low", "HFC + mean": "high + mean"}
# Lines that compare two kinds of labels, or two ways to count, are about neither component.
_TWO = ("neither", "both")
_TRAIN = "training images right (%)"


def line_ends(plots: Mapping[str, Mapping[str, Sequence]]) -> str:
    """What the lines of several plots come to, in words for an alt text.

    Parameters
    ----------
    plots : mapping of str to mapping
        As :func:`hfc.display.small_multiples` takes them.

    Returns
    -------
    str
    """
    return "; ".join(
        f"{title}: " + ", ".join(f"{label} {line[1][-1]:.0f}" for label, line in lines.items())
        for title, lines in plots.items()
    )


# Nonsense can be learned --------------------------------------------------------------------


def two_labels(true: ImageSet, shuffled: ImageSet, count: int = 4) -> Picture:
    """Pictures with their own label and the one that shuffling gave them.

    Parameters
    ----------
    true, shuffled : ImageSet
        The same images, before and after :func:`hfc.data.shuffle_labels`.
    count : int
        How many: the first ones whose class has changed.

    Returns
    -------
    Picture
    """
    changed = (true.labels != shuffled.labels).nonzero()[:count, 0].tolist()
    own, other = ([s.classes[s.labels[i]] for i in changed] for s in (true, shuffled))
    names = list(zip(own, other, strict=True))
    return display.panels(
        [true.images[i] for i in changed],
        [f"{a}\nshuffled: {b}" for a, b in names],
        alts=[f"The class of this picture is {a}; shuffled, it is called {b}" for a, b in names],
        width=150,
    )


def while_learning(live: Result, radius: float = 8) -> Picture:
    """Training images and their copies after each epoch, one plot for each kind of labels.

    Parameters
    ----------
    live : Result
        Of the experiment "memorisation".
    radius : float
        Of the copies.

    Returns
    -------
    Picture
    """
    train = live.at(images="train", radius=radius)
    columns = {
        "original": "original",
        f"LFC, r = {radius:g}": "low",
        f"HFC + mean, r = {radius:g}": "high + mean",
    }
    plots = {
        LABELS.get(labels, f"{labels}").replace("true, ", "true labels, "): {
            text: train.at(labels=labels)[column].curve() for text, column in columns.items()
        }
        for labels in train.labels("labels")
    }
    return display.small_multiples(
        plots,
        roles=dict(zip(columns, ("original", "low", "high"), strict=True)),
        ylim=(0, 102),
        xlabel="epoch",
        ylabel=_TRAIN,
        alt="Training images right against the epoch, and copies of them. In percent, after the "
        f"last epoch: {line_ends(plots)}",
    )


# First or last? ------------------------------------------------------------------------------


def low_while_learning(ours: Result) -> Picture:
    """Training images and their LFC copies after each epoch, by the share of shuffled labels.

    Parameters
    ----------
    ours : Result
        Of the experiment "memorisation", at several radii.

    Returns
    -------
    Picture
    """
    train = ours.at(images="train")
    plots = {}
    for labels in train.labels("labels"):
        own = train.at(labels=labels)
        lines = {f"LFC, r = {r}": own.low.at(radius=r).curve() for r in (12, 8, 4)}
        plots[LABELS.get(labels, labels)] = {"original": own.at(radius=8).original.curve()} | lines
    return display.small_multiples(
        plots,
        roles={"LFC, r = 12": "both", "LFC, r = 8": "low", "LFC, r = 4": "neither"},
        ylim=(0, 102),
        xlabel="epoch",
        ylabel=_TRAIN,
        alt="Training images right against the epoch, with LFC copies at three radii. In percent, "
        f"after the last epoch: {line_ends(plots)}",
    )


def epoch_slider(ours: Result) -> ipywidgets.Widget:
    """What each radius shows a network of its training images, epoch by epoch, on a slider.

    Parameters
    ----------
    ours : Result
        Of the experiment "memorisation", at several radii.

    Returns
    -------
    ipywidgets.VBox
        Two plots a frame: true and shuffled labels, accuracy against the radius of the copies.
    """
    train = ours.at(images="train")
    epochs = train.labels("epoch")
    known = [train.at(labels="true", epoch=e, radius=8).original.mean for e in epochs]
    half = next(k for k, accuracy in enumerate(known) if accuracy >= 0.5)
    return display.slideshow(
        [_epoch_frame(train.at(epoch=epoch), epoch) for epoch in epochs],
        [str(epoch) for epoch in epochs],
        name="epoch",
        start=half,
    )


def _epoch_frame(train, epoch):
    columns = {"original": "original", "LFC copies": "low", "HFC copies + mean": "high + mean"}
    plots = {
        title: {text: train.at(labels=labels)[column].curve() for text, column in columns.items()}
        for labels, title in LABELS.items()
    }
    low, high = (
        "; ".join(f"{title} {lines[name][1][0]:.0f}" for title, lines in plots.items())
        for name in ("LFC copies", "HFC copies + mean")
    )
    return display.small_multiples(
        plots,
        roles={"LFC copies": "low", "HFC copies + mean": "high"},
        ylim=(0, 102),
        xticks=list(RADII),
        xlabel="radius r of the copies (waves per image)",
        ylabel="right (%)",
        height=2.8,
        alt=f"After epoch {epoch}, training images right against the radius of their copies. In "
        f"percent, at the largest radius: {line_ends(plots)}; at the smallest: LFC copies, {low}; "
        f"HFC copies, {high}",
    )


def kept_on_copies(kept: Measured, radii: Sequence[float] = (4, 8)) -> Picture:
    """Accuracy on LFC copies as a share of that on originals, after each epoch.

    Parameters
    ----------
    kept : Measured
        The share, by labels, epoch and radius.
    radii : sequence of float
        One plot each.

    Returns
    -------
    Picture
    """
    plots = {
        f"r = {radius}": {
            title: kept.at(labels=labels, radius=radius).curve() for labels, title in LABELS.items()
        }
        for radius in radii
    }
    return display.small_multiples(
        plots,
        roles=dict(zip(LABELS.values(), _TWO, strict=True)),
        ylim=(0, 120),
        xlabel="epoch",
        ylabel="kept on LFC copies (%)",
        height=2.8,
        alt="Accuracy on LFC copies divided by accuracy on originals against the epoch. In "
        f"percent, after the last epoch: {line_ends(plots)}",
    )


def half_learned(ours: Result) -> Table:
    """Copies right at the moment when half of the training images are right.

    Parameters
    ----------
    ours : Result
        Of the experiment "memorisation", at several radii.

    Returns
    -------
    Table
        A row for each radius; columns by component and labels.
    """
    half = ours.at(images="train").at_accuracy(0.5)
    columns = {
        (component, title): [half.at(labels=labels, radius=r)[column] for r in RADII]
        for component, column in COPIES.items()
        for labels, title in LABELS.items()
    }
    return display.table(
        pd.DataFrame(columns, index=pd.Index(RADII, name="r")),
        "Percentage of copies right when half of the training images are, by radius",
    )


def against_paper(ours: Result) -> Table:
    """LFC copies of training images right at the end: the paper's numbers (C04, C05) and ours.

    Parameters
    ----------
    ours : Result
        Of the experiment "memorisation", at several radii.

    Returns
    -------
    Table
        A column for each radius; rows by labels and by who measured.
    """
    last = ours.at(images="train").last
    rows = {}
    for (labels, title), claim in zip(LABELS.items(), ("C04", "C05"), strict=True):
        own = last.at(labels=labels)
        rows[title, "LFC, paper"] = [f"{100 * v:.0f}" for v in claims()[claim]["paper"]["low"]]
        rows[title, "LFC, ours"] = [own.low.at(radius=r) for r in RADII]
    rows["shuffled labels", "HFC + mean, ours"] = [own.high_mean.at(radius=r) for r in RADII]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=[f"r = {r}" for r in RADII])
    frame.index = pd.MultiIndex.from_tuples(rows, names=[None, "copies"])
    return display.table(frame, "Percentage of copies of training images right at the end")


def running_mean(ours: Result) -> Picture:
    """Training accuracy at the end of each epoch, and as the mean while it was running.

    Parameters
    ----------
    ours : Result
        Of the experiment "memorisation".

    Returns
    -------
    Picture
    """
    train = ours.at(images="train", radius=8)
    plots = {
        title: {
            "end of the epoch": train.at(labels=labels).original.curve(),
            "running mean": _by_epoch(ours.training("running_accuracy", labels=labels)),
        }
        for labels, title in LABELS.items()
    }
    return display.small_multiples(
        plots,
        roles=dict(zip(("end of the epoch", "running mean"), _TWO, strict=True)),
        markers=False,
        ylim=(0, 102),
        height=2.8,
        xlabel="epoch",
        ylabel=_TRAIN,
        alt="Training accuracy against the epoch, tested at the end of each epoch and as the mean "
        f"during it. In percent, for the last epoch: {line_ends(plots)}",
    )


def _by_epoch(runs):
    """A line with a band from one list of shares per seed, a share for each epoch."""
    rows = [mean_interval([100 * share for share in epoch]) for epoch in zip(*runs, strict=True)]
    return (range(1, len(rows) + 1), *zip(*rows, strict=True))


def which_is_which(images: Tensor, radius: float, order: Sequence[int]) -> Picture:
    """Photographs, and below them their LFC copies in another order.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)`` in [0, 1].
    radius : float
        Of the copies.
    order : sequence of int
        Which image's copy stands first, second, ...

    Returns
    -------
    Picture
        Photographs are numbered, copies have letters.
    """
    numbers = [str(k + 1) for k in range(len(images))]
    letters = [chr(ord("a") + k) for k in range(len(order))]
    return display.panels(
        [*images, *low_pass(images, radius)[list(order)]],
        numbers + letters,
        alts=[f"Photograph {number}" for number in numbers]
        + [f"LFC copy {letter} of one of them, at r = {radius:g}" for letter in letters],
        roles=["original"] * len(numbers) + ["low"] * len(letters),
        width=160,
    )


# What this story is not ----------------------------------------------------------------------


def waves_while_learning(learned: Tensor, waves: Sequence[int], every: int = 10) -> Picture:
    """Amplitude of each wave in the output of a network, against steps of training.

    Parameters
    ----------
    learned : Tensor
        ``(steps, waves)``.
    waves : sequence of int
        How often each goes up and down.
    every : int
        Draw one step in so many.

    Returns
    -------
    Picture
    """
    steps = range(0, len(learned), every)
    names = [f"{k} wave{'s' if k > 1 else ''}" for k in waves]
    lines = {name: (steps, learned[::every, k].tolist()) for k, name in enumerate(names)}
    early = len(learned) // 10
    then = zip(names, learned[early].tolist(), strict=True)
    return display.line_plot(
        lines,
        roles=dict(zip(names, ("original", "neither", "both"), strict=True)),
        markers=False,
        xlabel="step",
        ylabel="learned amplitude",
        alt="Amplitude of waves in the output of a small network against training steps. After "
        f"{early} steps: " + ", ".join(f"{name} {amplitude:.2f}" for name, amplitude in then),
    )
