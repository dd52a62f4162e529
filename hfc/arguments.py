"""What public functions may be given, checked at their door by their annotations.

>>> @checked
... def double(x: float) -> float:
...     return 2 * x
>>> double(2)
4
>>> double("2")
Traceback (most recent call last):
    ...
TypeError: x must be a number, got '2'
"""

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

__all__ = ["Colour", "Count", "Images", "Labels", "Seed", "check_fields", "checked"]


@dataclass(frozen=True)
class _Form:
    """What a tensor must look like: names of its axes (``1`` for one of that length), dtype."""

    axes: tuple[str, ...]
    floating: bool = True

    def check(self, name, value):
        wanted = "a floating-point" if self.floating else "an int64"
        right = value.is_floating_point() if self.floating else value.dtype == torch.int64
        if not right:
            raise TypeError(f"{name} must be {wanted} tensor, got {value.dtype}")
        ones = [axis == "1" for axis in self.axes]
        fits = value.ndim == len(ones) and all(
            n == 1 for n, one in zip(value.shape, ones, strict=True) if one
        )
        if not fits:
            axes = ", ".join(self.axes) + ("," if len(ones) == 1 else "")
            raise ValueError(f"{name} must have shape ({axes}), got {tuple(value.shape)}")
        if value.numel() == 0:
            got = "none" if value.shape[0] == 0 else f"shape {tuple(value.shape)}"
            what = {"N": "image", "C": "channel"}[self.axes[0]]
            raise ValueError(f"{name} must hold at least one {what}, got {got}")


@dataclass(frozen=True)
class _AtLeast:
    """The smallest value of a number."""

    least: int

    def check(self, name, value):
        if value < self.least:
            raise ValueError(f"{name} must be at least {self.least}, got {value}")


Images = typing.Annotated[Tensor, _Form(("N", "C", "H", "W"))]
Labels = typing.Annotated[Tensor, _Form(("N",), floating=False)]
Colour = typing.Annotated[Tensor, _Form(("C", "1", "1"))]
Count = typing.Annotated[int, _AtLeast(1)]
Seed = typing.Annotated[int, _AtLeast(0)]

_WORDS = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    str: "text",
    type(None): "None",
    Tensor: "a torch.Tensor",
    os.PathLike: "a path",
    Callable: "callable",
}


def checked(function: Callable) -> Callable:
    """Refuse arguments of a wrong type before a function begins.

    Parameters
    ----------
    function : callable
        With annotations. ``float`` takes any real number and ``Sequence[float]`` arrays and
        ranges, too; :data:`Images`, :data:`Labels` and :data:`Colour` are tensors of their
        shapes and dtypes, a :data:`Count` is at least 1, a :data:`Seed` at least 0.

    Returns
    -------
    callable
        It raises TypeError, or ValueError where a shape or a number is out of range; the text
        names the argument, what came and what is wanted.
    """
    names = list(inspect.signature(function).parameters)
    hints = functools.cache(lambda: typing.get_type_hints(function, include_extras=True))

    @functools.wraps(function)
    def door(*args, **kwargs):
        known = hints()
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            if name in known:
                _check(name, value, known[name])
        return function(*args, **kwargs)

    return door


def check_fields(values) -> None:
    """The same for the fields of a dataclass."""
    for name, hint in typing.get_type_hints(type(values), include_extras=True).items():
        _check(name, getattr(values, name), hint)


def _check(name, value, hint):
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    options = typing.get_args(hint) if union else (hint,)
    for option in options:
        form = None
        if typing.get_origin(option) is typing.Annotated:
            option, form = typing.get_args(option)
        if _fits(value, option):
            if isinstance(value, Tensor) and (value.is_meta or value.layout != torch.strided):
                raise ValueError(f"{name} must hold values, got {_told(value)}")
            if form is not None:
                form.check(name, value)
            elif typing.get_origin(option) is Sequence:
                _check_each(name, value, typing.get_args(option))
            return
    wanted = " or ".join(map(_wanted, options))
    raise TypeError(f"{name} must be {wanted}, got {_told(value)}")


def _check_each(name, values, hints):
    for value in values:
        for hint in hints:
            if not _fits(value, hint):
                wanted = _wanted(hint).removeprefix("a ")
                raise TypeError(f"{name} must hold {wanted}s, got {_told(value)}")


def _fits(value, hint):
    if hint is typing.Any or isinstance(hint, typing.TypeVar):
        return True
    if hint is float:
        if isinstance(value, Tensor):
            return value.ndim == 0 and not value.is_complex() and value.dtype != torch.bool
        return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if hint is int:
        whole = isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
        return whole and abs(value) < 2**63
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    kind = typing.get_origin(hint) or hint
    if kind is Sequence:
        several = hasattr(value, "__len__") and hasattr(value, "__iter__")
        flat = getattr(value, "ndim", 1) == 1
        return several and flat and not isinstance(value, str | bytes | Mapping | set)
    return isinstance(value, kind)


def _wanted(hint):
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    kind = typing.get_origin(hint) or hint
    if kind is Sequence:
        return f"a sequence of {_wanted(typing.get_args(hint)[0]).removeprefix('a ')}s"
    if kind in _WORDS:
        return _WORDS[kind]
    if kind.__module__ == "builtins":
        return f"a {kind.__name__}"
    return f"a {kind.__name__} of {kind.__module__.partition('.')[0]}"


def _told(value):
    if isinstance(value, str | bytes | int | float | complex | type(None)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(value, Tensor):
        kind = "meta tensor" if value.is_meta else "tensor"
        kind = kind if value.layout == torch.strided else "sparse tensor"
        return f"a {kind} of shape {tuple(value.shape)} and {value.dtype}"
    return type(value).__name__
