"""Run an experiment of the catalogue: settings in, a :class:`~hfc.results.Result` out.

A unit of work is one seed of one condition.
"""

import dataclasses
import inspect
import json
import os
import re
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import joblib
import torch
from torch import nn

from hfc import data, models
from hfc.catalogue import EXPERIMENTS
from hfc.data import ImageSet
from hfc.files import write_whole
from hfc.measures import network
from hfc.results import Result, code_hash, digest, provenance, save
from hfc.training import History, Recipe, fit, progress_bar

__all__ = ["image_passes", "run", "settings", "train"]


def run(
    name: str,
    scale: str = "quick",
    dataset: str = "synthetic",
    seeds: int | Sequence[int] = 3,
    *,
    folder: str | os.PathLike | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    **changes,
) -> Result:
    """Run an experiment, one independent unit for each seed of each condition.

    Parameters
    ----------
    name : str
        One of :data:`hfc.catalogue.EXPERIMENTS`.
    scale : {"quick", "cpu", "paper"}
        Which settings; see :func:`settings`.
    dataset : str
        One of :data:`hfc.data.NAMES`.
    seeds : int or sequence of int
        Which seeds, or how many from 0 on. A seed decides the initial weights, the order of
        the images, and the synthetic set or the subset of a real one.
    folder : path, optional
        Where to keep every finished unit, the checkpoint of every unfinished one and, at the
        end, the result. A run that was stopped goes on from there; units of other settings or
        of other code are done again.
    jobs : int, optional
        Units at a time, each with its share of the cores; default one a core, on a GPU one,
        on a cluster as many as it takes.
    scheduler : str, optional
        Address of a Dask scheduler (``tcp://...``) whose workers do the units.
    progress : bool
        Whether to show a progress bar.
    **changes
        Settings that differ from the scale's.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If an argument is unknown or out of range.
    RuntimeError
        If units failed. The text tells which and why; finished ones are kept in ``folder``.
    """
    chosen = settings(name, scale) | {"dataset": dataset}
    unknown = [change for change in changes if change not in chosen]
    if unknown:
        raise ValueError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(chosen)}")
    chosen |= changes
    if dataset not in data.NAMES:
        raise ValueError(f"dataset must be one of {', '.join(data.NAMES)}, got {dataset!r}")
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be at least one and all different, got {seeds}")

    if EXPERIMENTS[name].check is not None:
        EXPERIMENTS[name].check(chosen)
    for label, own in _conditions(chosen):
        last = own["recipe"].epochs
        if own["epochs"] is not None and not any(1 <= e <= last for e in own["epochs"]):
            raise ValueError(f"epochs must name one from 1 to {last}, got {own['epochs']} {label}")

    folder = None if folder is None else Path(folder).absolute()  # wherever a worker stands
    units = [
        _Unit(name, scale, dataset, label, own, seed, folder)
        for seed in seeds
        for label, own in _conditions(chosen)
    ]
    done = {unit.title: unit.stored() for unit in units}
    left = [unit for unit in units if done[unit.title] is None]
    failures = []
    with ExitStack() as stack:
        bar = progress_bar(
            len(units), initial=len(units) - len(left), desc=name, unit="run", show=progress
        )
        stack.enter_context(bar)
        if scheduler is not None:
            from distributed import Client

            stack.enter_context(Client(scheduler))
            stack.enter_context(joblib.parallel_config(backend="dask"))
            jobs, threads = jobs or -1, 1
        else:
            jobs = _jobs(jobs, len(left))
            threads = max(1, joblib.cpu_count() // jobs)
        show = progress and jobs == 1
        tasks = (joblib.delayed(_attempt)(unit, threads, show) for unit in left)
        for unit, outcome in joblib.Parallel(jobs, return_as="generator_unordered")(tasks):
            if isinstance(outcome, str):
                failures.append(f"{unit.title}: {outcome}")
                continue
            unit.store(outcome)
            done[unit.title] = outcome
            bar.update()
    if failures:
        count = f"{len(failures)} of {len(units)}"
        raise RuntimeError("\n".join([f"{name}: {count} units failed", *failures]))
    keys = list(EXPERIMENTS[name].keys)
    result = Result(name, scale, dataset, _as_json(chosen), keys, list(done.values()))
    if folder is not None:
        save(result, folder)
    return result


def settings(name: str, scale: str, **labels) -> dict:
    """Settings of an experiment at a scale.

    Parameters
    ----------
    name, scale : str
    **labels
        Labels of a condition (``heuristic="mixup"``): then its own settings, which
        :func:`train` takes once a ``dataset`` is added.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If there is no such experiment, scale or condition.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(EXPERIMENTS)}, got {name!r}")
    scales = EXPERIMENTS[name].scales
    if scale not in scales:
        raise ValueError(f"scale must be one of {', '.join(scales)}, got {scale!r}")
    chosen = dict(scales[scale])
    if not labels:
        return chosen
    for label, own in _conditions(chosen):
        if labels.items() <= label.items():
            return own
    known = [label for label, _ in chosen["conditions"]]
    raise ValueError(f"{name} has no condition {labels} at scale {scale}, only {known}")


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

    def passes(own):
        recipe = own["recipe"]
        steps = recipe.attack_steps if recipe.adversarial else 0
        return recipe.epochs * (own["train_size"] or whole) * (1 + steps)

    return sum(passes(own) for _, own in _conditions(settings(name, scale)))


def train(
    chosen: dict,
    seed: int,
    *,
    measure: Callable | None = None,
    resume: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[nn.Module, ImageSet, ImageSet, History]:
    """Load the data and train the network of one unit.

    Parameters
    ----------
    chosen : dict
        Settings of one condition: as :func:`settings` returns them, with ``dataset`` added.
    seed : int
    measure : callable, optional
        What to measure after each of the epochs that ``chosen["epochs"]`` names; the records
        stand in the history.
    resume : path, optional
        As in :func:`hfc.training.fit`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    model : nn.Module
        Trained, in evaluation mode. It takes images even if it was trained on a component.
    train_set, test_set : ImageSet
        With shuffled labels for training, if so chosen.
    history : History
    """
    device = _device()
    train_set, test_set = (
        data.load(
            chosen["dataset"],
            split,
            size=chosen[f"{split}_size"],
            seed=seed,
            hfc_strength=chosen["hfc_strength"],
        ).to(device)
        for split in ("train", "test")
    )
    train_set = data.shuffle_labels(train_set, chosen["shuffled"], seed=seed)
    model = network(chosen, len(train_set.classes), train_set.images.shape[1], seed)
    trained = model
    if chosen["trained_on"] is not None:
        mean = train_set.mean_colour
        trained = models.OnComponent(model, chosen["trained_on"], chosen["train_radius"], mean)

    def probe(_, epoch):
        if measure is None or epoch not in (chosen["epochs"] or ()):
            return {}
        records = measure(model, train_set, test_set, chosen | {"seed": seed})
        return {"records": [{"epoch": epoch} | record for record in records]}

    recipe = dataclasses.replace(chosen["recipe"], seed=seed)
    history = fit(
        trained, train_set, recipe, probes=[probe], device=device, resume=resume, progress=progress
    )
    return model.eval(), train_set, test_set, history


@dataclass(frozen=True)
class _Unit:
    """One seed of one condition, and where it is kept."""

    name: str
    scale: str
    dataset: str
    label: dict
    chosen: dict
    seed: int
    folder: Path | None

    @property
    def title(self) -> str:
        return ", ".join([*(str(value) for value in self.label.values()), f"seed {self.seed}"])

    def file(self, ending) -> Path | None:
        if self.folder is None:
            return None
        place = self.folder / self.name / f"{self.scale}-{self.dataset}"
        return place / f"{re.sub(r'[^a-zA-Z0-9.]+', '-', self.title)}.{ending}"

    @property
    def training(self) -> str:
        """What the training depends on."""
        return digest([_as_json(self.chosen), self.seed, code_hash()])

    @property
    def checkpoint(self) -> str:
        """What a checkpoint depends on: with ``epochs`` it holds measured numbers, too."""
        return self.training if self.chosen["epochs"] is None else self.identity

    @property
    def identity(self) -> str:
        """What the numbers depend on."""
        return digest([self.training, inspect.getsource(EXPERIMENTS[self.name].measure)])

    def stored(self) -> dict | None:
        """The finished unit, if it was kept, is whole and is of these settings and this code."""
        if self.folder is None or not self.file("json").is_file():
            return None
        try:
            kept = json.loads(self.file("json").read_text())
            whole = kept["identity"] == self.identity and kept["digest"] == digest(kept["unit"])
        except (ValueError, KeyError, TypeError):
            return None
        if not whole:
            return None
        self.tidy()  # a kill may have come between storing and tidying
        return kept["unit"]

    def store(self, unit):
        if self.folder is not None:
            kept = {"identity": self.identity, "digest": digest(unit), "unit": unit}
            write_whole(self.file("json"), json.dumps(kept).encode())
            self.tidy()

    def tidy(self):
        """Remove what a finished unit no longer needs: checkpoints, halves of files."""
        kept = self.file("json")
        for rest in kept.parent.iterdir():
            if rest != kept and rest.name.lstrip(".").startswith(f"{kept.stem}."):
                rest.unlink()

    def compute(self, progress) -> dict:
        origin = provenance(_device())
        start = time.perf_counter()
        measure = EXPERIMENTS[self.name].measure
        model, train_set, test_set, history = train(
            self.chosen,
            self.seed,
            measure=measure,
            resume=self.file(f"{self.checkpoint[:8]}.pt"),  # no other settings, no other code
            progress=progress,
        )
        if self.chosen["epochs"] is None:
            records = measure(model, train_set, test_set, self.chosen | {"seed": self.seed})
        else:
            records = [r for row in history.rows for r in row.get("records", [])]
        origin |= {
            "data": train_set.fingerprint,
            "seconds": round(time.perf_counter() - start, 1),
        }
        facts = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "train_accuracy": history.rows[-1]["train_accuracy"],
            "running_accuracy": [row["train_accuracy"] for row in history.rows],
            "seconds": round(sum(row["seconds"] for row in history.rows), 1),
        }
        return {
            "seed": self.seed,
            "records": [self.label | record for record in records],
            "training": facts,
            "provenance": origin,
        }


def _attempt(unit, threads, progress):
    """The unit and its outcome: a dict, or a text that says what went wrong."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return unit, unit.compute(progress)
    except (data.DatasetError, FloatingPointError) as error:  # says all there is to say
        return unit, str(error)
    except Exception:  # reported at the end, so that the other units are not lost
        return unit, traceback.format_exc()
    finally:
        torch.set_num_threads(before)


def _jobs(jobs, units):
    if jobs is None:
        jobs = 1 if torch.cuda.is_available() else joblib.cpu_count()
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    return max(1, min(jobs, units))


def _device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _conditions(chosen):
    """Labels and complete settings of each condition."""
    shared = {name: value for name, value in chosen.items() if name != "conditions"}
    for label, changes in chosen["conditions"]:
        recipe = dataclasses.replace(shared["recipe"], **changes.get("recipe", {}))
        yield label, shared | changes | {"recipe": recipe}


def _as_json(value):
    if isinstance(value, Recipe):
        return {k: v for k, v in dataclasses.asdict(value).items() if k != "seed"}
    if isinstance(value, dict):
        return {name: _as_json(part) for name, part in value.items()}
    return [_as_json(part) for part in value] if isinstance(value, tuple | list) else value
