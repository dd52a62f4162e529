"""Figures and tables of chapter 4: batch sizes, architectures, optimisers."""

import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.heuristics.rules import gap
from hfc.study.heuristics.show import line, matched
from hfc.study.results import Result
from hfc.study.settings import RADII

__all__ = [
    "architectures",
    "batch_sizes",
    "batch_sizes_table",
    "optimizers",
    "optimizers_table",
]


def batch_sizes(result: Result) -> Picture:
    """Accuracy against the batch size, after the same number of epochs, and of steps.

    Parameters
    ----------
    result : Result
        Of the experiment ``batch-size``.

    Returns
    -------
    Picture
    """
    epochs = result.at(budget="same epochs", radius=8)
    steps = result.at(budget="same steps", radius=8)
    sizes, large = epochs.labels("batch_size"), steps.labels("batch_size")
    middle = max(size for size in sizes if size not in large)  # its epochs are the steps, too
    plots = {
        "same epochs": [epochs.at(batch_size=size) for size in sizes],
        "same steps": [epochs.at(batch_size=middle)] + [steps.at(batch_size=n) for n in large],
    }
    lines = {
        "training images": ("train", "original"),
        "test images": ("test", "original"),
        "test HFC + mean, r = 8": ("test", "high + mean"),
    }
    x = {"same epochs": sizes, "same steps": [middle, *large]}
    ends = [plots[title][-1].at(images="test").original.percent for title in plots]
    first = plots["same epochs"][0].at(images="test").original.percent
    return display.small_multiples(
        {
            title: {
                text: line(x[title], [at.at(images=images)[column] for at in plots[title]])
                for text, (images, column) in lines.items()
            }
            for title in plots
        },
        roles=dict(zip(lines, ("original", "low", "high"), strict=True)),
        ylim=(0, 100),
        height=3,
        xscale="log",
        xlabel="batch size",
        ylabel="right (%)",
        alt="Accuracy on training images, test images and HFC copies against the batch size. After "
        f"the same number of epochs test accuracy falls from {first} to {ends[0]}; after the same "
        f"number of steps the largest batch has {ends[1]}. HFC copies stay near one in ten.",
    )


def batch_sizes_table(result: Result) -> Table:
    """Accuracy, gap and accuracy on HFC copies by batch size, as in :func:`batch_sizes`.

    Parameters
    ----------
    result : Result
        Of the experiment ``batch-size``.

    Returns
    -------
    Table
        A row for each budget and batch size.
    """
    rows = {}
    for budget in ("same epochs", "same steps"):
        at8 = result.at(budget=budget, radius=8)
        test = at8.at(images="test")
        for size in at8.labels("batch_size"):
            rows[budget, size] = {
                "training images": at8.at(images="train", batch_size=size).original,
                "test images": test.at(batch_size=size).original,
                "gap": gap(at8).at(batch_size=size),
                "test HFC + mean, r = 8": test.at(batch_size=size).high_mean,
            }
    frame = pd.DataFrame(rows).T
    frame.index.names = (None, "batch size")
    return display.table(frame, "Accuracy and gap by batch size, after epochs and after steps")


def architectures(result: Result) -> Table:
    """Parameters, accuracy, gap and accuracy on copies at r = 8 of four networks.

    Parameters
    ----------
    result : Result
        Of the experiment ``architectures``.

    Returns
    -------
    Table
        A row for each network.
    """
    at8 = result.at(radius=8)
    test = at8.at(images="test")
    rows = {
        name: {
            "parameters": f"{result.parameters(architecture=name):,}",
            "test": test.original.at(architecture=name),
            "gap": gap(at8).at(architecture=name),
            "LFC, r = 8": test.low.at(architecture=name),
            "HFC, r = 8": test.high.at(architecture=name),
            "HFC + mean, r = 8": test.high_mean.at(architecture=name),
        }
        for name in test.labels("architecture")
    }
    return display.table(pd.DataFrame(rows).T, "Accuracy, gap and copies of four networks")


def optimizers(result: Result) -> Picture:
    """Accuracy on raw HFC copies against the radius for five optimisers, before and after matching.

    Parameters
    ----------
    result : Result
        Of the experiment ``optimizers``.

    Returns
    -------
    Picture
        After the last epoch, and at the same accuracy.
    """
    test = result.at(images="test")
    level, there = matched(test)
    names = test.labels("optimizer")
    plots = {
        f"epoch {max(test.labels('epoch'))}": test.last.high,
        f"at {display.percent(level)} of test images": there.high,
    }
    spans = [
        [measured.at(optimizer=name, radius=4).mean for name in names]
        for measured in plots.values()
    ]
    last, same = (f"{100 * min(span):.0f} to {100 * max(span):.0f}" for span in spans)
    return display.small_multiples(
        {
            title: {name: measured.at(optimizer=name).curve() for name in names}
            for title, measured in plots.items()
        },
        roles=dict(zip(names, ("high", "low", "both", "neither", "original"), strict=True)),
        ylim=(0, 50),
        height=2.8,
        xticks=RADII,
        xlabel="radius r (waves per image)",
        ylabel="HFC copies right (%)",
        alt="Accuracy on raw HFC copies against the radius for five optimisers. At r = 4 they "
        f"reach {last} percent after the last epoch, and {same} percent at the same accuracy.",
    )


def optimizers_table(result: Result) -> Table:
    """Test accuracy and accuracy on raw HFC copies of five optimisers, before and after matching.

    Parameters
    ----------
    result : Result
        Of the experiment ``optimizers``.

    Returns
    -------
    Table
        A row for each optimiser.
    """
    test = result.at(images="test")
    level, there = matched(test)
    rows = {}
    for name in test.labels("optimizer"):
        original = test.last.at(optimizer=name, radius=4).original
        rows[name] = {("last epoch", "test"): original}
        for moment, at in (("last epoch", test.last), (f"at {display.percent(level)}", there)):
            for r in (4, 8):
                rows[name][moment, f"HFC, r = {r}"] = at.at(optimizer=name, radius=r).high
    label = "Accuracy of five optimisers, after the last epoch and at the same accuracy"
    return display.table(pd.DataFrame(rows).T, label)
