"""Smoothing and measures of kernels the slow way: loops over weights, in float64 NumPy."""

import numpy as np

from tests.oracles import frequency


def smooth(data, rho):
    """The authors' procedure over the *first two* axes: a 3x3 mask, 1 in the middle, rho around.

    That is right for TensorFlow's order of axes, (height, width, in, out), and wrong for
    PyTorch's, (out, in, height, width). What lies outside is the mirror image of what lies
    inside, so the border is repeated.
    """
    data = np.asarray(data, dtype=np.float64)
    result = np.zeros_like(data)
    rows, columns = data.shape[:2]
    for i, j in np.ndindex(rows, columns):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                weight = 1.0 if di == dj == 0 else rho
                result[i, j] += weight * data[_mirrored(i + di, rows), _mirrored(j + dj, columns)]
    return result


def _mirrored(index, length):
    if index < 0:
        return -1 - index
    return 2 * length - 1 - index if index >= length else index


def pairs(height, width):
    """Neighbouring places of a kernel, each pair once."""
    across = [((i, j), (i, j + 1)) for i in range(height) for j in range(width - 1)]
    down = [((i, j), (i + 1, j)) for i in range(height - 1) for j in range(width)]
    return across + down


def roughness(weight):
    """Squared differences of neighbours and sum of squares of each filter, and the gradient.

    The gradient is that of the squared differences of all filters together.
    """
    weight = np.asarray(weight, dtype=np.float64)
    rough, energy = np.zeros(len(weight)), np.zeros(len(weight))
    gradient = np.zeros_like(weight)
    for o, c in np.ndindex(weight.shape[:2]):
        for here, there in pairs(*weight.shape[2:]):
            difference = weight[o, c][here] - weight[o, c][there]
            rough[o] += difference**2
            gradient[o, c][here] += 2 * difference
            gradient[o, c][there] -= 2 * difference
        for value in weight[o, c].flat:
            energy[o] += value**2
    return rough, energy, gradient


def high_frequency_share(weight, size, radius):
    """Share of squared coefficients farther from DC than the radius, for each filter."""
    weight = np.asarray(weight, dtype=np.float64)
    far = frequency.distance(size, size)
    shares = []
    for kernels in weight:
        inside, outside = 0.0, 0.0
        for kernel in kernels:
            image = np.zeros((size, size))
            image[: kernel.shape[0], : kernel.shape[1]] = kernel
            spectrum = np.fft.fftshift(np.fft.fft2(image))
            for i, j in np.ndindex(size, size):
                if far[i, j] > radius:
                    outside += abs(spectrum[i, j]) ** 2
                else:
                    inside += abs(spectrum[i, j]) ** 2
        shares.append(outside / (inside + outside))
    return np.array(shares)
