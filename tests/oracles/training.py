"""Training of one linear layer by hand: float64 NumPy, formulas from the papers and textbooks."""

import numpy as np


def rate(step, steps, schedule):
    """Share of the highest learning rate in the middle of a step."""
    if schedule == "constant":
        return 1.0
    done = (step + 0.5) / steps
    return 4 * done if done < 0.25 else (1 - done) * 4 / 3


def loss_and_gradient(logits, labels, smoothing):
    """Cross-entropy against targets that are mixed with the uniform distribution."""
    n, classes = logits.shape
    targets = np.full((n, classes), smoothing / classes)
    targets[np.arange(n), labels] += 1 - smoothing
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_share = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(targets * log_share).sum(axis=1).mean(), (np.exp(log_share) - targets) / n


def train(weight, bias, batches, recipe):
    """Weights after the given batches ``(x, labels)``, and loss and hits of each step."""
    parameters = [weight.astype(np.float64), bias.astype(np.float64)]
    memory = [np.zeros_like(p) for p in parameters]
    squares = [np.zeros_like(p) for p in parameters]
    seen = []
    for step, (x, labels) in enumerate(batches):
        logits = x @ parameters[0].T + parameters[1]
        loss, back = loss_and_gradient(logits, labels, recipe.label_smoothing)
        seen.append((loss, (logits.argmax(axis=1) == labels).sum()))
        gradients = [back.T @ x + recipe.weight_decay * parameters[0], back.sum(axis=0)]
        lr = recipe.lr * rate(step, len(batches), recipe.schedule)
        for k, gradient in enumerate(gradients):
            if recipe.optimizer == "sgd":
                # Nesterov's momentum of 0.9: look ahead along the new velocity.
                memory[k] = 0.9 * memory[k] + gradient
                parameters[k] -= lr * (gradient + 0.9 * memory[k])
            else:
                memory[k] = 0.9 * memory[k] + 0.1 * gradient
                squares[k] = 0.999 * squares[k] + 0.001 * gradient**2
                mean = memory[k] / (1 - 0.9 ** (step + 1))
                square = squares[k] / (1 - 0.999 ** (step + 1))
                parameters[k] -= lr * mean / (np.sqrt(square) + 1e-8)
    return parameters, seen
