"""What ``hfc.frequency`` must compute, the slow way: loops over images, channels and pixels.

This is the procedure of Wang et al. 2020: shift DC to the centre of the spectrum, multiply by
a mask made pixel by pixel, shift back, and keep the real part; once for each component. All
in float64 NumPy.
"""

import math

import numpy as np


def distance(height, width, *, centre=None):
    """Distance of each coefficient to DC in a shifted spectrum, ``(H, W)``."""
    top, left = (height // 2, width // 2) if centre is None else centre
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            result[i, j] = math.sqrt((i - top) ** 2 + (j - left) ** 2)
    return result


def mask(height, width, radius, *, closed, centre=None):
    """1 inside the circle, 0 outside; ``closed=False`` is the authors' code (< radius)."""
    far = distance(height, width, centre=centre)
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            inside = far[i, j] <= radius if closed else far[i, j] < radius
            result[i, j] = 1.0 if inside else 0.0
    return result


def component(image, keep):
    """Part of one ``(H, W)`` image that a shifted mask keeps."""
    spectrum = np.fft.fftshift(np.fft.fft2(image)) * keep
    return np.real(np.fft.ifft2(np.fft.ifftshift(spectrum)))


def split(images, radius, *, closed):
    """LFC and HFC of ``(..., H, W)`` images, each computed on its own."""
    images = np.asarray(images, dtype=np.float64)
    keep = mask(*images.shape[-2:], radius, closed=closed)
    low, high = np.zeros_like(images), np.zeros_like(images)
    for index in np.ndindex(images.shape[:-2]):
        low[index] = component(images[index], keep)
        high[index] = component(images[index], 1 - keep)
    return low, high


def radial_energy(image):
    """Sum and number of squared coefficients of one image on rings 0, 1, 2, ... around DC."""
    height, width = image.shape
    spectrum = np.fft.fftshift(np.fft.fft2(image)) / math.sqrt(height * width)
    far = distance(height, width)
    energy, count = {}, {}
    for i in range(height):
        for j in range(width):
            ring = math.floor(far[i, j] + 0.5)
            energy[ring] = energy.get(ring, 0.0) + abs(spectrum[i, j]) ** 2
            count[ring] = count.get(ring, 0) + 1
    return [energy[k] for k in sorted(energy)], [count[k] for k in sorted(count)]


def max_scaled(images):
    """``(N, C, H, W)`` images in [0, 1] as the authors show them: 0 to 255, brightest at 255."""
    pixels = 255 * np.asarray(images, dtype=np.float64)
    for image in pixels:
        top = max(value for channel in image for row in channel for value in row)
        if top > 0:
            image *= 255 / top
    return pixels / 255


def copies(images, name, radius, mean=None):
    """What an experiment shows of ``(N, C, H, W)`` images, by the name of the copies."""
    images = np.asarray(images, dtype=np.float64)
    keep = mask(*images.shape[-2:], radius, closed=True)
    by_name = {
        "low": keep,
        "low, scaled": keep,
        "low + half high": np.where(keep == 1, 1.0, 0.5),
        "high": 1 - keep,
        "high, scaled": 1 - keep,
        "high + mean": 1 - keep,
    }
    shown = np.zeros_like(images)
    for n, c in np.ndindex(images.shape[:2]):
        shown[n, c] = component(images[n, c], by_name[name])
        if name == "high + mean":
            shown[n, c] += mean[c]
    return max_scaled(shown) if name.endswith("scaled") else shown
