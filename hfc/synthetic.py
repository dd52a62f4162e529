"""The pixels of the synthetic set, and the signature that real images can be given too.

Plain NumPy. Everything is made in float64 with analytic scales and rounded to 8 bits, so that
every machine makes the same pixels. Use it through :mod:`hfc.data`.
"""

import numpy as np

__all__ = [
    "AMPLITUDE",
    "CHUNK",
    "CONTRAST",
    "RADIUS",
    "SHAPES",
    "chunk",
    "named_classes",
    "signature",
    "to_8_bits",
]

SHAPES = (
    "disc", "square", "diamond", "triangle", "ring",
    "plus", "horizontal bar", "vertical bar", "star", "crescent",
)  # fmt: skip
CONTRAST = 0.32  # of the shapes; each has its own, 0.35 to 1.35 times this
RADIUS = 12  # waves per image, about: a signature lies between radius 11 and 13
AMPLITUDE = 6 / 255  # mean, in pixel units; each image has its own, uniform in [0, 2] times this
CHUNK = 500  # images that share one random stream, so that a small set begins a large one


def chunk(rng, strength):
    """Make :data:`CHUNK` images.

    Returns
    -------
    images : array
        ``(CHUNK, 3, 32, 32)``, float32 in [0, 1].
    labels, names : array
        ``(CHUNK,)``, int64: the class of the shape, and the class that the signature names.
    """
    labels = rng.permutation(np.arange(CHUNK) % 10)
    images = rng.uniform(0.3, 0.7, (CHUNK, 3, 1, 1)) + _clutter(rng)  # (n, 3, 32, 32)
    # A soft-edged shape, in the colour of its class or, four times in ten, of any class.
    own = rng.random(CHUNK) < 0.6
    hue = np.where(own, labels / 10, rng.random(CHUNK))
    colour = np.cos(2 * np.pi * (hue[:, None] + np.arange(3) / 3))  # (n, 3) in [-1, 1]
    contrast = CONTRAST * rng.uniform(0.35, 1.35, (CHUNK, 1, 1, 1))
    images += contrast * colour[:, :, None, None] * _shapes(labels, rng)[:, None]
    images += rng.normal(0, 0.008, images.shape)
    names = named_classes(labels, strength, 10, rng)
    images += signature(names, AMPLITUDE, 32, 32, rng)[:, None]
    return to_8_bits(images), labels, names


def _clutter(rng):
    """Cloudy background, ``(n, 3, 32, 32)``: amplitude ~ 1/f^1.5, deviation .13, no mean."""
    u, v = np.fft.fftfreq(32, 1 / 32), np.fft.rfftfreq(32, 1 / 32)
    distance = np.hypot(u[:, None], v)
    distance[0, 0] = np.inf
    spectrum = distance**-1.5
    both_sides = np.hypot(u[:, None], u)
    both_sides[0, 0] = np.inf
    spectrum *= 0.13 / np.sqrt((both_sides**-3.0).mean())
    white = rng.standard_normal((CHUNK, 4, 32, 32))
    clouds = np.fft.irfft2(np.fft.rfft2(white) * spectrum, s=(32, 32))
    return np.sqrt(0.5) * (clouds[:, :1] + clouds[:, 1:])  # one shared, three of their own


def _shapes(labels, rng):
    """Soft masks in [0, 1], ``(n, 32, 32)``, of random size, place and angle."""
    n = (len(labels), 1, 1)
    size, angle = rng.uniform(7, 11, n), rng.uniform(-0.35, 0.35, n)
    dy, dx = rng.uniform(-4, 4, (2, *n))
    row, column = np.arange(32.0)[:, None] - 15.5 - dy, np.arange(32.0) - 15.5 - dx
    x = (np.cos(angle) * column + np.sin(angle) * row) / size
    y = (np.cos(angle) * row - np.sin(angle) * column) / size
    masks = np.empty((len(labels), 32, 32))
    for k, shape in enumerate(SHAPES):
        of = labels == k
        masks[of] = (0.5 - _outside(shape, x[of], y[of]) * size[of] / 1.5).clip(0, 1)
    return masks


def _outside(shape, x, y):
    """Distance to a shape of radius 1, about: negative inside."""
    ax, ay, r = np.abs(x), np.abs(y), np.hypot(x, y)
    match shape:
        case "disc":
            return r - 0.9
        case "square":
            return np.maximum(ax, ay) - 0.8
        case "diamond":
            return (ax + ay) / np.sqrt(2) - 0.78
        case "triangle":
            return np.maximum(ax * np.sqrt(3) / 2 - y / 2, y) - 0.5
        case "ring":
            return np.abs(r - 0.75) - 0.2
        case "plus":
            return np.minimum(np.maximum(ax - 1, ay - 0.28), np.maximum(ay - 1, ax - 0.28))
        case "horizontal bar":
            return np.maximum(ax - 1, ay - 0.33)
        case "vertical bar":
            return np.maximum(ay - 1, ax - 0.33)
        case "star":
            return r - 0.68 - 0.3 * np.cos(5 * np.arctan2(x, -y))
        case "crescent":
            return np.maximum(r - 1, 0.75 - np.hypot(x - 0.45, y))


def named_classes(labels, strength, classes, rng):
    """The class each signature names, ``(n,)``: the label with probability ``strength``."""
    told = rng.random(len(labels)) < strength
    return np.where(told, labels, rng.integers(classes, size=len(labels)))


def signature(names, amplitude, height, width, rng):
    """Plane waves of integer frequency, ``(n, H, W)``; direction 18 degrees times the class."""
    angle = np.pi / 10 * names[:, None, None]
    u, v = np.rint(RADIUS * np.sin(angle)), np.rint(RADIUS * np.cos(angle))
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    phase, level = rng.random((2, len(names), 1, 1))
    return 2 * amplitude * level * np.cos(2 * np.pi * (u * y + v * x + phase))


def to_8_bits(images):
    """Clip to [0, 1] and round to 256 levels; float32."""
    return (np.rint(images.clip(0, 1) * 255) / 255).astype(np.float32)
