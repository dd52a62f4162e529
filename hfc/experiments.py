"""One function per family of claims: settings in, a :class:`~hfc.results.Result` out.

The same function serves a chapter (scale ``quick``), a laptop's reference run (``cpu``) and
the paper's setting (``paper``); only the settings differ. An experiment compares *conditions*:
labels ("heuristic: mixup") with the settings that make them. A unit of work is one seed of one
condition.
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
from hfc.data import ImageSet
from hfc.evaluation import accuracy, component_accuracy, radius_sweep, signature_use
from hfc.files import write_whole
from hfc.results import Result, code_hash, digest, provenance, save
from hfc.training import History, Recipe, autocast, fit, progress_bar

__all__ = ["EXPERIMENTS", "Experiment", "run", "settings", "train"]


@dataclass(frozen=True)
class Experiment:
    """What an experiment is.

    Attributes
    ----------
    measure : callable
        ``measure(model, train_set, test_set, settings)`` returns a list of records. It is
        called after training or, if the settings name ``epochs``, after each of these, and
        ``epoch`` is added to the records.
    keys : tuple of str
        Names of the values that tell one seed's records apart, those that label the conditions
        among them.
    scales : dict
        The settings of each scale. ``conditions`` are pairs of labels and changed settings; a
        changed ``recipe`` is a dict of the fields that differ.
    claims : tuple of str
        Ids of the claims it tests.
    check : callable, optional
        ``check(settings)`` raises ValueError or DatasetError if it cannot be measured with
        them. It is called before anything is trained.
    """

    measure: Callable
    keys: tuple[str, ...]
    scales: dict[str, dict]
    claims: tuple[str, ...]
    check: Callable | None = None


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
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = models.build(
            chosen["model"],
            num_classes=len(train_set.classes),
            in_channels=train_set.images.shape[1],
            norm=chosen["norm"],
            dropout=chosen["dropout"],
            width=chosen["width"],
            normalise=chosen["normalise"],
        )
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


# Observation: what a model says to the two components (claim C02) ---------------------------


def _observe(model, train_set, test_set, chosen):
    sweep = radius_sweep(model, test_set, chosen["radii"], mean=train_set.mean_colour)
    return sweep.reset_index().to_dict("records")


# Accuracy on images and on their copies (C04-C10, C12-C15) ----------------------------------


def _on_copies(model, train_set, test_set, chosen):
    sets = {"train": train_set.take(slice(len(test_set))), "test": test_set}
    records = []
    for images in chosen["images"]:
        table = _copies(model, sets[images], train_set.mean_colour, chosen)
        records += [{"images": images} | row for row in table.reset_index().to_dict("records")]
    return records


def _copies(model, images, mean, chosen, **how):
    with autocast(images.images.device):
        return component_accuracy(
            model, images, chosen["radii"], chosen["components"], mean=mean, **how
        )


# BatchNorm: by which statistics, in which company (C11, T1, T2) -----------------------------


def _by_statistics(model, train_set, test_set, chosen):
    mean, records = train_set.mean_colour, []
    has_statistics = any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    ways = {("running", "alone"): {}}
    if has_statistics:  # without BatchNorm an image's logits depend on that image alone
        ways[("running", "mixed")] = {"mixed": True}
        ways[("batch", "alone")] = {"statistics": "batch"}
        ways[("batch", "mixed")] = {"statistics": "batch", "mixed": True}
    for (statistics, company), how in ways.items():
        table = _copies(model, test_set, mean, chosen, batch_size=100, **how)
        label = {"statistics": statistics, "company": company}
        records += [label | record for record in table.reset_index().to_dict("records")]
    return records


# Planted: how much a model follows a signature that nobody sees ------------------------------


def _with_signature(model, train_set, test_set, chosen):
    at_random = data.load(
        chosen["dataset"],
        "test",
        size=chosen["test_size"],
        seed=chosen["seed"],
        hfc_strength=0,
    ).to(test_set.images.device)
    table = _copies(model, test_set, train_set.mean_colour, chosen)
    table["random_signature"] = accuracy(model, at_random)
    table["follows"] = signature_use(model, at_random)
    return table.reset_index().to_dict("records")


# People: do images that people find hard need another component? ----------------------------


def _needs_people(chosen):
    if chosen["dataset"] != "cifar10" or chosen["test_size"] is not None:
        raise ValueError('people needs dataset "cifar10" with all its test images')
    data.human_votes()


def _by_difficulty(model, train_set, test_set, chosen):
    if chosen["dataset"] != "cifar10" or chosen["test_size"] is not None:
        raise ValueError('people needs dataset "cifar10" with all its test images')
    votes = data.human_votes().to(test_set.labels.device)
    agree = votes.gather(1, test_set.labels[:, None])[:, 0] / votes.sum(dim=1)
    bounds = {"all agree": (1, 1), "0.95 to 1": (0.95, 1), "0.8 to 0.95": (0.8, 0.95)}
    bounds["below 0.8"] = (-1, 0.8)
    records = []
    for agreement, (low, high) in bounds.items():
        chosen_images = (agree >= low) & (agree < high) if low < high else agree == 1
        images = test_set.take(chosen_images)
        sweep = radius_sweep(model, images, chosen["radii"], mean=train_set.mean_colour)
        label = {"agreement": agreement}
        records += [label | record for record in sweep.reset_index().to_dict("records")]
    return records


# The table of settings ----------------------------------------------------------------------


def _grid(**axes):
    """Conditions from axes ``label={value: changes}``, every value with every other."""
    conditions = [({}, {})]
    for label, values in axes.items():
        conditions = [
            (
                labels | {label: value},
                own | changes | {"recipe": own.get("recipe", {}) | changes.get("recipe", {})},
            )
            for labels, own in conditions
            for value, changes in values.items()
        ]
    return tuple(conditions)


def _scales(quick, cpu, paper):
    return {"quick": _QUICK | quick, "cpu": _CPU | cpu, "paper": _PAPER | paper}


_RADII = (4, 8, 12, 16)
_COPIES = ("low", "high", "high + mean")
_SCALED = (*_COPIES, "low, scaled", "high, scaled")

_SAME = {
    "norm": None,
    "normalise": True,
    "dropout": 0.0,
    "width": None,
    "shuffled": 0.0,
    "trained_on": None,
    "train_radius": None,
    "hfc_strength": None,
    "epochs": None,
    "images": ("train", "test"),
    "radii": _RADII,
    "components": _COPIES,
    "conditions": (({}, {}),),
}
_QUICK = _SAME | {
    "model": "small",
    "recipe": Recipe(epochs=12, batch_size=32, lr=0.1, weight_decay=0.0, gradient_clip=1.0),
    "train_size": 1500,
    "test_size": 500,
}
# Gradients are clipped so that networks with and without normalisation train by one recipe.
_CPU = _SAME | {
    "model": "small",
    "recipe": Recipe(epochs=10, batch_size=100, lr=0.1, weight_decay=0.0, gradient_clip=1.0),
    "train_size": 10_000,
    "test_size": 2000,
}
# The authors' setting: their 32-layer network without normalisation, pixels as they are.
_PAPER = _SAME | {
    "model": "resnet32",
    "normalise": False,
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
}

# Changes of settings that have a name.
_BATCH_NORM = {"norm": "batch"}
_HEURISTICS = {
    "vanilla": {},
    "dropout": {"dropout": 0.5},
    "mixup": {"recipe": {"mixup": 0.5}},
    "BatchNorm": _BATCH_NORM,
    "adversarial": {"recipe": {"adversarial": 8 / 255, "attack_steps": 5}},
}
_NORMS = {"none": {}, "BatchNorm": _BATCH_NORM, "GroupNorm": {"norm": "group"}}
_INPUTS = {"normalised": {"normalise": True}, "raw": {"normalise": False}}
_ADAM = {"recipe": {"optimizer": "adam", "lr": 3e-3}}
_SGD = {"recipe": {"optimizer": "sgd", "lr": 0.1, "gradient_clip": 1.0}}
_OPTIMIZERS = {
    "SGD": _SGD,
    "Adam": _ADAM,
    "AdaGrad": {"recipe": {"optimizer": "adagrad", "lr": 0.01}},
    "Adadelta": {"recipe": {"optimizer": "adadelta", "lr": 1.0}},
    "RMSprop": {"recipe": {"optimizer": "rmsprop", "lr": 1e-3}},
}
_LABELS = {
    "true": {},
    "25 % shuffled": {"shuffled": 0.25},
    "50 % shuffled": {"shuffled": 0.5},
    "all shuffled": {"shuffled": 1.0},
}


def _strengths(*strengths):
    return {strength: {"hfc_strength": strength} for strength in strengths}


def _trained_on(components, radii):
    return tuple(
        ({"trained_on": name, "train_radius": radius}, _only(name, radius))
        for name in components
        for radius in radii
    )


def _only(name, radius):
    return {"trained_on": name, "train_radius": radius, "radii": (radius,)}


def _batch_sizes(sizes, middle, epochs):
    """Each size for the same epochs; sizes above the middle one also for as many steps."""
    conditions = [("epochs", size, epochs) for size in sizes]
    conditions += [("steps", size, epochs * size // middle) for size in sizes if size > middle]
    return tuple(
        (
            {"budget": f"same {budget}", "batch_size": size},
            {"recipe": {"batch_size": size, "epochs": epochs}},
        )
        for budget, size, epochs in conditions
    )


_ADAM_CPU = {
    "recipe": Recipe(epochs=10, batch_size=100, optimizer="adam", lr=1e-3, weight_decay=0.0)
}
_LOW_WITH_AND_WITHOUT = _grid(
    norm={"none": {}, "BatchNorm": _BATCH_NORM},
    train_radius={"all": {}} | {str(radius): _only("low", radius) for radius in _RADII},
)
_RAW_AND_SCALED = (*_COPIES, "high, scaled")
_OBSERVATION = {
    "radii": (0, 2, 4, 5, 6, 8, 12, 16),
    "norm": "batch",
}

EXPERIMENTS = {
    "observation": Experiment(
        measure=_observe,
        keys=("copies", "radius"),
        scales=_scales(
            quick={
                **_OBSERVATION,
                "recipe": Recipe(epochs=6, batch_size=64, lr=0.03),
                "train_size": 4000,
                "test_size": 1000,
            },
            cpu={
                **_OBSERVATION,
                "model": "convnet",
                "recipe": Recipe(
                    epochs=12, batch_size=256, lr=0.3, label_smoothing=0.1, shift=2, flip=True
                ),
                "train_size": None,
                "test_size": None,
            },
            paper={"radii": _OBSERVATION["radii"]},
        ),
        claims=("C02", "C23"),
    ),
    "memorisation": Experiment(
        measure=_on_copies,
        keys=("labels", "epoch", "images", "radius"),
        scales=_scales(
            quick={
                "norm": "batch",
                "recipe": Recipe(epochs=16, batch_size=32, lr=0.03, weight_decay=0.0),
                "train_size": 1000,
                "test_size": 500,
                "epochs": (1, 2, 3, 4, 6, 8, 10, 12, 14, 16),
                "radii": (8,),
                "conditions": _grid(
                    labels={
                        "true": {"hfc_strength": 1},
                        "true, useless wave": {"hfc_strength": 0},
                        "all shuffled": {"hfc_strength": 1, "shuffled": 1.0},
                    },
                ),
            },
            cpu={
                "recipe": Recipe(
                    epochs=60, batch_size=50, lr=0.05, weight_decay=0.0, gradient_clip=1.0
                ),
                "train_size": 5000,
                "epochs": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60),
                "conditions": _grid(labels=_LABELS),
            },
            paper={
                "epochs": (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 300),
                "conditions": _grid(
                    labels={
                        name: changes | {"recipe": {"epochs": 100 if name == "true" else 300}}
                        for name, changes in _LABELS.items()
                    }
                ),
            },
        ),
        claims=("C04", "C05"),
    ),
    "lfc-hfc-training": Experiment(
        measure=_on_copies,
        keys=("trained_on", "train_radius", "images", "radius"),
        scales=_scales(
            quick={
                "norm": "batch",
                "recipe": Recipe(epochs=8, batch_size=32, lr=0.03, weight_decay=0.0),
                "train_size": 1000,
                "hfc_strength": 0.9,
                "conditions": (
                    ({"trained_on": "low", "train_radius": 8}, _only("low", 8)),
                    ({"trained_on": "high", "train_radius": 8}, _only("high", 8)),
                    (
                        {"trained_on": "high, useless wave", "train_radius": 8},
                        _only("high", 8) | {"hfc_strength": 0},
                    ),
                ),
            },
            cpu={"components": _SCALED, "conditions": _trained_on(_SCALED, _RADII)},
            paper={"components": _SCALED, "conditions": _trained_on(_SCALED, _RADII)},
        ),
        claims=("C06",),
    ),
    "batch-size": Experiment(
        measure=_on_copies,
        keys=("budget", "batch_size", "images", "radius"),
        scales=_scales(
            quick={"conditions": _batch_sizes((16, 64, 256), 64, 6)},
            cpu=_ADAM_CPU | {"conditions": _batch_sizes((10, 32, 100, 320, 1000), 100, 10)},
            paper={"conditions": _batch_sizes((10, 32, 100, 320, 1000), 100, 100)},
        ),
        claims=("C07",),
    ),
    "architectures": Experiment(
        measure=_on_copies,
        keys=("architecture", "images", "radius"),
        scales=_scales(
            quick={
                "conditions": _grid(
                    architecture={"LeNet": {"model": "lenet"}, "small": {"model": "small"}}
                )
            },
            cpu={
                "conditions": _grid(
                    architecture={
                        "LeNet": {"model": "lenet"},
                        "AlexNet": {"model": "alexnet"},
                        "VGG": {"model": "vgg"},
                        "ResNet": {"model": "resnet32"},
                    }
                )
            },
            paper={
                "conditions": _grid(
                    architecture={
                        "LeNet": {"model": "lenet"},
                        "AlexNet": {"model": "alexnet", "width": 64},
                        "VGG": {"model": "vgg", "width": 64},
                        "ResNet": {"model": "resnet32"},
                    }
                )
            },
        ),
        claims=("C13",),
    ),
    "optimizers": Experiment(
        measure=_on_copies,
        keys=("optimizer", "epoch", "images", "radius"),
        scales=_scales(
            quick={"epochs": (12,), "conditions": _grid(optimizer=_OPTIMIZERS)},
            cpu={"epochs": tuple(range(1, 11)), "conditions": _grid(optimizer=_OPTIMIZERS)},
            paper={
                "epochs": tuple(range(10, 101, 10)),
                "conditions": _grid(optimizer=_OPTIMIZERS),
            },
        ),
        claims=("C14",),
    ),
    "heuristics": Experiment(
        measure=_on_copies,
        keys=("heuristic", "epoch", "images", "radius"),
        scales=_scales(
            quick={
                "hfc_strength": 0.9,
                "epochs": (2, 4, 6, 8, 10, 12),
                "images": ("test",),
                "radii": (4, 8),
                "conditions": _grid(
                    heuristic=_HEURISTICS
                    | {"adversarial": {"recipe": {"adversarial": 4 / 255, "attack_steps": 1}}}
                ),
            },
            cpu={
                "train_size": 20_000,
                "epochs": tuple(range(1, 11)),
                "conditions": _grid(heuristic=_HEURISTICS),
            },
            paper={
                "epochs": tuple(range(5, 101, 5)),
                "conditions": _grid(heuristic=_HEURISTICS),
            },
        ),
        claims=("C08", "C09", "C10", "C12"),
    ),
    "batchnorm": Experiment(
        measure=_by_statistics,
        keys=(
            "norm",
            "inputs",
            "optimizer",
            "epoch",
            "statistics",
            "company",
            "radius",
        ),
        scales=_scales(
            quick={
                "hfc_strength": 0.9,
                "epochs": (2, 4, 6, 8, 10, 12),
                "radii": (4, 8),
                "components": _SCALED,
                "conditions": _grid(
                    norm={"none": {}, "BatchNorm": _BATCH_NORM},
                    inputs={"normalised": {}},
                    optimizer={"SGD": {}},
                ),
            },
            cpu={
                "recipe": Recipe(
                    epochs=12, batch_size=100, lr=0.1, weight_decay=0.0, gradient_clip=1.0
                ),
                "epochs": (1, 2, 3, 4, 6, 8, 10, 12),
                "test_size": 1000,
                "components": _SCALED,
                "conditions": _grid(
                    norm=_NORMS, inputs=_INPUTS, optimizer={"SGD": _SGD, "Adam": _ADAM}
                ),
            },
            paper={
                "epochs": (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 70, 100),
                "components": _SCALED,
                "conditions": _grid(
                    norm=_NORMS,
                    inputs=_INPUTS,
                    optimizer={"Adam": {}, "SGD": _SGD},
                ),
            },
        ),
        claims=("C11",),
    ),
    "batchnorm-resnet32": Experiment(
        measure=_by_statistics,
        keys=("norm", "epoch", "statistics", "company", "radius"),
        scales=_scales(
            quick={
                "model": "resnet32",
                "width": 8,
                "recipe": Recipe(epochs=4, batch_size=50, lr=0.1, gradient_clip=1.0),
                "train_size": 500,
                "epochs": (4,),
                "radii": (4, 8),
                "components": _RAW_AND_SCALED,
                "conditions": _grid(norm={"none": {}, "BatchNorm": _BATCH_NORM}),
            },
            cpu={
                "model": "resnet32",
                "normalise": False,
                "recipe": Recipe(
                    epochs=20,
                    batch_size=100,
                    optimizer="adam",
                    lr=3e-4,
                    schedule="constant",
                    weight_decay=0.0,
                ),
                "train_size": None,
                "test_size": 1500,
                "epochs": (1, 2, 3, 4, 6, 8, 12, 16, 20),
                "components": _RAW_AND_SCALED,
                # Without normalisation a learning rate of 1e-3 is too high for 32 layers.
                "conditions": _grid(
                    norm={"none": {}, "BatchNorm": _BATCH_NORM | {"recipe": {"lr": 1e-3}}}
                ),
            },
            paper={
                "epochs": (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 70, 100),
                "components": _RAW_AND_SCALED,
                "conditions": _grid(norm={"none": {}, "BatchNorm": _BATCH_NORM}),
            },
        ),
        claims=("C11",),
    ),
    "batchnorm-lfc": Experiment(
        measure=_on_copies,
        keys=("norm", "train_radius", "images", "radius"),
        scales=_scales(
            quick={
                "conditions": _grid(
                    norm={"none": {}, "BatchNorm": _BATCH_NORM},
                    train_radius={"all": {}, "8": _only("low", 8)},
                )
            },
            cpu={"conditions": _LOW_WITH_AND_WITHOUT},
            paper={"conditions": _LOW_WITH_AND_WITHOUT},
        ),
        claims=("C15",),
    ),
    "planted": Experiment(
        measure=_with_signature,
        keys=("heuristic", "strength", "epoch", "radius"),
        scales=_scales(
            quick={
                "epochs": (12,),
                "radii": (8,),
                "conditions": _grid(
                    heuristic={"vanilla": {}, "BatchNorm": _BATCH_NORM},
                    strength=_strengths(0, 0.9),
                ),
            },
            cpu={
                "epochs": (1, 2, 3, 4, 6, 8, 10),
                "radii": (8,),
                "conditions": _grid(
                    heuristic=_HEURISTICS | {"GroupNorm": _NORMS["GroupNorm"]},
                    strength=_strengths(0, 0.5, 0.9, 1),
                ),
            },
            paper={
                "epochs": (5, 10, 20, 30, 50, 70, 100),
                "radii": (8,),
                "conditions": _grid(
                    heuristic=_HEURISTICS | {"GroupNorm": _NORMS["GroupNorm"]},
                    strength=_strengths(0, 0.5, 0.9, 1),
                ),
            },
        ),
        claims=(),
    ),
    "people": Experiment(
        measure=_by_difficulty,
        keys=("agreement", "copies", "radius"),
        scales=_scales(
            quick={"norm": "batch", "test_size": None, "radii": (4, 8)},
            cpu={
                "norm": "batch",
                "recipe": Recipe(
                    epochs=12, batch_size=100, lr=0.1, gradient_clip=1.0, shift=2, flip=True
                ),
                "train_size": None,
                "test_size": None,
            },
            paper={"test_size": None},
        ),
        claims=(),
        check=_needs_people,
    ),
}
