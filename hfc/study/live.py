"""What a chapter computes while the reader watches: scale ``quick``, kept for the next time.

Finished units and networks are kept in ``_build/live`` of the checkout, or in ``~/.cache/hfc/live``
without one. So a chapter that is opened again, or rebuilt after a change of its text, takes
seconds; what depends on changed code or settings is done again.
"""

import os
import re
from dataclasses import asdict
from pathlib import Path

from torch import nn

from hfc.data import ImageSet
from hfc.detection import DetectionSet
from hfc.machine import threads, using_threads
from hfc.study import catalogue, run, unit
from hfc.study.code import code_hash, digest
from hfc.study.identity import network_file
from hfc.study.kinds import content_digest, embedded, kind
from hfc.study.provenance import versions
from hfc.study.results import Result
from hfc.training import History, Recipe

__all__ = ["dataset", "folder", "kept", "live", "live_network"]


def dataset() -> str:
    """The data set of live classifiers: ``$HFC_DATASET``, else ``"synthetic"``."""
    return os.environ.get("HFC_DATASET", "synthetic")


def folder() -> Path:
    """Where finished units and networks of live experiments are kept."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "_build" / "live"
    return Path("~/.cache/hfc/live").expanduser()


def kept(name: str, recipe: Recipe) -> Path:
    """Where a chapter keeps a training by hand: what :func:`hfc.training.fit` takes as ``resume``.

    Parameters
    ----------
    name : str
        A name for the training.
    recipe : Recipe

    Returns
    -------
    Path
        One for each recipe, data set of the chapters and state of the code.
    """
    code = code_hash(("hfc.training", "hfc.models", "hfc.data"))
    own = digest([asdict(recipe), dataset(), code, versions()])
    return folder() / "by-hand" / f"{name}-{own[:16]}.pt"


def live(name: str, seeds: int = 3, **changes) -> Result:
    """Run an experiment at scale ``quick`` on the chapter's data set, detectors on scenes.

    Parameters
    ----------
    name, seeds, **changes
        As in :func:`hfc.study.run.run`.

    Returns
    -------
    Result
    """
    chosen = _dataset(catalogue.scale(name, "quick").base)
    return run.run(name, "quick", chosen, seeds, folder=_place(changes), shrink=True, **changes)


def _dataset(settings):
    made = embedded(settings)
    return dataset() if made == "synthetic" else made


def _place(changes):
    told = (f"{key}-{value}" for key, value in sorted(changes.items()))
    changed = re.sub(r"[^\w.-]+", "-", "-".join(told))
    return folder() / changed if changed else folder()


def live_network(
    name: str, *, seed: int = 0, progress: bool = True, **where
) -> tuple[nn.Module, ImageSet | DetectionSet, ImageSet | DetectionSet, History]:
    """The network of one unit of an experiment at scale ``quick``.

    Parameters
    ----------
    name : str
        The experiment.
    seed : int
    progress : bool
        Whether to show a progress bar.
    **where
        Labels of the condition (``training="natural"``; by default the first one), and settings
        that differ from the condition's (``shuffled=1.0``).

    Returns
    -------
    model, train_set, test_set, history
        As from :func:`hfc.study.unit.train`, or :func:`hfc.study.detectors.train`.

    Raises
    ------
    ValueError
        If there is no such experiment, condition or setting.
    """
    chosen_scale = catalogue.scale(name, "quick")
    conditions = list(chosen_scale.each(dataset=_dataset(chosen_scale.base)))
    label = {key: value for key, value in where.items() if key in conditions[0].label}
    chosen = [c for c in conditions if label.items() <= c.label.items()]
    if not chosen:
        known = [condition.label for condition in conditions]
        raise ValueError(f"{name} has no condition {label} at scale quick, only {known}")
    changes = {key: value for key, value in where.items() if key not in label}
    settings = unit.seeded(chosen[0].settings.changed(**changes), seed)
    files = content_digest(settings.dataset)
    with using_threads(threads()):
        kept = network_file(_place(changes), settings, files)
        return kind(settings).train(settings, resume=kept, progress=progress)
