"""Which experiments and rules there are: the sum of what the chapters' rooms hold."""

import difflib
from functools import lru_cache
from importlib import import_module

from hfc.study.settings import Experiment, Scale, Settings

__all__ = [
    "ROOMS",
    "experiment",
    "experiments",
    "image_passes",
    "is_attacked",
    "reference_data",
    "rules",
    "scale",
]

ROOMS = ("low_and_high", "memorisation", "heuristics", "robustness", "detection", "biases")


@lru_cache(maxsize=1)
def experiments() -> dict[str, Experiment]:
    """All experiments by name, chapter by chapter."""
    found = {}
    for room in ROOMS:
        found |= import_module(f"hfc.study.{room}.experiments").EXPERIMENTS
    return found


@lru_cache(maxsize=1)
def rules() -> dict:
    """For every claim that has one, ``rule(claim, *results)``, which returns the verdict."""
    found = {}
    for room in ROOMS:
        found |= import_module(f"hfc.study.{room}.rules").RULES
    return found


def experiment(name: str) -> Experiment:
    """One experiment.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return _named("name", name, experiments())


def scale(name: str, scale: str) -> Scale:
    """Settings of an experiment at a scale.

    Raises
    ------
    ValueError
        If there is no such experiment or scale.
    """
    return _named("scale", scale, experiment(name).scales)


def reference_data(name: str) -> str:
    """The data set of an experiment's reference results at scale ``cpu``."""
    dataset = scale(name, "cpu").base.dataset
    return "cifar10" if dataset == "synthetic" else dataset


def is_attacked(settings: Settings) -> bool:
    """Whether the network of some settings trains against an attack; detectors never do."""
    return bool(getattr(settings.recipe, "adversarial", False))


def image_passes(name: str, scale: str, *, whole: int = 50_000) -> int:
    """What one seed of an experiment costs, as images that go through a network and back.

    Parameters
    ----------
    name, scale : str
    whole : int
        Images of a whole training set, where the settings take all.

    Returns
    -------
    int
        Sum over the conditions; a step of an attack on a training image counts as one.
    """

    def passes(settings):
        recipe = settings.recipe
        steps = recipe.attack_steps if is_attacked(settings) else 0
        return recipe.epochs * (settings.train_size or whole) * (1 + steps)

    return sum(
        passes(condition.settings)
        for condition in _named("scale", scale, experiment(name).scales).each()
    )


def _named(argument, name, known):
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{argument} must be one of {', '.join(known)}, got {name!r}{meant}")
    return known[name]
