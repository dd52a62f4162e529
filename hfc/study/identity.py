"""What the numbers of a unit depend on, as a digest.

Settings, seed, threads, the code that it can reach, the data's files, the versions of torch and
numpy.
"""

import time
from collections.abc import Callable
from pathlib import Path

from hfc.machine import default_device, threads
from hfc.study.code import closure, code_hash, digest
from hfc.study.kinds import kind
from hfc.study.provenance import versions
from hfc.study.settings import Settings, as_json

__all__ = ["identity", "network_file", "unit_code"]

_LOADED = time.time()


def unit_code(measure: Callable, settings: Settings) -> str:
    """Hash of the code that a unit's numbers come from: its training and its measure.

    Parameters
    ----------
    measure : callable
    settings : Settings or DetectorSettings
        Their type decides what trains.

    Raises
    ------
    RuntimeError
        If a file of that code has changed since it was loaded.
    """
    return _current((kind(settings).__name__, measure.__module__))


def _current(modules):
    for name, file in closure(modules).items():
        if file.stat().st_mtime > _LOADED:
            raise RuntimeError(f"{name} has changed since it was loaded; start Python anew")
    return code_hash(modules)


def identity(settings: Settings, measure: Callable, code: str, files: str) -> str:
    """What the numbers of a unit depend on, as a digest.

    Parameters
    ----------
    settings : Settings
        With the unit's seed.
    measure : callable
    code : str
        :func:`unit_code`.
    files : str
        :func:`hfc.data.content_digest` of the data.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return digest(
        {
            "settings": as_json(settings),
            "seed": settings.recipe.seed,
            "measure": f"{measure.__module__}.{measure.__qualname__}",
            "code": code,
            "data": files,
            "threads": threads(),
            "versions": versions(),
        }
    )


def network_file(folder: Path, settings: Settings, files: str) -> Path:
    """Where a trained network is kept, as the checkpoint of its finished training.

    Parameters
    ----------
    folder : Path
    settings : Settings
        With the unit's seed; what is measured does not count.
    files : str
        :func:`hfc.data.content_digest` of the data.

    Returns
    -------
    Path
        One for each training, seed, state of the code that trains, data, number of threads,
        versions of torch and numpy, and kind of device.

    Raises
    ------
    RuntimeError
        As :func:`unit_code`.
    """
    own = {
        "settings": settings.training(),
        "seed": settings.recipe.seed,
        "code": _current((kind(settings).__name__,)),
        "data": files,
        "threads": threads(),
        "versions": versions(),
        "device": default_device().type,
    }
    return folder / "networks" / f"{digest(own)[:16]}.pt"
