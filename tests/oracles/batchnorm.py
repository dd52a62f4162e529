"""BatchNorm in float64 NumPy."""

import math

import numpy as np


def batch_norm(x, scale, shift, epsilon):
    """``(N, C, H, W)`` normalised by its own statistics; mean and unbiased variance as well."""
    x, scale, shift = (np.asarray(values, dtype=np.float64) for values in (x, scale, shift))
    result, means, variances = np.zeros_like(x), [], []
    for c in range(x.shape[1]):
        values = x[:, c].reshape(-1)
        mean = sum(values) / len(values)
        squares = sum((values - mean) ** 2)
        deviation = math.sqrt(squares / len(values) + epsilon)
        result[:, c] = (x[:, c] - mean) / deviation * scale[c] + shift[c]
        means.append(mean)
        variances.append(squares / (len(values) - 1))
    return result, np.array(means), np.array(variances)
