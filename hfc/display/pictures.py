"""Pictures with alt text: photographs, spectra and components side by side.

A figure is shown by a :class:`Picture`, a piece of HTML that stands in Jupyter and on the
rendered page alike, light or dark. Photographs become ``<img>`` elements that wrap on a phone.

>>> import torch
>>> panels([torch.rand(3, 32, 32)], ["noise"], alts=["Coloured noise"])
<Picture: Coloured noise>
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfc.frequency import amplitude_phase

__all__ = ["COLOURS", "Picture", "log_amplitude", "panels"]

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


def panels(
    images: Iterable,
    captions: Sequence[str],
    *,
    alts: Sequence[str] | None = None,
    roles: Sequence[str | None] | None = None,
    circles: Sequence[float | None] | None = None,
    boxes: Sequence[Sequence[tuple]] | None = None,
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
    boxes : sequence of sequence of tuple, optional
        For each picture rectangles to draw, each ``(x1, y1, x2, y2, role, text)``: corners in
        pixels of the picture, a key of :data:`COLOURS`, and what stands at the upper left corner.
    width : int
        Width of a picture on a wide page, in CSS pixels.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If an alt text is empty, a role is unknown, an image has another shape, or there are
        not as many captions, alts, roles, circles and lists of boxes as images.
    """
    images = list(images)
    alts = list(captions if alts is None else alts)
    roles = [None] * len(images) if roles is None else roles
    circles = [None] * len(images) if circles is None else circles
    boxes = [()] * len(images) if boxes is None else boxes
    rows = zip(images, captions, alts, roles, circles, boxes, strict=True)
    return _side_by_side([_panel(*row) for row in rows], alts, width)


def _side_by_side(figures, alts, width):
    # Two columns on a phone; as many as there is room for on a wide page.
    markup = (
        '<div class="hfc-panels" style="display:grid;gap:14px;align-items:start;'
        f"grid-template-columns:repeat(auto-fill,min({width}px,calc(50% - 7px)));"
        f'line-height:1.35;margin:2px 0">{"".join(figures)}</div>'
    )
    return Picture(markup, "; ".join(alts))


def _panel(image, caption, alt, role, circle, boxes):
    if not alt.strip():
        raise ValueError("every picture needs alt text, got an empty string")
    if role is not None and role not in COLOURS:
        raise ValueError(f"role must be one of {', '.join(COLOURS)} or None, got {role!r}")
    pixels = _pixels(image, 0.5 if role == "high" else 0.0)
    height, across = pixels.shape[:2]
    drawn = "".join(_box(box, across) for box in boxes)
    if circle is not None:
        drawn += (
            f'<circle cx="{across // 2 + 0.5}" cy="{height // 2 + 0.5}" r="{circle + 0.5}" '
            f'fill="none" stroke="{COLOURS["low"]}" stroke-width="{across / 80:.2f}"/>'
        )
    if drawn:
        drawn = (
            f'<svg viewBox="0 0 {across} {height}" aria-hidden="true" '
            f'style="position:absolute;inset:0;width:100%;height:100%">{drawn}</svg>'
        )
    line = f"border-top:4px solid {COLOURS[role] if role else 'transparent'};"
    text = html.escape(caption).replace("\n", "<br>")
    # Plain blocks: the theme gives <figure> and <figcaption> a look of its own.
    return (
        '<div><div style="position:relative;line-height:0"><img class="dark-light" '
        f'src="{_png(pixels)}" alt="{html.escape(alt, quote=True)}" style="width:100%;'
        f"aspect-ratio:{pixels.shape[1]}/{pixels.shape[0]};padding:0;border-radius:0;"
        f'background-color:transparent;image-rendering:pixelated">{drawn}</div>'
        f'<div style="{line}font-size:.85rem;padding-top:3px">{text}</div></div>'
    )


def _box(box, across):
    """A rectangle with a dark rim, so that it shows on any picture, and its text."""
    x1, y1, x2, y2, role, text = box
    if role not in COLOURS:
        raise ValueError(f"role must be one of {', '.join(COLOURS)}, got {role!r}")
    line = across / 110
    frame = f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" '
    return (
        f'{frame}fill="none" stroke="#000" stroke-opacity=".6" stroke-width="{2 * line:.2f}"/>'
        f'{frame}fill="none" stroke="{COLOURS[role]}" stroke-width="{line:.2f}"/>'
        f'<text x="{x1 + 1.5 * line:.1f}" y="{y1 + 7 * line:.1f}" font-size="{6.5 * line:.1f}" '
        'font-family="sans-serif" fill="#fff" stroke="#000" stroke-opacity=".7" '
        f'stroke-width="{line / 2:.2f}" paint-order="stroke">{html.escape(text)}</text>'
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
