"""Numbers that experiments made, with where they come from.

A result is stored as two files. ``<scale>-<dataset>.json`` holds settings, and for every unit its
seed, labels, training, identity and provenance; ``<scale>-<dataset>.csv`` one line for each
record. Each is written whole, and the pair is good at every moment: a kill in between is noticed
and mended by the next :func:`load`.
"""

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from hfc.files import write_whole
from hfc.study.code import digest
from hfc.study.measured import Measured, Measurements

__all__ = ["RESULTS", "Result", "Unit", "load", "path", "save"]

RESULTS = Path(__file__).resolve().parent / "results"
"""The reference results of the book."""


@dataclass(frozen=True)
class Unit:
    """One seed of one condition.

    Attributes
    ----------
    seed : int
    label : dict
        Names the condition.
    records : list of dict
        The keys and the measured numbers, as JSON can hold them; ``flags``, if any, is a text
        that :meth:`hfc.flags.Flag.decode` reads, joined by "; ".
    training : dict
        Parameters, accuracy on the training images as they were trained on, seconds.
    provenance : dict
        Device, threads, machine, versions, commit, code, fingerprint of the data, seconds.
    identity : str, optional
        What the numbers depend on, as a digest; see :mod:`hfc.study.run`. None for units that
        were computed before there were identities.
    """

    seed: int
    label: dict
    records: list[dict]
    training: dict
    provenance: dict
    identity: str | None = None


@dataclass(frozen=True)
class Result:
    """The outcome of an experiment.

    Attributes
    ----------
    experiment, scale, dataset : str
        What was run, at which scale, on which data.
    settings : dict
        Everything that was set, as JSON can hold it.
    keys : tuple of str
        Names of the values that tell measurements of one seed apart.
    units : list of Unit
    """

    experiment: str
    scale: str
    dataset: str
    settings: dict
    keys: tuple[str, ...]
    units: list[Unit]

    @property
    def seeds(self) -> list[int]:
        """Seeds, in ascending order."""
        return sorted({unit.seed for unit in self.units})

    @property
    def minutes(self) -> float:
        """Minutes that all units took together, on the threads they had."""
        return sum(unit.provenance["seconds"] for unit in self.units) / 60

    @cached_property
    def table(self) -> pd.DataFrame:
        """All records: a row each, with ``seed``, the keys and what was measured."""
        return pd.DataFrame(
            [{"seed": unit.seed} | record for unit in self.units for record in unit.records]
        )

    @cached_property
    def measured(self) -> Measurements:
        """All measurements, labelled.

        Raises
        ------
        ValueError
            If the result was stored without records.
        """
        if not any(unit.records for unit in self.units):
            raise ValueError(f"{self!r} was stored without records: it tells what it cost")
        return Measurements.of(self.table, self.keys)

    def at(self, **keys) -> Measurements:
        """Part of the measurements; see :meth:`hfc.study.measured.Measurements.at`."""
        return self.measured.at(**keys)

    def without(self, **keys) -> Measurements:
        """See :meth:`hfc.study.measured.Measurements.without`."""
        return self.measured.without(**keys)

    @property
    def last(self) -> Measurements:
        """The measurements after the last epoch."""
        return self.measured.last

    def training(self, fact: str, **label) -> list:
        """A fact about the training of the units of a condition, one per seed."""
        return [u.training[fact] for u in self.units if label.items() <= u.label.items()]

    def parameters(self, **label) -> int:
        """Parameters of a condition's network."""
        return self.training("parameters", **label)[0]

    def __getitem__(self, column: str) -> Measured:
        return self.measured[column]

    def __getattr__(self, name: str) -> Measured:
        if name.startswith("_") or name in ("measured", "table"):
            raise AttributeError(name)
        return getattr(self.measured, name)

    def __repr__(self) -> str:
        what = f"{self.experiment}, {self.scale}, {self.dataset}"
        return f"<Result: {what}, seeds {self.seeds}>"


def path(folder, experiment: str, scale: str, dataset: str) -> Path:
    """The JSON file of a result in a folder."""
    return Path(folder) / experiment / f"{scale}-{dataset}.json"


def save(result: Result, folder: str | os.PathLike, *, records: bool = True) -> Path:
    """Store a result.

    Parameters
    ----------
    result : Result
    folder : path
        The result goes to ``folder/<experiment>/<scale>-<dataset>.json`` and ``.csv``.
    records : bool
        Whether to store the records. Without them what is left tells what the result cost.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, or a column holds other than numbers or texts.
    """
    file = path(folder, result.experiment, result.scale, result.dataset)
    origins = []
    units = []
    for unit in result.units:
        origin = {k: v for k, v in unit.provenance.items() if k not in ("data", "seconds")}
        if origin not in origins:
            origins.append(origin)
        own = {k: v for k, v in unit.provenance.items() if k in ("data", "seconds")}
        units.append(
            {"seed": unit.seed, "label": unit.label, "identity": unit.identity}
            | own
            | {"origin": origins.index(origin), "training": unit.training}
        )
    content = {
        "experiment": result.experiment,
        "scale": result.scale,
        "dataset": result.dataset,
        "keys": list(result.keys),
        "settings": result.settings,
        "origins": origins,
        "units": units,
        "records": None,
    }
    if records:
        lines = _to_csv(result.table)
        content["types"] = _types(result.table)
        content["records"] = hashlib.sha256(lines).hexdigest()
    content["sha256"] = digest(content)
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    with _locked(file):
        if records:
            write_whole(_next(file), lines)
        write_whole(file, (text + "\n").encode())
        if records:
            os.replace(_next(file), file.with_suffix(".csv"))
        else:
            file.with_suffix(".csv").unlink(missing_ok=True)
    return file


