"""Numbers as values: what was measured, by seed and by key.

>>> import pandas as pd
>>> rows = pd.DataFrame({
...     "seed": [0, 1, 0, 1], "radius": [4.0, 4.0, 8.0, 8.0],
...     "high + mean": [0.54, 0.56, 0.21, 0.25], "low": [0.30, 0.34, 0.52, 0.50],
... })
>>> measured = Measurements.of(rows, ["radius"])
>>> measured.at(radius=4).high_mean
55 ± 13
>>> (measured.at(radius=4).high_mean - measured.at(radius=4).low).percent
23 %
>>> [round(mean) for mean in measured.high_mean.curve()[1]]
[55, 23]
"""

import dataclasses
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hfc.display.text import Said
from hfc.flags import Flag
from hfc.intervals import mean_interval

__all__ = ["Measured", "Measurements"]

# Accuracies are stored from single precision: 29 of 100 is 0.28999999. One image is far more.
ROUNDING = 1e-6
_FLAGGED = ("accuracy", "robust")  # how names of numbers begin that flags belong to


@dataclass(frozen=True, repr=False, eq=False)
class Measured:
    """One number for each seed, and for each value of the keys that are left open.

    Shown as mean and half of the 95 % interval over seeds, ``"55 ± 2"``, one seed as its number: a
    share in [0, 1] in percent, unless :meth:`number` or :meth:`times` say otherwise. A ``⚑`` tells
    that the number of some seed is flagged. Arithmetic pairs numbers by seed and by key.

    Attributes
    ----------
    array : xarray.DataArray
        The numbers, with an axis ``seed`` and one for each open key.
    there : xarray.DataArray
        Of the same shape, bool: what was measured. A number that was measured can be NaN.
    flagged : xarray.DataArray, optional
        Of the same shape: tuples of :class:`hfc.flags.Flag`.
    factor, decimals : float, int
        How a number is shown: times ``factor``, with so many decimals.
    """

    array: xr.DataArray
    there: xr.DataArray
    flagged: xr.DataArray | None = None
    factor: float = 100.0
    decimals: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are open."""
        return tuple(name for name in self.array.dims if name != "seed")

    @property
    def _series(self):
        if self.keys:
            raise ValueError(
                f"one number a seed is needed, but {', '.join(self.keys)} is open; "
                "use .at(...) or .curve()"
            )
        return self.array[self.there.values].to_series()

    @property
    def seeds(self) -> list[int]:
        """Seeds that were measured."""
        return self._series.index.tolist()

    @property
    def values(self) -> list[float]:
        """One number a seed, as it was measured."""
        return self._series.tolist()

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return mean_interval(self.values)[0]

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval over seeds; NaN with one seed."""
        return mean_interval(self.values)[1]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval over seeds; NaN with one seed."""
        return mean_interval(self.values)[2]

    @property
    def half(self) -> float:
        """Half of the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def flags(self) -> list[tuple[Flag, ...]]:
        """The flags of every number that was measured, none for those that carry no flags."""
        if self.flagged is None:
            return []
        return self.flagged.values[self.there.values].tolist()

    # Shown -----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self.keys:
            return f"<Measured over {', '.join(self.keys)}>"
        mean, low, high = (self.factor * value for value in mean_interval(self.values))
        text = f"{mean:.{self.decimals}f}"
        if len(self.values) > 1:
            text += f" ± {(high - low) / 2:.{self.decimals}f}"
        return text.replace("-", "−") + (" ⚑" if any(self.flags) else "")

    @property
    def percent(self) -> Said:
        """The mean alone, a share in whole percent."""
        return Said(f"{100 * self.mean:.0f} %".replace("-", "−"))

    @property
    def mean_text(self) -> Said:
        """The mean alone, as it is shown."""
        return Said(f"{self.factor * self.mean:.{self.decimals}f}".replace("-", "−"))

    def number(self, decimals: int) -> "Measured":
        """The same, shown as it is and with so many decimals."""
        return self.times(1, decimals)

    def times(self, factor: float, decimals: int = 0) -> "Measured":
        """The same, shown multiplied by ``factor``: 255 for pixel units."""
        return dataclasses.replace(self, factor=factor, decimals=decimals)

    @property
    def without_flags(self) -> "Measured":
        """The same, with no flags: for accuracy that no attack has touched."""
        return dataclasses.replace(self, flagged=None)

    # Narrowed ---------------------------------------------------------------------------------

    def at(self, **keys) -> "Measured":
        """The numbers where keys have given values; see :meth:`Measurements.at`."""
        where = _indexers(self.array, keys)
        flagged = None if self.flagged is None else self.flagged.isel(where)
        return dataclasses.replace(
            self, array=self.array.isel(where), there=self.there.isel(where), flagged=flagged
        )

    def curve(self) -> tuple[list, list[float], list[float], list[float]]:
        """A line with a band, for :mod:`hfc.display`: x, mean, low, high, as they are shown.

        Raises
        ------
        ValueError
            Unless just one key is open.
        """
        if len(self.keys) != 1:
            raise ValueError(f"a curve needs one open key, got {', '.join(self.keys) or 'none'}")
        (key,) = self.keys
        measured = self.there.any("seed").values
        x = self.array[key].values[measured].tolist()
        rows = [mean_interval(self.at(**{key: value}).values) for value in x]
        columns = zip(*rows, strict=True)
        return (x, *([float(self.factor * number) for number in column] for column in columns))

    # Computed ---------------------------------------------------------------------------------

    def apply(self, function: Callable[[xr.DataArray], xr.DataArray]) -> "Measured":
        """A function of the numbers, such as ``lambda x: x.cumsum("distance")``.

        It can drop axes; what is left then counts as measured where anything on them was.
        """
        array = function(self.array)
        lost = [name for name in self.array.dims if name not in array.dims]
        there = (self.there.any(lost) if lost else self.there).transpose(*array.dims)
        return dataclasses.replace(self, array=array, there=there, flagged=None)

    def _with(self, other, operation):
        if not isinstance(other, Measured):
            return self.apply(lambda array: operation(array, other))
        array = operation(self.array, other.array)  # xarray pairs by label and drops the rest
        there = (self.there & other.there).reindex_like(array, fill_value=False)
        return Measured(array, there.transpose(*array.dims), None, self.factor, self.decimals)

    def __add__(self, other):
        return self._with(other, operator.add)

    def __sub__(self, other):
        return self._with(other, operator.sub)

    def __rsub__(self, other):
        return self._with(other, lambda own, number: number - own)

    def __mul__(self, other):
        return self._with(other, operator.mul)

    def __truediv__(self, other):
        return self._with(other, operator.truediv)

    def __neg__(self):
        return self.apply(operator.neg)

    __radd__, __rmul__ = __add__, __mul__

    # Judged -----------------------------------------------------------------------------------

    def clearly_above(self, bound: float = 0.0) -> bool:
        """Whether the whole 95 % interval over seeds lies above ``bound``.

        Raises
        ------
        ValueError
            If there is one seed only, or a number is NaN: that must not decide anything.
        """
        return bool(self._interval()[0] > bound)

    def clearly_below(self, bound: float = 0.0) -> bool:
        """Whether the whole interval lies below ``bound``; errors as :meth:`clearly_above`."""
        return bool(self._interval()[1] < bound)

    def _interval(self):
        values = self.values
        if len(values) < 2 or np.isnan(values).any():
            raise ValueError(f"an interval needs two seeds and no NaN, got {values}")
        return mean_interval(values)[1:]


