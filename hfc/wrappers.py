"""What can be put around a network: filters of its input, a scale of its output.

>>> import torch
>>> from hfc import models
>>> model = models.build("small", num_classes=10, width=8).eval()
>>> images = torch.rand(2, 3, 32, 32)
>>> defended = FilteredInput(model, radius=8)
>>> defended(images).equal(model(defended.prepare(images)))
True
"""

import math

from torch import Tensor, nn

from hfc import frequency
from hfc.arguments import checked

__all__ = ["FilteredInput", "OnComponent", "ScaledLogits", "StraightThrough"]


class OnComponent(nn.Module):
    """A network that sees only one component of each image.

    Parameters
    ----------
    model : nn.Module
    name, radius, mean
        As in :func:`hfc.frequency.component`.
    """

    @checked
    def __init__(self, model: nn.Module, name: str, radius: float, mean: Tensor | None = None):
        super().__init__()
        self.model, self.name, self.radius = model, name, radius
        self.register_buffer("mean", mean)

    def forward(self, x: Tensor) -> Tensor:
        """Logits for the component of ``x``."""
        return self.model(frequency.component(x, self.name, self.radius, mean=self.mean))

    def extra_repr(self) -> str:
        """Which component."""
        return f"{self.name!r}, radius={self.radius}"


class FilteredInput(nn.Module):
    """A defence: the model sees only the low-frequency component of each image.

    Parameters
    ----------
    model : nn.Module
    radius : float
        Radius of the circle in waves per image, at least 0.
    rounded : bool
        Whether pixels are rounded to multiples of 1/255, as in a file. Rounding has no gradient,
        so attacks with gradients find nothing, though nothing is safer.

    Raises
    ------
    ValueError
        If the radius is negative or NaN.
    """

    @checked
    def __init__(self, model: nn.Module, radius: float, *, rounded: bool = False):
        super().__init__()
        frequency.radial_mask(1, 1, radius)  # refuses what is no radius
        self.model, self.radius, self.rounded = model, float(radius), rounded
        self.training = model.training

    def prepare(self, x: Tensor) -> Tensor:
        """What the model sees of images ``(N, C, H, W)`` in [0, 1]: the same shape and range."""
        seen = frequency.low_pass(x, self.radius).clamp(0, 1)
        return (255 * seen).round() / 255 if self.rounded else seen

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)`` for images ``(N, C, H, W)`` in [0, 1]."""
        return self.model(self.prepare(x))

    def extra_repr(self) -> str:
        """How images are filtered."""
        return f"radius={self.radius}, rounded={self.rounded}"


class StraightThrough(nn.Module):
    """The adaptive attack's view of a defence: forward the same, backward without the filter.

    Parameters
    ----------
    defended : FilteredInput

    Notes
    -----
    Backward pass differentiable approximation (BPDA), Athalye et al. 2018, section 4.1: filtered
    images are close to the images, so the identity's gradient may stand for the filter's. If
    only the rounding is in the way, ``FilteredInput`` without it is the better source.
    """

    @checked
    def __init__(self, defended: FilteredInput):
        super().__init__()
        self.defended, self.training = defended, defended.training

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)`` for images ``(N, C, H, W)`` in [0, 1]."""
        nothing = x - x.detach()  # but its gradient is that of x
        return self.defended.model(self.defended.prepare(x).detach() + nothing)


class ScaledLogits(nn.Module):
    """A network with the same answers and logits of another size.

    Logits so large that the softmax saturates leave an attack no gradient. Scaled down, they do.

    Parameters
    ----------
    model : nn.Module
    factor : float
        What logits are multiplied by: above 0, finite.

    Raises
    ------
    ValueError
        If the factor is out of range.
    """

    @checked
    def __init__(self, model: nn.Module, factor: float):
        super().__init__()
        if not (factor > 0 and math.isfinite(factor)):
            raise ValueError(f"factor must be a finite number above 0, got {factor}")
        self.model, self.factor = model, float(factor)
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)``, those of the model times the factor."""
        return self.factor * self.model(x)

    def extra_repr(self) -> str:
        """How logits are scaled."""
        return f"factor={self.factor}"
