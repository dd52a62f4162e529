"""Which runs are wanted, most telling first: the list in ``wanted.toml``."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from hfc.study import catalogue
from hfc.study.kinds import DATASETS

__all__ = ["WANTED", "Wanted", "wanted"]

WANTED = Path(__file__).resolve().parent / "wanted.toml"


@dataclass(frozen=True)
class Wanted:
    """A run that is wanted: so many seeds, from ``first`` on, of an experiment at a scale.

    Conditions that train against an attack get ``attacked`` of them, if that is given.
    """

    experiment: str
    scale: str
    data: str
    seeds: int
    first: int = 0
    attacked: int | None = None

    @property
    def range(self) -> range:
        """The seeds."""
        return range(self.first, self.first + self.seeds)


def wanted(file: Path = WANTED) -> list[Wanted]:
    """The list, in order.

    Parameters
    ----------
    file : path
        TOML: a table ``[[run]]`` with ``experiment``, ``scale``, ``data`` and ``seeds`` for
        each run, and ``first`` and ``attacked`` where they are not the default.

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
        if run.data not in DATASETS:
            raise ValueError(f"data must be one of {', '.join(DATASETS)}, got {run.data!r}")
        least = {"seeds": 1, "first": 0} | ({"attacked": 1} if run.attacked is not None else {})
        for name, lowest in least.items():
            value = getattr(run, name)
            if not isinstance(value, int) or value < lowest:
                wanted = f"a whole number of at least {lowest}"
                raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return runs
