"""Which runs are wanted, most telling first: the list in ``wanted.toml``."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from hfc import data
from hfc.study import catalogue

__all__ = ["WANTED", "Wanted", "wanted"]

WANTED = Path(__file__).resolve().parent / "wanted.toml"


@dataclass(frozen=True)
class Wanted:
    """A run that is wanted: so many seeds, from 0 on, of an experiment at a scale."""

    experiment: str
    scale: str
    data: str
    seeds: int


def wanted(file: Path = WANTED) -> list[Wanted]:
    """The list, in order.

    Parameters
    ----------
    file : path
        TOML: a table ``[[run]]`` with ``experiment``, ``scale``, ``data`` and ``seeds`` for
        each run.

    Raises
    ------
    ValueError
        If the file is no such list, or names what there is not.
    """
    try:
        runs = [Wanted(**entry) for entry in tomllib.loads(Path(file).read_text())["run"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is no list of wanted runs: {error}") from error
    for run in runs:
        catalogue.scale(run.experiment, run.scale)
        if run.data not in data.NAMES:
            raise ValueError(f"data must be one of {', '.join(data.NAMES)}, got {run.data!r}")
        if not isinstance(run.seeds, int) or run.seeds < 1:
            raise ValueError(f"seeds must be a whole number of at least 1, got {run.seeds!r}")
    return runs
