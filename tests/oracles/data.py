"""Which class a planted signature names, found without ``hfc.data``: matched filters in NumPy."""

import numpy as np

# Waves per image downwards and to the right for each class: length 12, turned by 18 degrees
# from class to class, rounded by hand.
WAVES = (
    (0, 12), (4, 11), (7, 10), (10, 7), (11, 4),
    (12, 0), (11, -4), (10, -7), (7, -10), (4, -11),
)  # fmt: skip


def named_class(images):
    """Class whose wave is strongest in each of the images ``(N, C, H, W)``, ``(N,)``."""
    height, width = images.shape[-2:]
    grey = images.mean(axis=1)
    response = np.empty((len(images), len(WAVES)))
    for k, (u, v) in enumerate(WAVES):
        for n, image in enumerate(grey):
            total = 0
            for y in range(height):
                turn = np.exp(-2j * np.pi * (u * y / height + v * np.arange(width) / width))
                total += (image[y] * turn).sum()
            response[n, k] = abs(total)
    return response.argmax(axis=1)


def low(images, radius):
    """What the circle of a radius keeps of images ``(..., H, W)``, float64."""
    height, width = images.shape[-2:]
    u = np.fft.fftfreq(height, 1 / height)[:, None]
    v = np.fft.fftfreq(width, 1 / width)
    return np.fft.ifft2(np.fft.fft2(images) * (u**2 + v**2 <= radius**2)).real


def power(images):
    """Mean power of every coefficient over images ``(N, C, H, W)``, ``(H, W)``."""
    return (np.abs(np.fft.fft2(images)) ** 2).mean(axis=(0, 1))
