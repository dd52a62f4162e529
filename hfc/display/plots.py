"""Plots in the book's style: one colour per role, intervals as bands, alt text always.

Plots become SVG whose ink takes the colour of the text around it, light or dark.

>>> line_plot({"low": ([0, 1], [0, 1])}, xlabel="r", ylabel="right (%)", alt="A line that rises")
<Picture: A line that rises>
"""

import hashlib
import html
import io
import itertools
import re
from collections.abc import Mapping, Sequence

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from hfc.display.pictures import COLOURS, Picture

__all__ = ["line_plot", "show", "small_multiples", "style", "subplots"]

_LINES = {
    "original": {"linestyle": "-", "marker": ""},
    "low": {"linestyle": "-", "marker": "o"},
    "high": {"linestyle": "--", "marker": "s"},
    "both": {"linestyle": "-.", "marker": "^"},
    "neither": {"linestyle": ":", "marker": "D"},
}

_STYLE = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#80808050",
    "grid.linewidth": 0.8,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLOURS.values())),
    "figure.constrained_layout.use": True,
    "image.interpolation": "none",
    "image.cmap": "gray",
    "svg.fonttype": "path",
    "svg.hashsalt": "hfc",
}


def style():
    """Context in which matplotlib draws in the book's style.

    Returns
    -------
    context manager
        For ``with style(): ...`` around the making of a figure, its labels and its legend.
    """
    return matplotlib.rc_context(_STYLE)


def subplots(rows: int = 1, columns: int = 1, *, width: float = 5.2, height: float = 3.4, **axes):
    """Empty figure in the book's style; finish it with :func:`show`.

    Parameters
    ----------
    rows, columns : int
        Grid of plots.
    width, height : float
        Size in inches. Up to 5.2 wide the labels are readable on a phone.
    **axes
        Passed on to ``Figure.subplots``, for example ``sharey=True``.

    Returns
    -------
    figure, axes
        As from ``matplotlib.pyplot.subplots``. Add labels and legends within :func:`style`.
    """
    with style():
        figure = Figure(figsize=(width, height))
        return figure, figure.subplots(rows, columns, **axes)


def show(figure: Figure, alt: str) -> Picture:
    """A matplotlib figure as it stands in the book.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn in black where it should take the colour of the text around it.
    alt : str
        What the figure shows: kind of plot, axes, and the message in numbers.

    Returns
    -------
    Picture
        SVG with the alt text, as wide as the figure or the page, whichever is narrower.

    Raises
    ------
    ValueError
        If the alt text is empty.
    """
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # matplotlib's rule for every element would hold for the whole page, not for the figure.
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", svg, flags=re.S)
    name = "f" + hashlib.sha1(svg.encode()).hexdigest()[:8]  # ids must differ between figures
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("#000000", "currentColor")
    width = figure.get_figwidth() * 96
    opening = (
        f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" fill="currentColor" '
        f'style="width:100%;max-width:{width:.0f}px;height:auto;stroke-linejoin:round" '
    )
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = svg.replace("<svg ", opening, 1)
    return Picture(f'<div class="hfc-figure">{svg}</div>', alt)


def line_plot(
    lines: Mapping[str, Sequence],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
    roles: Mapping[str, str] | None = None,
    log: str = "",
    markers: bool = True,
    height: float = 3.6,
    **limits,
) -> Picture:
    """Lines over a common axis, with bands where intervals are given.

    Parameters
    ----------
    lines : mapping of str to sequence
        For each label ``(x, y)``, or ``(x, y, lower, upper)`` with a band.
    xlabel, ylabel : str
        With units.
    alt : str
        What the plot shows.
    roles : mapping of str to str, optional
        Role of a label in :data:`~hfc.display.COLOURS`. Labels that are roles need none; others
        take the colours that are left, in order.
    log : str
        Axes that are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    markers : bool
        Mark each point; turn it off for more than about 40.
    height : float
        In inches.
    **limits
        Passed on to ``Axes.set``, for example ``xticks`` or ``ylim``.

    Returns
    -------
    Picture
    """
    with style():
        figure, axes = subplots(height=height)
        _draw(axes, lines, roles or {}, markers)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        for axis in log:
            getattr(axes, f"set_{axis}scale")("log")
            getattr(axes, f"{axis}axis").set_major_formatter("{x:g}")
        axes.set(**limits)
        if len(lines) > 1:
            _legend(figure, axes)
    return show(figure, alt)


def small_multiples(
    plots: Mapping[str, Mapping[str, Sequence]],
    *,
    xlabel: str,
    ylabel: str,
    alt: str,
    roles: Mapping[str, str] | None = None,
    markers: bool = True,
    height: float = 2.3,
    **limits,
) -> Picture:
    """Line plots on the same axes, two beside each other, with one legend.

    Parameters
    ----------
    plots : mapping of str to mapping
        For each title the lines of one plot, as in :func:`line_plot`; every plot has the same
        labels.
    xlabel, ylabel, alt, roles, markers, **limits
        As in :func:`line_plot`.
    height : float
        Of one row of plots, in inches.

    Returns
    -------
    Picture
    """
    rows = -(-len(plots) // 2)
    with style():
        figure, grid = subplots(
            rows, 2, height=0.9 + height * rows, sharex=True, sharey=True, squeeze=False
        )
        spots = list(grid.flat)
        for axes, (title, lines) in zip(spots, plots.items(), strict=False):
            _draw(axes, lines, roles or {}, markers)
            axes.set_title(title)
            axes.set(**limits)
        for axes in spots[len(plots) :]:
            axes.set_visible(False)
            spots[len(plots) - 2].xaxis.set_tick_params(labelbottom=True)
        figure.supxlabel(xlabel, fontsize=_STYLE["axes.labelsize"])
        figure.supylabel(ylabel, fontsize=_STYLE["axes.labelsize"])
        _legend(figure, spots[0])
    return show(figure, alt)


def _legend(figure, axes):
    """Above the plots; in two columns where the labels are short enough for the width."""
    handles, labels = axes.get_legend_handles_labels()
    short = max(map(len, labels)) <= 20
    figure.legend(handles, labels, loc="outside upper left", ncols=2 if short else 1)


def _draw(axes, lines, roles, markers):
    taken = {roles.get(label, label) for label in lines}
    free = itertools.cycle([role for role in COLOURS if role not in taken] or COLOURS)
    for label, (x, y, *interval) in lines.items():
        role = roles.get(label, label if label in COLOURS else None) or next(free)
        look = _LINES[role] if markers else {"linestyle": _LINES[role]["linestyle"]}
        axes.plot(x, y, label=label, color=COLOURS[role], **look)
        if interval:
            axes.fill_between(x, *interval, color=COLOURS[role], alpha=0.25, linewidth=0)
