"""Run an experiment: settings in, a :class:`~hfc.study.results.Result` out.

A unit of work is one seed of one condition; its numbers depend on its identity only
(:mod:`hfc.study.identity`).
"""

import contextlib
import json
import os
import re
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import joblib
import torch

from hfc.arguments import checked
from hfc.data import DatasetError
from hfc.files import write_whole
from hfc.machine import default_device, progress_bar, threads
from hfc.study import catalogue
from hfc.study.catalogue import is_attacked
from hfc.study.code import digest
from hfc.study.identity import identity, network_file, unit_code
from hfc.study.kinds import content_digest, embedded, kind
from hfc.study.provenance import provenance
from hfc.study.results import Result, Unit, load, merged, path, save
from hfc.study.settings import Settings, as_json
from hfc.study.unit import seeded

__all__ = ["run"]

_MOST_SEEDS = 1000
_ALONE = threading.Lock()
_PATIENCE = 25  # seconds without a worker
_DAY = 86_400  # seconds, after which nobody is writing a file any more


@checked
def run(
    name: str,
    scale: str = "quick",
    dataset: str | None = None,
    seeds: int | Sequence[int] = 3,
    *,
    attacked: int | None = None,
    folder: str | os.PathLike | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    records: bool = True,
    shrink: bool = False,
    **changes,
) -> Result:
    """Run an experiment, one independent unit for each seed of each condition.

    Parameters
    ----------
    name : str
        One of :func:`hfc.study.catalogue.experiments`.
    scale : {"quick", "cpu", "paper"}
    dataset : str, optional
        One of :data:`hfc.study.kinds.DATASETS`; default what is made here, ``"synthetic"`` or
        ``"scenes"``.
    seeds : int or sequence of int
        Which seeds, or how many from 0 on. A seed decides the initial weights, the order of
        the images, and the synthetic set or the subset of a real one.
    attacked : int, optional
        How many of the seeds, from the first on, for conditions that train against an attack,
        which takes several times as long; default all.
    folder : path, optional
        Where to keep every finished unit, the checkpoint of every unfinished one and, at the
        end, the result. A run that was stopped goes on from there, to the same numbers, and a
        result grows by the seeds that it does not have. Units of another identity are done
        again. Trained networks are kept under ``networks``, for all experiments that train the
        same ones.
    jobs : int, optional
        Units at a time; default one a core, on a GPU one, on a cluster as many as it takes.
        Each has :func:`hfc.machine.threads` threads, however many there are.
    scheduler : str, optional
        Address of a Dask scheduler (``tcp://...``) whose workers do the units.
    progress : bool
        Whether to show a progress bar.
    records : bool
        Whether the result in ``folder`` keeps what was measured, or only what it cost.
    shrink : bool
        Whether the result in ``folder`` may lose seeds that other code or settings computed.
    **changes
        Settings that differ from the scale's; what a condition sets itself stays.

    Returns
    -------
    Result
        Of the seeds that were asked for.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type, unknown or out of range.
    DatasetError
        If the data are missing or damaged.
    RuntimeError
        If units failed. The text tells which and why; finished ones are kept in ``folder``.
    """
    experiment = catalogue.experiment(name)
    chosen = catalogue.scale(name, scale)
    dataset = dataset or embedded(chosen.base)
    conditions = list(chosen.each(dataset=dataset, **changes))
    count = seeds if isinstance(seeds, int) else len(seeds)
    if count > _MOST_SEEDS:
        raise ValueError(f"seeds must be at most {_MOST_SEEDS:,}, got {count:,}")
    chosen_seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen_seeds or len(set(chosen_seeds)) < len(chosen_seeds):
        raise ValueError(f"seeds must be at least one and all different, got {seeds}")
    seeds = chosen_seeds
    if attacked is not None and not 1 <= attacked <= len(seeds):
        raise ValueError(f"attacked must be 1 to {len(seeds)}, the number of seeds, got {attacked}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if experiment.check is not None:
        for condition in conditions:
            experiment.check(condition.settings)
    files = content_digest(dataset)
    for condition in conditions:  # it complains of what none can be made
        kind(condition.settings).network(condition.settings, classes=10, channels=3)

    folder = None if folder is None else Path(folder).absolute()  # wherever a worker stands
    code = unit_code(experiment.measure, chosen.base)

    def task(condition, seed):
        settings = seeded(condition.settings, seed)
        own = identity(settings, experiment.measure, code, files)
        kept = None
        if folder is not None and settings.epochs is None:  # else its history has what was measured
            kept = network_file(folder, settings, files)
        return _Task(name, scale, condition.label, settings, own, code, threads(), folder, kept)

    def others(units):
        """Of the stored units those of other seeds that belong to the same result."""
        known = {digest(condition.label): condition for condition in conditions}
        return [
            u
            for u in units
            if u.seed not in seeds
            and (u.records or not records)
            and digest(u.label) in known
            and task(known[digest(u.label)], u.seed).identity == u.identity
        ]

    tasks = [
        task(condition, seed)
        for k, seed in enumerate(seeds)
        for condition in conditions
        if attacked is None or k < attacked or not is_attacked(condition.settings)
    ]
    grown = _units_of(folder, name, scale, dataset)
    lost = {u.seed for u in grown if u.records} - {u.seed for u in others(grown)} - set(seeds)
    if lost and not shrink:
        raise ValueError(
            f"seeds must hold {', '.join(map(str, sorted(lost)))}, too, or folder be another one: "
            f"other code or settings computed those in {path(folder, name, scale, dataset)}, "
            "which would be lost"
        )
    done = {t.title: t.stored() or t.found_in(grown) for t in tasks}
    left = [t for t in tasks if done[t.title] is None]
    if left and folder is not None:
        _probe(folder)
    failures = []
    with ExitStack() as stack:
        bar = progress_bar(
            len(tasks), initial=len(tasks) - len(left), desc=name, unit="run", show=progress
        )
        stack.enter_context(bar)
        if scheduler is not None:
            from distributed import Client

            stack.enter_context(
                _attended(stack.enter_context(Client(scheduler, timeout=_PATIENCE)), scheduler)
            )
            stack.enter_context(joblib.parallel_config(backend="dask"))
            jobs = jobs or -1
        else:
            jobs = _jobs(jobs, len(left))
        parent = None if scheduler else os.getpid()
        attempts = (joblib.delayed(_attempt)(t, progress and jobs == 1, parent) for t in left)
        for t, outcome in joblib.Parallel(jobs, return_as="generator_unordered")(attempts):
            if isinstance(outcome, str):
                failures.append(f"{t.title}: {outcome}")
                continue
            t.store(outcome)
            done[t.title] = outcome
            bar.update()
    if failures:
        count = f"{len(failures)} of {len(tasks)}"
        raise RuntimeError("\n".join([f"{name}: {count} units failed", *failures]))
    shared = chosen.base.changed(dataset=dataset, **changes)
    settings = as_json(shared, conditions=chosen.conditions)
    result = Result(name, scale, dataset, settings, experiment.keys, list(done.values()))
    if folder is not None:
        now = _units_of(folder, name, scale, dataset)  # another run may have added to them
        save(merged(result, others(now)), folder, records=records)
    return result


@dataclass(frozen=True)
class _Task:
    """One unit that is wanted, and where it is kept."""

    name: str
    scale: str
    label: dict
    settings: Settings
    identity: str
    code: str
    threads: int
    folder: Path | None
    network: Path | None

    @property
    def seed(self) -> int:
        return self.settings.recipe.seed

    @property
    def title(self) -> str:
        return ", ".join([*(str(value) for value in self.label.values()), f"seed {self.seed}"])

    def file(self, ending) -> Path | None:
        if self.folder is None:
            return None
        place = self.folder / self.name / f"{self.scale}-{self.settings.dataset}"
        return place / f"{re.sub(r'[^a-zA-Z0-9.]+', '-', self.title)}.{ending}"

    def stored(self) -> Unit | None:
        """The finished unit, if it was kept, is whole and of this identity."""
        if self.folder is None or not self.file("json").is_file():
            return None
        try:
            kept = json.loads(self.file("json").read_bytes())
            if kept.pop("digest") != digest(kept) or kept["identity"] != self.identity:
                return None
            unit = Unit(**kept)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        self.tidy()  # a kill may have come between storing and tidying
        return unit

    def found_in(self, units) -> Unit | None:
        """The same from a stored result that keeps what was measured."""
        wanted = (self.seed, self.label, self.identity)
        for unit in units:
            if unit.records and (unit.seed, unit.label, unit.identity) == wanted:
                return unit
        return None

    def store(self, unit):
        if self.folder is not None:
            kept = asdict(unit)
            kept["digest"] = digest(kept)
            write_whole(self.file("json"), json.dumps(kept).encode())
            self.tidy()

    def tidy(self):
        """Remove what a finished unit no longer needs: checkpoints, halves of old files."""
        kept = self.file("json")
        for rest in kept.parent.iterdir():
            half = rest.name.startswith(".")
            if rest != kept and rest.name.lstrip(".").startswith(f"{kept.stem}."):
                with contextlib.suppress(FileNotFoundError):  # another run was faster
                    if not half or time.time() - rest.stat().st_mtime > _DAY:
                        rest.unlink()

    def compute(self, progress) -> Unit:
        measure = catalogue.experiment(self.name).measure
        origin = provenance(default_device(), self.threads, self.code)
        made = kind(self.settings).compute(
            self.settings,
            measure,
            threads=self.threads,
            # No other settings, no other code.
            resume=self.network or self.file(f"{self.identity[:8]}.pt"),
            progress=progress,
        )
        origin |= {"data": made["data"], "seconds": made["seconds"]}
        records = [self.label | record for record in made["records"]]
        return Unit(self.seed, self.label, records, made["training"], origin, self.identity)


def _attempt(task, progress, parent):
    """The task and its outcome: a unit, or a text that says what went wrong."""
    if parent not in (None, os.getpid()):  # in a worker of this machine
        _end_with(parent)
    try:
        with _ALONE:  # seeds and threads are the whole process's
            unit = task.compute(progress)
        digest(asdict(unit))  # fails here, not where it is stored
        return task, unit
    except (DatasetError, FloatingPointError) as error:  # says all there is to say
        return task, str(error)
    except Exception:  # reported at the end, so that the other units are not lost
        return task, traceback.format_exc()


@lru_cache(maxsize=1)
def _end_with(parent):
    """End this worker when its parent ends, and leave Ctrl-C to the parent."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


class _Alone(BaseException):
    """A cluster has no workers."""


@contextlib.contextmanager
def _attended(client, scheduler):
    """Break off when a cluster has had no worker for a while, instead of waiting for ever."""
    main, left = threading.main_thread(), threading.Event()
    if threading.current_thread() is not main:  # only that one can be interrupted
        yield
        return

    def watch():
        seen = time.monotonic()
        while not left.wait(1):
            with contextlib.suppress(Exception):  # the scheduler may have gone, too
                if client.nthreads():
                    seen = time.monotonic()
            if time.monotonic() - seen > _PATIENCE:
                signal.pthread_kill(main.ident, signal.SIGALRM)
                return

    def leave(*_):
        raise _Alone

    before = signal.signal(signal.SIGALRM, leave)
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_PATIENCE + 1)
        yield
    except _Alone:
        told = f"{scheduler} has had no worker for {_PATIENCE} s; finished units are kept"
        raise RuntimeError(told) from None
    finally:
        left.set()
        watching.join()  # so that its signal does not come too late
        signal.signal(signal.SIGALRM, before)


def _probe(folder):
    """Complain before anything is trained if nothing can be kept in the folder."""
    file = folder / ".probe"
    try:
        write_whole(file, bytes(2**20))
        file.unlink()
    except OSError as error:
        raise ValueError(
            f"folder must be one that can be written to, got {folder}: {error.strerror}"
        ) from error


def _units_of(folder, name, scale, dataset):
    """Units of the result that is already in the folder; none of one that is damaged."""
    if folder is None or not path(folder, name, scale, dataset).is_file():
        return []
    try:
        return load(name, scale=scale, dataset=dataset, folder=folder).units
    except ValueError:
        return []


def _jobs(jobs, units):
    if jobs is None:
        jobs = 1 if torch.cuda.is_available() else joblib.cpu_count()
    return max(1, min(jobs, units))
