"""Figure and table of chapter 4: two controls for what the test batch does."""

import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.results import Result

__all__ = ["company", "stale_averages"]

_STATISTICS = {
    "running averages": "running",
    "averages gathered anew": "recalibrated",
    "the test batch's own": "batch",
}


def company(result: Result) -> Picture:
    """HFC copies right by batch statistics, over the originals that share a batch of 100.

    Parameters
    ----------
    result : Result
        Of the experiment ``batch-company``.

    Returns
    -------
    Picture
    """
    measured = result.at(norm="BatchNorm")
    lines = {
        f"{text}, r = {radius}": measured.at(radius=radius)[copies].curve()
        for radius in (4, 8)
        for text, copies in (("raw HFC", "high"), ("HFC + mean", "high + mean"))
    }
    roles = dict(zip(lines, ("high", "original", "low", "neither"), strict=True))
    said = "; ".join(
        f"{text}: {line[1][0]:.0f} alone, {line[1][-1]:.0f} as one copy among 99 originals"
        for text, line in lines.items()
    )
    return display.line_plot(
        lines,
        roles=roles,
        xlabel="originals in a batch of 100",
        ylabel="copies right (%)",
        ylim=(0, 80),
        alt="Accuracy on HFC copies by the statistics of the test batch, against the number of "
        f"originals in it. Percent right: {said}.",
    )


def stale_averages(result: Result) -> Table:
    """Test images and HFC copies right, by three kinds of statistics, at the last epoch.

    Parameters
    ----------
    result : Result
        Of the experiment ``batchnorm``; normalised inputs and SGD are shown.

    Returns
    -------
    Table
    """
    recipe = result.at(inputs="normalised", optimizer="SGD", norm="BatchNorm", company="alone")
    last = recipe.last
    rows = {}
    for text, statistics in _STATISTICS.items():
        at = last.at(statistics=statistics)
        rows[text] = {("test images", ""): at.at(radius=4).original} | {
            ("raw HFC copies", f"r = {radius}"): at.at(radius=radius).high for radius in (4, 8)
        }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("statistics")
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return display.table(frame, "Images and HFC copies right, by what BatchNorm normalises with")
