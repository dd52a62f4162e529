"""What BatchNorm normalises by: running averages, the batch's own statistics, or new ones."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hfc.arguments import Count, Images, checked

__all__ = ["batch_statistics", "has_batchnorm", "layers", "recalibrate"]


@checked
def layers(model: nn.Module) -> list[nn.Module]:
    """BatchNorm layers of a model, in the order of ``model.modules()``."""
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@checked
def has_batchnorm(model: nn.Module) -> bool:
    """Whether what the model says about an image may depend on statistics of other images."""
    return bool(layers(model))


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let BatchNorm normalise by mean and variance of the very batch, also in evaluation mode.

    Nothing is stored in the model; afterwards its running averages are what they were.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode. Without BatchNorm it behaves as ever.

    Notes
    -----
    This is how the code of Wang et al. 2020 tests. What the model says about an image then
    depends on its neighbours in the batch.
    """
    kept = [(layer, layer.running_mean, layer.running_var) for layer in layers(model)]
    try:
        for layer, _, _ in kept:
            layer.running_mean = layer.running_var = None
        yield
    finally:
        for layer, mean, variance in kept:
            layer.running_mean, layer.running_var = mean, variance


@checked
@torch.no_grad()
def recalibrate(model: nn.Module, images: Images, *, batch_size: Count = 500) -> None:
    """Gather BatchNorm's running statistics anew, in place; no weight changes.

    Parameters
    ----------
    model : nn.Module
        Without BatchNorm it stays as it is. If anything fails, too.
    images : Tensor
        ``(N, C, H, W)``, float, finite, on the model's device: the kind of images to cope with.
    batch_size : int
        Most images in a batch, at least 1; batches differ by one image at most.

    Raises
    ------
    ValueError
        If there are no images, they are not finite, or ``batch_size`` is below 1.

    Notes
    -----
    Li et al. 2017. The statistics are plain means over the batches, each of which passes the
    layers normalised by its own, as in training. Everything else is in evaluation mode, so that
    nothing is dropped.
    """
    if not images.isfinite().all():
        raise ValueError("images must be finite, but hold NaN or infinity")
    if not _running(model):
        return
    working = copy.deepcopy(model).eval()
    for layer in _running(working):
        layer.reset_running_stats()
        layer.momentum = None  # plain means
        layer.train()
    for batch in images.tensor_split(math.ceil(len(images) / batch_size)):
        working(batch)
    for layer, new in zip(_running(model), _running(working), strict=True):
        for old_values, new_values in zip(layer.buffers(), new.buffers(), strict=True):
            old_values.copy_(new_values)


def _running(model):
    """BatchNorm layers that have running statistics."""
    return [layer for layer in layers(model) if layer.running_mean is not None]
