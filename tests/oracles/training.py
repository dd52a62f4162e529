"""Training of one linear layer by hand: float64 NumPy, formulas from the papers and textbooks."""

import numpy as np


def rate(step, steps, schedule):
    """Share of the highest learning rate in the middle of a step."""
    if schedule == "constant":
        return 1.0
    done = (step + 0.5) / steps
    return 4 * done if done < 0.25 else (1 - done) * 4 / 3


def loss_and_gradient(logits, targets, smoothing):
    """Cross-entropy against labels, or shares of classes, mixed with the uniform distribution."""
    n, classes = logits.shape
    if targets.ndim == 1:
        targets = np.array([[float(k == label) for k in range(classes)] for label in targets])
    targets = (1 - smoothing) * targets + smoothing / classes
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_share = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(targets * log_share).sum(axis=1).mean(), (np.exp(log_share) - targets) / n


def clipped(gradients, longest):
    """All gradients, shortened together if their common L2 norm is above ``longest``."""
    length = sum((gradient**2).sum() for gradient in gradients) ** 0.5
    return [gradient * min(1, longest / length) for gradient in gradients]


class Stepper:
    """How one parameter moves, step by step, by the formulas of each optimizer."""

    def __init__(self, parameter):
        self.memory, self.squares, self.count = 0 * parameter, 0 * parameter, 0

    def __call__(self, optimizer, gradient):
        """The step, to be multiplied by the learning rate and subtracted."""
        self.count += 1
        return getattr(self, optimizer)(gradient)

    def sgd(self, gradient):
        # Nesterov's momentum of 0.9: look ahead along the new velocity.
        self.memory = 0.9 * self.memory + gradient
        return gradient + 0.9 * self.memory

    def adam(self, gradient):
        self.memory = 0.9 * self.memory + 0.1 * gradient
        self.squares = 0.999 * self.squares + 0.001 * gradient**2
        mean = self.memory / (1 - 0.9**self.count)
        return mean / (np.sqrt(self.squares / (1 - 0.999**self.count)) + 1e-8)

    def adagrad(self, gradient):
        self.squares = self.squares + gradient**2
        return gradient / (np.sqrt(self.squares) + 1e-10)

    def adadelta(self, gradient):
        self.squares = 0.9 * self.squares + 0.1 * gradient**2
        step = np.sqrt(self.memory + 1e-6) / np.sqrt(self.squares + 1e-6) * gradient
        self.memory = 0.9 * self.memory + 0.1 * step**2  # of squared steps
        return step

    def rmsprop(self, gradient):
        self.squares = 0.99 * self.squares + 0.01 * gradient**2
        return gradient / (np.sqrt(self.squares) + 1e-8)


def train(weight, bias, batches, recipe):
    """Weights after the given batches, and loss and hits of each step.

    A batch is ``(x, labels)`` or ``(x, targets)``, where the largest share of a target is
    the one to hit.
    """
    parameters = [weight.astype(np.float64), bias.astype(np.float64)]
    steppers = [Stepper(p) for p in parameters]
    seen = []
    for step, (x, targets) in enumerate(batches):
        logits = x @ parameters[0].T + parameters[1]
        loss, back = loss_and_gradient(logits, targets, recipe.label_smoothing)
        labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
        seen.append((loss, (logits.argmax(axis=1) == labels).sum()))
        gradients = [back.T @ x, back.sum(axis=0)]
        if recipe.gradient_clip is not None:
            gradients = clipped(gradients, recipe.gradient_clip)
        gradients[0] = gradients[0] + recipe.weight_decay * parameters[0]
        lr = recipe.lr * rate(step, len(batches), recipe.schedule)
        for k, gradient in enumerate(gradients):
            parameters[k] = parameters[k] - lr * steppers[k](recipe.optimizer, gradient)
    return parameters, seen
