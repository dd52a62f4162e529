"""Every figure of the book: its colours, its alt text, and the interactive ones.

A figure is shown by a :class:`Picture`, a piece of HTML that stands in Jupyter and on the
rendered page alike, light or dark, and always carries alt text. Photographs become ``<img>``
elements that wrap on a phone; plots become SVG whose ink takes the colour of the text around
it. Interactive figures hold all their frames, so they need neither a kernel nor a network.

>>> import torch
>>> panels([torch.rand(3, 32, 32)], ["noise"], alts=["Coloured noise"])
<Picture: Coloured noise>
"""

import base64
import hashlib
import html
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from hfc.frequency import amplitude_phase, radial_mask, split

__all__ = [
    "COLOURS",
    "Picture",
    "line_plot",
    "log_amplitude",
    "panels",
    "radius_explorer",
    "show",
    "slideshow",
    "small_multiples",
    "style",
    "subplots",
]

COLOURS = {
    "original": "#7d7d7d",
    "low": "#1a7fc0",
    "high": "#d55e00",
    "both": "#b159a6",
    "neither": "#0b9470",
}
"""One colour per role through the whole book. Each has a contrast of at least 3.8 against the
white and the dark page, and neighbours differ in lightness or in blue against orange, so that
they stay apart without colour vision; lines differ by marker and dash as well."""

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


class Picture:
    """A figure with alt text, shown where it is the last value of a cell.

    Parameters
    ----------
    markup : str
        HTML of the figure.
    alt : str
        What a reader who cannot see the figure needs to know; at least a few words.

    Raises
    ------
    ValueError
        If the alt text is empty.
    """

    def __init__(self, markup: str, alt: str):
        if not alt.strip():
            raise ValueError("a figure needs alt text, got an empty string")
        self.markup, self.alt = markup, alt

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"


