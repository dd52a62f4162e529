"""One function per family of claims: settings in, a :class:`~hfc.results.Result` out.

The same function serves a chapter (scale ``quick``), a laptop's reference run (``cpu``) and
the paper's setting (``paper``); only the settings differ.
"""

import dataclasses
import inspect
import json
import os
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
from hfc.data import ImageSet
from hfc.evaluation import radius_sweep
from hfc.files import write_whole
from hfc.results import Result, code_hash, digest, provenance, save
from hfc.training import Recipe, fit, progress_bar

__all__ = ["EXPERIMENTS", "Experiment", "run", "settings", "train"]


@dataclass(frozen=True)
class Experiment:
    """What an experiment is.

    Attributes
    ----------
    measure : callable
        ``measure(model, train_set, test_set, settings)`` returns a list of records.
    keys : tuple of str
        Names of the values that tell one seed's records apart.
    scales : dict
        The settings of each scale.
    claims : tuple of str
        Ids of the claims it tests.
    """

    measure: Callable
    keys: tuple[str, ...]
    scales: dict[str, dict]
    claims: tuple[str, ...]


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
    """Run an experiment, one independent unit a seed.

    Parameters
    ----------
    name : str
        One of :data:`EXPERIMENTS`.
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

    folder = None if folder is None else Path(folder).absolute()  # wherever a worker stands
    units = {seed: _Unit(name, scale, dataset, chosen, seed, folder) for seed in seeds}
    done = {seed: unit.stored() for seed, unit in units.items()}
    left = [units[seed] for seed in seeds if done[seed] is None]
    failures = []
    with ExitStack() as stack:
        bar = progress_bar(
            len(seeds), initial=len(seeds) - len(left), desc=name, unit="seed", show=progress
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
                failures.append(f"seed {unit.seed}: {outcome}")
                continue
            unit.store(outcome)
            done[unit.seed] = outcome
            bar.update()
    if failures:
        count = f"{len(failures)} of {len(seeds)}"
        raise RuntimeError("\n".join([f"{name}: {count} units failed", *failures]))
    keys = list(EXPERIMENTS[name].keys)
    result = Result(name, scale, dataset, _as_json(chosen), keys, [done[seed] for seed in seeds])
    if folder is not None:
        save(result, folder)
    return result


def settings(name: str, scale: str) -> dict:
    """Settings of an experiment at a scale.

    Raises
    ------
    ValueError
        If there is no such experiment or scale.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(EXPERIMENTS)}, got {name!r}")
    scales = EXPERIMENTS[name].scales
    if scale not in scales:
        raise ValueError(f"scale must be one of {', '.join(scales)}, got {scale!r}")
    return dict(scales[scale])


def train(
    chosen: dict, seed: int, *, resume: str | os.PathLike | None = None, progress: bool = True
) -> tuple[nn.Module, ImageSet, ImageSet, dict]:
    """Load the data and train the network of one unit.

    Parameters
    ----------
    chosen : dict
        Settings, as :func:`settings` returns them, with ``dataset`` added.
    seed : int
    resume : path, optional
        As in :func:`hfc.training.fit`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    model : nn.Module
        Trained, in evaluation mode.
    train_set, test_set : ImageSet
    facts : dict
        Parameters of the network, final training accuracy, seconds.
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
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = models.build(
            chosen["model"],
            num_classes=len(train_set.classes),
            in_channels=train_set.images.shape[1],
            norm=chosen["norm"],
        )
    recipe = dataclasses.replace(chosen["recipe"], seed=seed)
    history = fit(model, train_set, recipe, device=device, resume=resume, progress=progress)
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_accuracy": history.rows[-1]["train_accuracy"],
        "seconds": round(sum(row["seconds"] for row in history.rows), 1),
    }
    return model.eval(), train_set, test_set, facts


@dataclass(frozen=True)
class _Unit:
    """One seed of an experiment, and where it is kept."""

    name: str
    scale: str
    dataset: str
    chosen: dict
    seed: int
    folder: Path | None

    def file(self, ending) -> Path | None:
        if self.folder is None:
            return None
        place = self.folder / self.name / f"{self.scale}-{self.dataset}"
        return place / f"seed-{self.seed}.{ending}"

    @property
    def training(self) -> str:
        """What the training depends on."""
        return digest([_as_json(self.chosen), self.seed, code_hash()])

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
            return kept["unit"] if whole else None
        except (ValueError, KeyError, TypeError):
            return None

    def store(self, unit):
        if self.folder is not None:
            kept = {"identity": self.identity, "digest": digest(unit), "unit": unit}
            kept = write_whole(self.file("json"), json.dumps(kept).encode())
            for rest in kept.parent.glob(f"*seed-{self.seed}.*"):  # checkpoints, halves of files
                if rest != kept:
                    rest.unlink()

    def compute(self, progress) -> dict:
        origin = provenance(_device())
        start = time.perf_counter()
        model, train_set, test_set, facts = train(
            self.chosen,
            self.seed,
            resume=self.file(f"{self.training[:8]}.pt"),  # no other settings, no other code
            progress=progress,
        )
        records = EXPERIMENTS[self.name].measure(model, train_set, test_set, self.chosen)
        origin |= {
            "data": train_set.fingerprint,
            "seconds": round(time.perf_counter() - start, 1),
        }
        return {"seed": self.seed, "records": records, "training": facts, "provenance": origin}


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


def _as_json(chosen):
    def plain(value):
        if isinstance(value, Recipe):
            return {k: v for k, v in dataclasses.asdict(value).items() if k != "seed"}
        return list(value) if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in chosen.items()}


# Observation: what a model says to the two components (claim C02) ---------------------------


def _observe(model, train_set, test_set, chosen):
    sweep = radius_sweep(model, test_set, chosen["radii"], mean=train_set.mean_colour)
    return sweep.reset_index().to_dict("records")


_RADII = (0, 2, 4, 5, 6, 8, 12, 16)

EXPERIMENTS = {
    "observation": Experiment(
        measure=_observe,
        keys=("copies", "radius"),
        scales={
            "quick": {
                "model": "small",
                "norm": "batch",
                "recipe": Recipe(epochs=6, batch_size=64, lr=0.03),
                "train_size": 4000,
                "test_size": 1000,
                "hfc_strength": None,
                "radii": _RADII,
            },
            "cpu": {
                "model": "convnet",
                "norm": "batch",
                "recipe": Recipe(
                    epochs=12, batch_size=256, lr=0.3, label_smoothing=0.1, shift=2, flip=True
                ),
                "train_size": None,
                "test_size": None,
                "hfc_strength": None,
                "radii": _RADII,
            },
            # The authors' setting: their 32-layer network without normalisation.
            "paper": {
                "model": "resnet32",
                "norm": None,
                "recipe": Recipe(
                    epochs=100,
                    batch_size=100,
                    optimizer="adam",
                    lr=1e-4,
                    schedule="constant",
                    weight_decay=0.0,
                ),
                "train_size": None,
                "test_size": None,
                "hfc_strength": None,
                "radii": _RADII,
            },
        },
        claims=("C02", "C23"),
    ),
}
