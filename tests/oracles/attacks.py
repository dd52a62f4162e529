"""Attacks whose best outcome is known: by formula, by linear programming, by counting; NumPy."""

import numpy as np
from scipy.optimize import linprog


def outside(shape, component, radius):
    """Which coefficients ``(H, W)`` of a spectrum a component does not hold."""
    height, width = shape
    u = np.fft.fftfreq(height, 1 / height)[:, None]
    v = np.fft.fftfreq(width, 1 / width)
    far = u**2 + v**2 > radius**2 + 1e-9
    return far if component == "low" else ~far


def leak(change, component, radius):
    """Largest coefficient of perturbations ``(..., H, W)`` outside a component."""
    spectrum = np.fft.fft2(np.asarray(change, dtype=np.float64), norm="ortho")
    return np.abs(spectrum * outside(change.shape[-2:], component, radius)).max()


def confined(direction, component, radius):
    """The part of ``(..., H, W)`` that a component holds."""
    spectrum = np.fft.fft2(np.asarray(direction, dtype=np.float64))
    return np.fft.ifft2(spectrum * ~outside(direction.shape[-2:], component, radius)).real


def farthest(direction, epsilon, component, radius):
    """How far one ``(H, W)`` image can go along a direction, within component and L-inf ball."""
    pixels = direction.size
    units = np.eye(pixels).reshape(pixels, *direction.shape)
    forbidden = outside(direction.shape, component, radius).ravel()
    waves = np.fft.fft2(units).reshape(pixels, pixels).T[forbidden]
    nothing = np.concatenate([waves.real, waves.imag])
    solution = linprog(
        -direction.ravel(),
        A_eq=nothing,
        b_eq=np.zeros(len(nothing)),
        bounds=[(-epsilon, epsilon)] * pixels,
    )
    assert solution.status == 0
    return -solution.fun


def waves(change):
    """Places of the coefficients of one real ``(H, W)`` image, conjugates together."""
    height, width = change.shape
    size = np.abs(np.fft.fft2(np.asarray(change, dtype=np.float64)))
    places = np.argwhere(size > 1e-3 * size.max()).tolist()
    return {frozenset([(i, j), (-i % height, -j % width)]) for i, j in places}


def cumulative(right, outcomes):
    """Share still right at each size, if an image once broken stays broken: {size: right?}."""
    shares = {}
    for size in outcomes:
        tries = [outcomes[smaller] for smaller in outcomes if smaller <= size]
        shares[size] = np.mean([all([ok, *row]) for ok, *row in zip(right, *tries, strict=True)])
    return shares


def bounds(labels, answers, to_copies, distances, epsilon):
    """A row of the low-pass bound, and of all copies together; arrays by radius, then image."""
    rows, joint = [], 0
    for copy_answers, copy_distances in zip(to_copies, distances, strict=True):
        broken = differs = 0
        for label, answer, other, far in zip(
            labels, answers, copy_answers, copy_distances, strict=True
        ):
            differs += other != answer
            broken += answer == label and other != label and far <= epsilon
        n, right = len(labels), sum(a == y for a, y in zip(answers, labels, strict=True))
        rows.append(
            {
                "bound": (right - broken) / n,
                "broken": broken / n,
                "differs": differs / n,
                "distance": np.median(copy_distances),
            }
        )
    for k, label in enumerate(labels):
        close = [a[k] for a, d in zip(to_copies, distances, strict=True) if d[k] <= epsilon]
        joint += answers[k] == label and all(answer == label for answer in close)
    return rows, joint / len(labels)