# Plots --------------------------------------------------------------------------------------


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
        Role of a label in :data:`COLOURS`. Labels that are roles need none; others take the
        colours that are left, in order.
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
            short = max(map(len, lines)) <= 20
            figure.legend(loc="outside upper left", ncols=2 if short else 1)
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
        handles, labels = spots[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return show(figure, alt)


def _draw(axes, lines, roles, markers):
    taken = {roles.get(label, label) for label in lines}
    free = itertools.cycle([role for role in COLOURS if role not in taken] or COLOURS)
    for label, (x, y, *interval) in lines.items():
        role = roles.get(label, label if label in COLOURS else None) or next(free)
        look = _LINES[role] if markers else {"linestyle": _LINES[role]["linestyle"]}
        axes.plot(x, y, label=label, color=COLOURS[role], **look)
        if interval:
            axes.fill_between(x, *interval, color=COLOURS[role], alpha=0.25, linewidth=0)


# Pictures -----------------------------------------------------------------------------------


def panels(
    images: Iterable,
    captions: Sequence[str],
    *,
    alts: Sequence[str] | None = None,
    roles: Sequence[str | None] | None = None,
    circles: Sequence[float | None] | None = None,
    width: int = 160,
) -> Picture:
    """Pictures side by side, which wrap where the page is narrow.

    Parameters
    ----------
    images : iterable of Tensor or array
        Each ``(H, W)``, ``(1, H, W)`` or ``(3, H, W)`` in [0, 1]; what is outside is clipped
        for display. A picture with the role ``"high"`` is shown around grey (0.5 is added).
    captions : sequence of str
        Below the pictures; a line break starts a new line.
    alts : sequence of str, optional
        Alt texts; by default the captions.
    roles : sequence of str, optional
        For each picture a key of :data:`COLOURS` or ``None``: the colour of the line above
        its caption.
    circles : sequence of float, optional
        For each picture a radius or ``None``: a circle around the centre ``(H // 2, W // 2)``
        of a shifted spectrum.
    width : int
        Width of a picture on a wide page, in CSS pixels.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If an alt text is empty, a role is unknown, an image has another shape, or there are
        not as many captions, alts, roles and circles as images.
    """
    images = list(images)
    alts = list(captions if alts is None else alts)
    roles = [None] * len(images) if roles is None else roles
    circles = [None] * len(images) if circles is None else circles
    rows = zip(images, captions, alts, roles, circles, strict=True)
    return _side_by_side([_panel(*row) for row in rows], alts, width)


def _side_by_side(figures, alts, width):
    # Two columns on a phone; as many as there is room for on a wide page.
    markup = (
        '<div class="hfc-panels" style="display:grid;gap:14px;align-items:start;'
        f"grid-template-columns:repeat(auto-fill,min({width}px,calc(50% - 7px)));"
        f'line-height:1.35;margin:2px 0">{"".join(figures)}</div>'
    )
    return Picture(markup, "; ".join(alts))


def _panel(image, caption, alt, role, circle):
    if not alt.strip():
        raise ValueError("every picture needs alt text, got an empty string")
    if role is not None and role not in COLOURS:
        raise ValueError(f"role must be one of {', '.join(COLOURS)} or None, got {role!r}")
    pixels = _pixels(image, 0.5 if role == "high" else 0.0)
    ring = ""
    if circle is not None:
        height, across = pixels.shape[:2]
        ring = (
            f'<svg viewBox="0 0 {across} {height}" aria-hidden="true" '
            'style="position:absolute;inset:0;width:100%;height:100%">'
            f'<circle cx="{across // 2 + 0.5}" cy="{height // 2 + 0.5}" r="{circle + 0.5}" '
            f'fill="none" stroke="{COLOURS["low"]}" stroke-width="{across / 80:.2f}"/></svg>'
        )
    line = f"border-top:4px solid {COLOURS[role]};" if role else ""
    text = html.escape(caption).replace("\n", "<br>")
    # Plain blocks: the theme gives <figure> and <figcaption> a look of its own.
    return (
        '<div><div style="position:relative;line-height:0"><img class="dark-light" '
        f'src="{_png(pixels)}" alt="{html.escape(alt, quote=True)}" style="width:100%;'
        f"aspect-ratio:{pixels.shape[1]}/{pixels.shape[0]};padding:0;border-radius:0;"
        f'background-color:transparent;image-rendering:pixelated">{ring}</div>'
        f'<div style="{line}font-size:.85rem;padding-top:3px">{text}</div></div>'
    )


def _pixels(image, offset):
    """Image as bytes, ``(H, W)`` or ``(H, W, 3)``."""
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    array = array.astype(np.float64) + offset
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    elif array.ndim != 2:
        raise ValueError(
            f"an image must have shape (H, W), (1, H, W) or (3, H, W), got {array.shape}"
        )
    return (array.clip(0, 1) * 255).round().astype(np.uint8)


def _png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def log_amplitude(image: Tensor, *, shift: bool = True) -> Tensor:
    """Picture of the amplitude spectrum on a logarithmic scale, black to white in [0, 1].

    Parameters
    ----------
    image : Tensor
        ``(H, W)`` or ``(C, H, W)``; channels are averaged.
    shift : bool
        Put DC into the centre ``(H // 2, W // 2)``, as ``torch.fft.fftshift`` does.

    Returns
    -------
    Tensor
        ``(H, W)``: white is the strongest wave besides DC; black is 1,000 times weaker or more.
    """
    amplitude = amplitude_phase(image.double())[0]
    amplitude = amplitude.reshape(-1, *image.shape[-2:]).mean(0)
    strongest = amplitude.flatten()[1:].max().clamp(min=1e-12)
    logarithm = 1 + (amplitude / strongest).clamp(1e-3, 1).log10() / 3
    return torch.fft.fftshift(logarithm) if shift else logarithm


# Interactive figures ------------------------------------------------------------------------


def slideshow(
    frames: Sequence[Picture], labels: Sequence[str], *, name: str, start: int = 0
) -> ipywidgets.Widget:
    """Frames behind a slider, for mouse, touch and arrow keys.

    All frames are in the widget and the slider is linked to them in the browser, so the same
    object works in Jupyter and on a rendered page without kernel or network.

    Parameters
    ----------
    frames : sequence of Picture
        At least one.
    labels : sequence of str
        What the slider reads out for each frame.
    name : str
        What the slider changes.
    start : int
        Index of the frame shown first.

    Returns
    -------
    ipywidgets.VBox

    Raises
    ------
    ValueError
        If there are no frames or not as many labels as frames.
    """
    if not frames or len(frames) != len(labels):
        raise ValueError(
            f"a slideshow needs frames with one label each, got {len(frames)} and {len(labels)}"
        )
    slider = ipywidgets.SelectionSlider(
        options=[(str(label), index) for index, label in enumerate(labels)],
        index=start,
        description=name,
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "480px"},
    )
    markup, shared = _share_pictures([frame.markup for frame in frames])
    wide = {"width": "100%"}
    pages = [ipywidgets.HTML(m, layout=wide) for m in markup]
    stack = ipywidgets.Stack(pages, selected_index=start, layout=wide)
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([slider, stack, ipywidgets.HTML(shared, layout={"display": "none"})])