def load(
    experiment: str,
    *,
    scale: str = "cpu",
    dataset: str = "cifar10",
    folder: str | os.PathLike = RESULTS,
) -> Result:
    """Read a stored result; by default one of the book's reference results.

    Raises
    ------
    FileNotFoundError
        If there is none; the text says how to make it.
    ValueError
        If a file was damaged or changed by hand, or holds another result than asked for.
    """
    file = path(folder, experiment, scale, dataset)
    if not file.is_file():
        raise FileNotFoundError(
            f"no result {file}; make it by: python -m hfc reproduce {experiment} "
            f"--scale {scale} --data {dataset} --folder {folder}"
        )
    told = (experiment, scale, dataset)
    with suppress(*_DAMAGE):
        return _read(file, file.with_suffix(".csv"), told)
    try:
        with _locked(file):  # nobody is writing any more
            return _mended(file, told)
    except _DAMAGE as error:
        raise ValueError(f"{file} is damaged: {error}; run the experiment again") from error


def merged(result: Result, others: Sequence[Unit]) -> Result:
    """A result with more units, in the order of seeds; its own go first where both have one."""
    units = {(u.seed, digest(u.label)): u for u in [*others, *result.units]}
    order = {digest(label): k for k, (label, _) in enumerate(result.settings["conditions"])}
    return replace(
        result, units=sorted(units.values(), key=lambda u: (u.seed, order[digest(u.label)]))
    )


_DAMAGE = (ValueError, KeyError, TypeError, IndexError, RecursionError)  # what damage leads to


def _read(file, lines, told):
    """The result in two files; one of ``_DAMAGE`` if they are no pair, or another result."""
    content = json.loads(file.read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"it holds no result but {type(content).__name__}")
    found = content.pop("sha256")
    if found != digest(content):
        raise ValueError("its numbers do not match its checksum")
    holds = tuple(content[name] for name in ("experiment", "scale", "dataset"))
    if holds != told:
        raise ValueError(f"it holds the result {', '.join(holds)}")
    table = None if content["records"] is None else _table(lines, content)
    units = [_unit(unit, content["origins"], table) for unit in content["units"]]
    return Result(*told, content["settings"], tuple(content["keys"]), units)


def _mended(file, told):
    """The same; if a kill came between the two files, the records come into their place."""
    try:
        return _read(file, file.with_suffix(".csv"), told)
    except _DAMAGE:
        with suppress(*_DAMAGE):
            result = _read(file, _next(file), told)
            with suppress(OSError):  # it can be read, if not mended
                os.replace(_next(file), file.with_suffix(".csv"))
            return result
        raise


def _unit(unit, origins, table):
    label = unit["label"]
    rows = []
    if table is not None:
        chosen = table["seed"] == unit["seed"]
        for name, value in label.items():
            chosen &= table[name] == value
        rows = table[chosen].drop(columns="seed").to_dict("records")
    origin = origins[unit["origin"]] | {name: unit[name] for name in ("data", "seconds")}
    return Unit(unit["seed"], label, rows, unit["training"], origin, unit["identity"])


# Records as lines --------------------------------------------------------------------------


@contextmanager
def _locked(file):
    """Alone among those who write, or mend, results beside this file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _next(file):
    """Where the records wait until the JSON file that belongs to them is in its place."""
    return file.with_suffix(".csv.next")


def _types(table):
    """How to read each column: numbers as they were, everything else as text."""
    kinds = {"i": "int", "f": "float"}
    return {name: kinds.get(column.dtype.kind, "str") for name, column in table.items()}


def _to_csv(table):
    for name, kind in _types(table).items():
        column = table[name]
        if kind == "float" and not column.map(lambda x: abs(x) < float("inf")).all():
            raise ValueError(f"records must hold finite numbers, got NaN or infinity in {name!r}")
        if kind == "str" and not column.map(lambda x: isinstance(x, str)).all():
            wanted = "numbers or texts, each column one of them"
            raise ValueError(f"records must hold {wanted}, got others in {name!r}")
    return table.to_csv(index=False).encode()


def _table(place, content):
    lines = place.read_bytes() if place.is_file() else b""
    if hashlib.sha256(lines).hexdigest() != content["records"]:
        raise ValueError("its records are missing or do not match their checksum")
    table = pd.read_csv(io.BytesIO(lines), dtype=str, keep_default_na=False)
    return table.astype(content["types"])  # from text, so that no digit is lost