class Measurements:
    """Everything that was measured, labelled by seed and keys.

    An attribute or an item is a :class:`Measured`: ``measurements["high + mean"]`` is
    ``measurements.high_mean``. Keys for which a single value was measured need not be named.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :meth:`of` makes it.
    """

    def __init__(self, dataset: xr.Dataset):
        self._dataset = dataset

    @classmethod
    def of(cls, rows: pd.DataFrame, keys: Sequence[str]) -> "Measurements":
        """From a table with a row for each measurement.

        Parameters
        ----------
        rows : DataFrame
            Columns ``seed``, the keys, and what was measured; ``flags`` is a text, see
            :class:`hfc.study.results.Unit`. If ``original`` is among these,
            networks can be matched by it (:meth:`at_accuracy`); where BatchNorm was tested by
            several statistics, by that of the running ones, because it belongs to the same
            weights.
        keys : sequence of str

        Raises
        ------
        ValueError
            If two rows have the same seed and keys.
        """
        index = ["seed", *keys]
        twice = rows.duplicated(index)
        if twice.any():
            raise ValueError(
                f"rows must differ in {', '.join(index)}, got twice "
                f"{rows[twice].iloc[0][index].to_dict()}"
            )
        if "flags" in rows:
            rows = rows.assign(flags=rows["flags"].map(_flags))
        dataset = rows.assign(_there=True).set_index(index).to_xarray()
        dataset["_there"] = dataset["_there"].fillna(False).astype(bool)
        texts = [key for key in keys if rows[key].dtype.kind not in "if"]
        dataset = dataset.sel({key: pd.unique(rows[key]) for key in texts})  # as they came
        if "original" in dataset:
            match = dataset["original"]
            if "statistics" in keys:
                match = match.sel(statistics="running", company="alone", drop=True)
            dataset["_match"] = match.broadcast_like(dataset["_there"]).transpose(*index)
        return cls(dataset)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are open."""
        return tuple(name for name in self._dataset["_there"].dims if name != "seed")

    @property
    def columns(self) -> list[str]:
        """Names of what was measured."""
        return [str(name) for name in self._dataset if not name.startswith("_")]

    @property
    def seeds(self) -> list[int]:
        """Seeds for which something was measured, in ascending order."""
        there = self._dataset["_there"]
        kept = there.any([name for name in there.dims if name != "seed"])
        return sorted(there["seed"].values[kept.values].tolist())

    def labels(self, key: str) -> list:
        """Values of an open key for which something was measured; numbers ascend."""
        if key not in self.keys:
            raise ValueError(f"key must be one of {', '.join(self.keys)}, got {key!r}")
        others = [name for name in self._dataset["_there"].dims if name != key]
        return self._dataset[key].values[self._dataset["_there"].any(others).values].tolist()

    def __getitem__(self, column: str) -> Measured:
        if column not in self.columns:
            raise KeyError(f"{column!r} was not measured, only {', '.join(self.columns)}")
        there = self._dataset["_there"]
        if not there.any():
            raise KeyError(f"{column!r} was not measured there")
        only = {key: there.any([d for d in there.dims if d != key]).values for key in self.keys}
        where = {key: int(kept.argmax()) for key, kept in only.items() if kept.sum() == 1}
        flagged = None
        if column.startswith(_FLAGGED) and "flags" in self._dataset:
            flagged = self._dataset["flags"].isel(where)
        return Measured(self._dataset[column].isel(where), there.isel(where), flagged)

    def __getattr__(self, name: str) -> Measured:
        if not name.startswith("_"):
            for column in self.columns:
                if name == re.sub(r"\W+", "_", column):
                    return self[column]
        raise AttributeError(f"{name!r} was not measured")

    def __dir__(self):
        return [*super().__dir__(), *(re.sub(r"\W+", "_", column) for column in self.columns)]

    def __repr__(self) -> str:
        keys = ", ".join(f"{key} ({len(self.labels(key))})" for key in self.keys)
        return f"<{', '.join(self.columns)} by {keys or 'nothing'}, {len(self.seeds)} seeds>"

    def at(self, **keys) -> "Measurements":
        """Part of the measurements, where keys have given values.

        Parameters
        ----------
        **keys
            A value closes its key; a list or tuple of values leaves it open. Of numbers the
            nearest stored one is meant, if it is within 0.1 %.

        Raises
        ------
        ValueError
            If there is no such key or value; the text names those there are.
        """
        return Measurements(self._dataset.isel(_indexers(self._dataset["_there"], keys)))

    def without(self, **keys) -> "Measurements":
        """The measurements without one value of each of the given keys."""
        dataset = self._dataset
        for key, value in keys.items():
            drop = _place(dataset["_there"], key, value)
            dataset = dataset.isel({key: [k for k in range(dataset.sizes[key]) if k != drop]})
        return Measurements(dataset)

    @property
    def last(self) -> "Measurements":
        """The measurements after the last measured epoch, of each training its own."""
        there = self._dataset["_there"]
        if "epoch" not in there.dims:
            raise ValueError("epoch must be open, but was closed or never measured")
        place = xr.DataArray(np.arange(there.sizes["epoch"]), dims="epoch")
        last = place.where(there, -1).max("epoch")
        if (last == last.max()).where(last >= 0, True).all():  # one and the same for all
            return self.at(epoch=self._dataset["epoch"].values[int(last.max())])
        dataset = self._dataset.isel(epoch=last).drop_vars("epoch")
        dataset["_there"] = dataset["_there"] & (last >= 0)
        return Measurements(dataset)

    def common_accuracy(self) -> float:
        """Highest accuracy, in whole percent, that every network reached in its training."""
        best = self._matched().max("epoch")
        best = best.where(self._dataset["_there"].any("epoch")).min().item()
        return float(np.floor(100 * (best + ROUNDING)) / 100)

    def at_accuracy(self, level: float) -> "Measurements":
        """Measurements at the moment when each network reached a given accuracy.

        Parameters
        ----------
        level : float
            Accuracy on originals, in [0, 1].

        Returns
        -------
        Measurements
            Without ``epoch``: every number between the last measured epoch below the level and
            the next, on a straight line. NaN where a network was above the level when first
            measured, or never reached it.
        """
        there, match = self._dataset["_there"], self._matched()
        reached = (match >= level - ROUNDING) & there
        after = reached.argmax("epoch")
        place = xr.DataArray(np.arange(there.sizes["epoch"]), dims="epoch")
        before = place.where(there & (place < after), -1).max("epoch")
        found = reached.any("epoch") & (before >= 0)
        first, second = match.isel(epoch=before), match.isel(epoch=after)
        share = ((level - first) / (second - first)).where(found)
        numbers = {}
        for column in self.columns:
            values = self._dataset[column]
            if values.dtype.kind in "if":
                start, end = values.isel(epoch=before), values.isel(epoch=after)
                numbers[column] = (start + share * (end - start)).drop_vars(
                    "epoch", errors="ignore"
                )
        return Measurements(xr.Dataset(numbers | {"_there": there.any("epoch")}))

    def at_three_levels(self) -> dict[str, "Measurements"]:
        """The measurements at the common accuracy, and 5 and 10 points below, by level in words.

        A difference that depends on where networks are compared shows here. The levels are closer
        where some network was above the lowest of them when it was first measured.

        Raises
        ------
        ValueError
            If some network was first measured above what another one reached.
        """
        best = self.common_accuracy()
        match = self._matched()
        first = match.isel(epoch=match.notnull().argmax("epoch")).max().item()
        lowest = float(np.ceil(100 * (first + 2 * ROUNDING)) / 100)  # above it, whatever the digits
        if lowest >= best:
            raise ValueError(
                f"networks cannot be matched: one began at {100 * first:.1f} %, and not all "
                f"reached more than {100 * best:.0f} %"
            )
        step = min(0.05, (best - lowest) / 2)
        levels = (best, best - step, best - 2 * step)
        return {f"{100 * level:.3g} %": self.at_accuracy(level) for level in levels}

    def _matched(self):
        if "epoch" not in self.keys or "_match" not in self._dataset:
            raise ValueError("networks can be matched if epoch is open and original was measured")
        return self._dataset["_match"].where(self._dataset["_there"])


def _flags(text):
    return tuple(Flag.decode(part) for part in text.split("; ") if part)


def _indexers(array, keys):
    """Places of the given values on the axes of an array."""
    return {
        key: [_place(array, key, v) for v in value]
        if isinstance(value, list | tuple)
        else _place(array, key, value)
        for key, value in keys.items()
        if not _closed_at(array, key, value)
    }


def _closed_at(array, key, value):
    """Whether a key is closed, at this very value: then there is nothing to choose."""
    closed = key in array.coords and not array.coords[key].dims
    return closed and array.coords[key].item() == value


def _place(array, key, value):
    if key in array.coords and not array.coords[key].dims:  # closed
        held = array.coords[key].item()
        raise ValueError(f"{key} must be left out: it is closed, at {held!r}, got {value!r}")
    if key == "seed" or key not in array.dims:
        open_keys = ", ".join(str(name) for name in array.dims if name != "seed")
        raise ValueError(f"key must be one of {open_keys or 'none: all are closed'}, got {key!r}")
    known = array[key].values
    if known.dtype.kind in "if" and isinstance(value, int | float | np.number):
        place = int(np.abs(known - value).argmin())
        found = abs(known[place] - value) <= 1e-3 * abs(value)
    else:
        matches = [k for k, label in enumerate(known) if label == value]
        found, place = bool(matches), matches[0] if matches else None
    if not found:
        raise ValueError(f"{key} must be one of {', '.join(map(_shown, known))}, got {value!r}")
    return place


def _shown(value):
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
