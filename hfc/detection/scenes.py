"""Scenes with several shapes, made from a seed: a detection set that needs no files.

>>> scenes = make_scenes("train", size=2)
>>> scenes.images[0].shape
torch.Size([3, 96, 96])
>>> scenes.classes
('disc', 'triangle', 'square', 'ring')
"""

import numpy as np
import torch

from hfc.arguments import Count, Seed, checked
from hfc.detection.sets import DetectionSet
from hfc.synthetic import to_8_bits

__all__ = ["CLASSES", "SIDE", "WAVELENGTH", "make_scenes"]

CLASSES = ("disc", "triangle", "square", "ring")
SIDE = 96  # pixels
RADII = (8.0, 17.0)  # of the shapes in pixels, smallest and largest
SHAPES = (2, 5)  # in a scene, fewest and most that are tried
WAVELENGTH = 32 / 12  # of the texture, pixels: 36 waves per image
AMPLITUDE = 6 / 255  # of the texture, mean; each shape has its own, uniform in [0, 2] times this
_CORNERS = {"triangle": 3, "square": 4}


@checked
def make_scenes(
    split: str = "train", *, size: Count = 600, seed: Seed = 0, hfc_strength: float = 0.5
) -> DetectionSet:
    """Scenes of 96x96 pixels: a cloudy 1/f background with two to five shapes.

    The outline tells the class; colour, size, place and angle do not. Each shape carries a faint
    texture, too: a plane wave of 36 waves per image whose direction names a class. So a detector
    can read the class from the LFC or from the HFC.

    Parameters
    ----------
    split : {"train", "test"}
    size : int
        Number of scenes; a small set is the beginning of a large one.
    seed : int
        Which scenes.
    hfc_strength : float
        How often a shape's texture names its class, 0 to 1; else it names one at random.

    Returns
    -------
    DetectionSet
        Pixels in 256 levels. A box is the smallest rectangle around the whole shape. Shapes may
        touch, but none hides the centre of another.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", got {split!r}')
    if not 0 <= hfc_strength <= 1:
        raise ValueError(f"hfc_strength must be between 0 and 1, got {hfc_strength}")
    made = [
        _scene(np.random.default_rng([seed, 3, split == "test", k]), hfc_strength)
        for k in range(size)
    ]
    images, boxes, labels = zip(*made, strict=True)
    return DetectionSet(images, boxes, labels, CLASSES, "scenes")


def _scene(rng, strength):
    pixels = rng.uniform(0.35, 0.65, (3, 1, 1)) + _clouds(rng)
    shapes = _placed(rng)
    boxes = []
    for label, radius, row, column, turn in shapes:
        mask, box = _shape(CLASSES[label], radius, row, column, turn)
        colour = rng.uniform(0.15, 0.4, 3) * rng.choice((-1, 1), 3)
        told = label if rng.random() < strength else rng.integers(len(CLASSES))
        pixels += mask * (colour[:, None, None] + _texture(told, rng))
        boxes.append(box)
    return (
        torch.from_numpy(to_8_bits(pixels)),
        torch.tensor(np.array(boxes), dtype=torch.float32),
        torch.tensor([shape[0] for shape in shapes]),
    )


def _clouds(rng):
    """Background without mean, ``(3, SIDE, SIDE)``: amplitude ~ 1/f, deviation .08."""
    distance = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    distance[0, 0] = np.inf
    clouds = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((3, SIDE, SIDE))) / distance)
    return 0.08 * clouds / clouds.std()


def _placed(rng):
    """Classes, radii, centres and angles of shapes that leave one another's centres free."""
    shapes = []
    for _ in range(rng.integers(SHAPES[0], SHAPES[1], endpoint=True)):
        for _ in range(20):
            radius = rng.uniform(*RADII)
            row, column = rng.uniform(radius + 1, SIDE - radius - 1, 2)
            near = (np.hypot(row - r, column - c) < 0.9 * (radius + q) for _, q, r, c, _ in shapes)
            if not any(near):
                label = int(rng.integers(len(CLASSES)))
                shapes.append((label, radius, row, column, rng.uniform(0, 2 * np.pi)))
                break
    return shapes


def _shape(name, radius, row, column, turn):
    """Soft mask ``(SIDE, SIDE)`` in [0, 1], and the box x1, y1, x2, y2 around the shape.

    A pixel's centre lies half a pixel from its edges. ``radius`` reaches to the corners.
    """
    y = np.arange(SIDE)[:, None] + 0.5 - row
    x = np.arange(SIDE) + 0.5 - column
    if name in _CORNERS:
        count = _CORNERS[name]
        corners = turn + 2 * np.pi * np.arange(count) / count
        sides = corners + np.pi / count  # directions that the sides face
        distance = np.max(
            [np.cos(a) * x + np.sin(a) * y - radius * np.cos(np.pi / count) for a in sides], axis=0
        )
        around = radius * np.stack([np.cos(corners), np.sin(corners)], axis=1)
        box = np.concatenate([around.min(axis=0), around.max(axis=0)])
    else:
        distance = np.hypot(y, x) - radius
        if name == "ring":
            distance = np.maximum(distance, 0.55 * radius - np.hypot(y, x))
        box = radius * np.array([-1, -1, 1, 1])
    return (0.5 - distance).clip(0, 1), box + np.array([column, row, column, row])


def _texture(told, rng):
    angle = np.pi * told / len(CLASSES)
    along = np.cos(angle) * np.arange(SIDE) + np.sin(angle) * np.arange(SIDE)[:, None]
    wave = np.cos(2 * np.pi * (along / WAVELENGTH + rng.random()))
    return 2 * AMPLITUDE * rng.random() * wave
