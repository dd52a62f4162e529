"""Figures that the reader moves.

They hold all their frames, so they need neither a kernel nor a network.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from hfc.display.pictures import Picture, log_amplitude, panels
from hfc.display.text import percent
from hfc.frequency import radial_mask, split

__all__ = ["radius_explorer", "slideshow"]


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
    share = 1 - (high.square().sum() / varying.clamp(min=1e-12)).item()
    share = min(max(share, 0.0), 1.0)  # but for rounding
    kept = torch.fft.fftshift(radial_mask(height, width, radius))
    r = f"{radius:g}"
    text = (
        f"<b>r = {r}:</b> the circle holds {percent(kept.double().mean().item())} of the "
        f"waves and {percent(share)} of the energy around the mean."
    )
    pictures = panels(
        [image, (spectrum * 15).round() / 15, low, high],
        ["original", "spectrum and circle", "LFC", "HFC, around grey"],
        alts=[
            "The original picture",
            f"Its amplitude spectrum with a circle of radius {r}",
            f"Low-frequency component of radius {r}, {percent(share)} of the energy",
            f"High-frequency component of radius {r}, {percent(1 - share)} of the energy",
        ],
        roles=["original", None, "low", "high"],
        circles=[None, radius, None, None],
        width=135,
    )
    text = f'<p style="margin:4px 0;line-height:1.35">{text}</p>'
    return Picture(f'<div style="padding:2px">{text}{pictures.markup}</div>', pictures.alt)
