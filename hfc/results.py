"""Numbers that experiments made, with where they come from.

A result is a table: a row for each seed and each setting of the *keys* (a radius, say), the
measured values beside it. It is stored as JSON, whole or not at all, with the settings, the
seconds, the device, the versions and the code behind every seed.
"""

import ast
import hashlib
import json
import math
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import pandas as pd
import torch
from scipy import stats

from hfc.files import write_whole

__all__ = [
    "BOOK",
    "Result",
    "code_hash",
    "digest",
    "load",
    "mean_interval",
    "provenance",
    "save",
]

BOOK = Path(__file__).resolve().parent.parent / "book"
# The rooms that an experiment's numbers depend on.
_ROOMS = (
    "frequency",
    "synthetic",
    "data",
    "models",
    "kernels",
    "augment",
    "training",
    "evaluation",
    "attacks",
)


@dataclass(frozen=True)
class Result:
    """The outcome of an experiment.

    Attributes
    ----------
    experiment, scale, dataset : str
        What was run, at which scale, on which data.
    settings : dict
        Everything that was set, as JSON can hold it.
    keys : list of str
        Names of the values that tell measurements of one seed apart.
    units : list of dict
        One per seed: ``seed``, ``records`` (a list of dicts with the keys and the measured
        numbers), ``training`` (facts about the training) and ``provenance``.
    """

    experiment: str
    scale: str
    dataset: str
    settings: dict
    keys: list[str]
    units: list[dict]

    @property
    def seeds(self) -> list[int]:
        """Seeds, in ascending order."""
        return sorted({unit["seed"] for unit in self.units})

    @property
    def table(self) -> pd.DataFrame:
        """All records, indexed by ``seed`` and the keys."""
        rows = [{"seed": u["seed"]} | record for u in self.units for record in u["records"]]
        return pd.DataFrame(rows).set_index(["seed", *self.keys])

    @property
    def summary(self) -> pd.DataFrame:
        """Mean and 95 % interval over seeds, of everything that is a number.

        Indexed by the keys; for each measured value three columns: ``(value, "mean")``,
        ``(value, "low")`` and ``(value, "high")``.
        """
        numbers = self.table.select_dtypes("number")
        groups = numbers.groupby(level=self.keys, sort=False, dropna=False)
        mean, n = groups.mean(), groups.count()
        half = stats.t.ppf(0.975, n - 1) * groups.std() / n**0.5
        parts = {"mean": mean, "low": mean - half, "high": mean + half}
        return pd.concat(parts, axis=1).swaplevel(axis=1)[
            [(value, bound) for value in mean for bound in parts]
        ]


def mean_interval(values: list[float], *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of independent runs with Student's t interval.

    Parameters
    ----------
    values : list of float
        One per seed, at least one.
    level : float
        Confidence level.

    Returns
    -------
    mean, low, high : float
        The interval has no ends (NaN) if there is only one value.

    Raises
    ------
    ValueError
        If there are no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("values must hold at least one number, got none")
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan, math.nan
    error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)
    half = stats.t.ppf((1 + level) / 2, n - 1) * error
    return mean, mean - half, mean + half


def save(result: Result, folder: str | os.PathLike = BOOK / "results") -> Path:
    """Store a result as ``folder/<experiment>/<scale>-<dataset>.json``.

    Returns
    -------
    Path
        The file, written whole or not at all.

    Raises
    ------
    ValueError
        If a number is NaN or infinite.
    """
    content = asdict(result) | {"summary": _summary_records(result)}
    content["sha256"] = digest(content)
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    path = _path(folder, result.experiment, result.scale, result.dataset)
    return write_whole(path, (text + "\n").encode())


def load(
    experiment: str,
    *,
    scale: str,
    dataset: str,
    folder: str | os.PathLike = BOOK / "results",
) -> Result:
    """Read a stored result; by default one of the book's reference results.

    Raises
    ------
    FileNotFoundError
        If there is none; the text says how to make it.
    ValueError
        If the file was damaged or changed by hand.
    """
    path = _path(folder, experiment, scale, dataset)
    if not path.is_file():
        raise FileNotFoundError(
            f"no result {path}; make it by: python -m hfc reproduce {experiment} "
            f"--scale {scale} --data {dataset} --folder {folder}"
        )
    try:
        content = json.loads(path.read_text())
        found = content.pop("sha256")
        if found != digest(content):
            raise ValueError("its numbers do not match its checksum")
        del content["summary"]
        return Result(**content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}; run the experiment again") from error


def _path(folder, experiment, scale, dataset):
    return Path(folder) / experiment / f"{scale}-{dataset}.json"


def digest(content) -> str:
    """The sha256 of what JSON can hold, however its keys are ordered."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _summary_records(result):
    """The summary as JSON can hold it; an interval from one seed is null."""
    records = []
    for key, row in result.summary.iterrows():
        record = dict(zip(result.keys, key if isinstance(key, tuple) else (key,), strict=True))
        for (value, bound), number in row.items():
            record.setdefault(value, {})[bound] = None if math.isnan(number) else number
        records.append(record)
    return records


def provenance(device) -> dict:
    """Where a number comes from: what is needed to doubt it or to make it again.

    Parameters
    ----------
    device : torch.device
        What the unit runs on.

    Returns
    -------
    dict
        Device, threads, versions, git commit and :func:`code_hash`. Ask before a long run:
        the code may be edited while it runs.
    """
    device = torch.device(device)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")},
        "commit": _commit(),
        "code": code_hash(),
    }


@lru_cache(maxsize=1)
def code_hash() -> str:
    """First 16 digits of the sha256 of what the rooms below ``experiments`` do.

    Comments, docstrings and layout do not count.
    """
    digest = hashlib.sha256()
    for room in _ROOMS:
        tree = ast.parse((Path(__file__).parent / f"{room}.py").read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                del body[0]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@lru_cache(maxsize=1)
def _commit():
    """Commit of the checkout, with a "+" if files differ from it; None outside git."""
    git = ["git", "-C", str(BOOK.parent)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "hfc"], capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
