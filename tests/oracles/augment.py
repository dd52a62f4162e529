"""Mixed images and attacked images, one at a time, in float64 NumPy."""

import numpy as np


def mixed(images, labels, own, partner, classes):
    """Images and targets in which a share ``own`` is their own and the rest their partner's."""
    shown, targets = [], np.zeros((len(images), classes))
    for n, other in enumerate(partner):
        shown.append(own * images[n].astype(np.float64) + (1 - own) * images[other])
        targets[n, labels[n]] += own
        targets[n, labels[other]] += 1 - own
    return np.array(shown), targets


def shares(weight, image):
    """What the linear model ``weight`` (classes x pixels) makes of one image: class shares."""
    logits = weight @ image.reshape(-1)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def ascent(weight, image, label, start, epsilon, steps):
    """One image's way up the loss of a linear model, from ``start`` on, with each stop."""
    stops = [start.astype(np.float64)]
    for _ in range(steps):
        towards = shares(weight, stops[-1])
        towards[label] -= 1  # derivative of the cross-entropy by the logits
        gradient = (weight.T @ towards).reshape(image.shape)
        step = stops[-1] + 2.5 * epsilon / steps * np.sign(gradient)
        lowest, highest = np.maximum(image - epsilon, 0), np.minimum(image + epsilon, 1)
        stops.append(np.minimum(np.maximum(step, lowest), highest))
    return stops
