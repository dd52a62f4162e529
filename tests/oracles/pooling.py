"""Pooling with loops: one pixel of the result at a time."""

import itertools

import numpy as np


def _reflected(k, n):
    """Place within 0 to n - 1 of a place that lies one beyond the border at most."""
    return 1 if k < 0 else n - 2 if k >= n else k


def blur_pool(x):
    """Largest of 2x2 pixels, then weights 1, 2, 1 along both axes, for one map ``(H, W)``."""
    height, width = (n - 1 for n in x.shape)
    highest = np.empty((height, width))
    for i, j in itertools.product(range(height), range(width)):
        highest[i, j] = max(x[i, j], x[i + 1, j], x[i, j + 1], x[i + 1, j + 1])
    pooled = np.zeros((x.shape[0] // 2, x.shape[1] // 2))
    for i, j in itertools.product(*map(range, pooled.shape)):
        for (a, down), (b, right) in itertools.product(enumerate((1, 2, 1)), repeat=2):
            y, z = _reflected(2 * i + a - 1, height), _reflected(2 * j + b - 1, width)
            pooled[i, j] += down * right * highest[y, z] / 16
    return pooled


def low_pass_pool(x):
    """Sum over the waves of one map ``(H, W)``, both even, that the half map can hold."""
    height, width = x.shape
    pooled = np.zeros((height // 2, width // 2))
    y, z = np.mgrid[:height, :width]
    down, right = np.mgrid[: height // 2, : width // 2]
    for u in range(-(height // 4), height // 4 + 1):
        for v in range(-(width // 4), width // 4 + 1):
            share = (0.5 if 4 * abs(u) == height else 1) * (0.5 if 4 * abs(v) == width else 1)
            turned = np.exp(-2j * np.pi * (u * y / height + v * z / width))
            coefficient = (x * turned).mean()
            wave = np.exp(2j * np.pi * (2 * u * down / height + 2 * v * right / width))
            pooled += share * (coefficient * wave).real
    return pooled