def _share_pictures(frames):
    """Keep a picture that stands in several frames once, as the background of empty ones."""
    uses = Counter(source for frame in frames for source in re.findall(r'src="([^"]*)"', frame))
    rules = []
    for source in (source for source, count in uses.items() if count > 1):
        name = "hfc-" + hashlib.sha1(source.encode()).hexdigest()[:8]
        rules.append(f".{name}{{background:url({source}) 0 0/100% 100%}}")
        empty = f'class="dark-light {name}" src="{_EMPTY}"'
        frames = [frame.replace(f'class="dark-light" src="{source}"', empty) for frame in frames]
    return frames, f"<style>{''.join(rules)}</style>"


_EMPTY = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def radius_explorer(
    image: Tensor, radii: Sequence[float] | None = None, *, start: float | None = None
) -> ipywidgets.Widget:
    """Slider over the radius: original, spectrum, LFC and HFC, and where the energy is.

    Parameters
    ----------
    image : Tensor
        ``(C, H, W)`` in [0, 1].
    radii : sequence of float, optional
        Radii of the frames; by default 0, 1, 2, ... to the first that holds everything, in
        larger steps where these would be more than 25.
    start : float, optional
        Radius shown first; by default the one nearest a quarter of the image's height.

    Returns
    -------
    ipywidgets.VBox
        See :func:`slideshow`.
    """
    height, width = image.shape[-2:]
    if radii is None:
        farthest = int(np.ceil(np.hypot(height // 2, width // 2)))
        radii = np.unique(np.linspace(0, farthest, min(farthest + 1, 25)).round().astype(int))
    radii = [float(radius) for radius in radii]
    start = height / 4 if start is None else start
    nearest = min(range(len(radii)), key=lambda i: abs(radii[i] - start))
    spectrum = log_amplitude(image)
    frames = [_explorer_frame(image, spectrum, radius) for radius in radii]
    return slideshow(frames, [f"{r:g}" for r in radii], name="radius r", start=nearest)


def _explorer_frame(image, spectrum, radius):
    height, width = image.shape[-2:]
    low, high = split(image.double(), radius)
    varying = (image.double() - image.double().mean((-2, -1), keepdim=True)).square().sum()
    share = 1 - (high.square().sum() / varying).item()
    kept = torch.fft.fftshift(radial_mask(height, width, radius))
    r = f"{radius:g}"
    text = (
        f"<b>r = {r}:</b> the circle holds {_percent(kept.double().mean().item())} of the "
        f"waves and {_percent(share)} of the energy around the mean."
    )
    pictures = panels(
        [image, (spectrum * 15).round() / 15, low, high],
        ["original", "spectrum and circle", "LFC", "HFC, around grey"],
        alts=[
            "The original picture",
            f"Its amplitude spectrum with a circle of radius {r}",
            f"Low-frequency component of radius {r}, {_percent(share)} of the energy",
            f"High-frequency component of radius {r}, {_percent(1 - share)} of the energy",
        ],
        roles=["original", None, "low", "high"],
        circles=[None, radius, None, None],
        width=135,
    )
    text = f'<p style="margin:4px 0;line-height:1.35">{text}</p>'
    return Picture(f'<div style="padding:2px">{text}{pictures.markup}</div>', pictures.alt)


def _percent(share):
    """A share for readers: 0 % and 100 % only where they are exact to the last digit shown."""
    percent = round(100 * min(max(share, 0.0), 1.0), 9)
    for digits in (0, 1, 2):
        text = f"{percent:.{digits}f}"
        if float(text) not in (0, 100) or percent in (0, 100):
            break
    return f"{text}\N{NO-BREAK SPACE}%"
