"""Who computes a unit: classifiers and detectors have settings of their own, and so modules."""

from types import ModuleType

from hfc import data
from hfc.detection.sources import SETS, detection_digest
from hfc.study import detectors, unit
from hfc.study.settings import Settings

__all__ = ["DATASETS", "content_digest", "embedded", "kind"]

DATASETS = (*data.NAMES, *SETS)
"""Names of all data sets that an experiment can be run on."""


def kind(settings: Settings | detectors.DetectorSettings) -> ModuleType:
    """The module with ``network``, ``train`` and ``compute`` for such settings."""
    return detectors if isinstance(settings, detectors.DetectorSettings) else unit


def embedded(settings: Settings | detectors.DetectorSettings) -> str:
    """The data set that is made here, without files: ``"synthetic"`` or ``"scenes"``."""
    return type(settings).dataset


def content_digest(dataset: str) -> str:
    """Digest of a data set's files; see :func:`hfc.data.content_digest`.

    Raises
    ------
    ValueError
        If there is no such set.
    DatasetError
        If files are missing or damaged.
    """
    return detection_digest(dataset) if dataset in SETS else data.content_digest(dataset)
