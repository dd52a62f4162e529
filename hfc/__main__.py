"""The command line: ``python -m hfc reproduce ...`` and ``python -m hfc data``."""

import argparse
import json
import os
import sys
from pathlib import Path

__all__ = ["main"]

_SCALES = ("quick", "cpu", "paper")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    from hfc import data  # torch is loaded when a command runs, not on import
    from hfc.study import catalogue
    from hfc.study.kinds import DATASETS

    parser = argparse.ArgumentParser(prog="python -m hfc", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    reproduce = commands.add_parser(
        "reproduce", help="run an experiment; a stopped run goes on where it was"
    )
    reproduce.add_argument(
        "experiment", nargs="?", choices=("all", *catalogue.experiments()), metavar="EXPERIMENT"
    )
    reproduce.add_argument("--list", action="store_true", help="tell which experiments there are")
    reproduce.add_argument(
        "--wanted",
        action="store_true",
        help="run the wanted list, and add what is finished to the book's results",
    )
    reproduce.add_argument(
        "--scale",
        choices=_SCALES,
        help="default quick; with --wanted paper on a GPU, else cpu",
    )
    reproduce.add_argument(
        "--data", choices=DATASETS, help="default synthetic, for detectors scenes"
    )
    reproduce.add_argument("--root", help="folder of the data (default $HFC_DATA or ~/.cache/hfc)")
    reproduce.add_argument("--seeds", type=int, help="how many (default 3)")
    reproduce.add_argument(
        "--folder",
        help="where to keep results (default runs; with --wanted the book's results)",
    )
    reproduce.add_argument("--jobs", type=int, help="units at a time (default: one a core)")
    reproduce.add_argument("--scheduler", help="address of a Dask scheduler, tcp://...")
    reproduce.set_defaults(run=_reproduce)

    where = commands.add_parser("data", help="tell which data sets are where, or download one")
    where.add_argument("--root", help="folder to look in (default $HFC_DATA or ~/.cache/hfc)")
    where.add_argument("--download", choices=data.NAMES[1:], help="download this data set")
    where.add_argument("--need", metavar="NAME", help="fail unless this data set is ready")
    where.set_defaults(run=_data)

    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"hfc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hfc: stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


def _reproduce(chosen):
    from hfc.study import catalogue
    from hfc.study.kinds import embedded
    from hfc.study.wanted import Wanted

    if chosen.list:
        _list(chosen.scale or "quick")
        return
    if chosen.root is not None:
        os.environ["HFC_DATA"] = chosen.root  # for the workers, too
    if chosen.wanted:
        runs, folder = _wanted(chosen)
    elif chosen.experiment is None:
        raise ValueError("reproduce needs an experiment, or all; see: reproduce --list")
    else:
        names = catalogue.experiments() if chosen.experiment == "all" else [chosen.experiment]
        scale = chosen.scale or "quick"
        seeds = 3 if chosen.seeds is None else chosen.seeds
        runs = [
            Wanted(name, scale, chosen.data or embedded(catalogue.scale(name, scale).base), seeds)
            for name in names
        ]
        folder = chosen.folder or "runs"
    failures = []
    for k, run in enumerate(runs):
        if len(runs) > 1:
            print(f"{k + 1} of {len(runs)}: {run.experiment}", flush=True)
        try:
            _run(run, folder, chosen)
        except (OSError, ValueError, RuntimeError) as error:  # the others shall not be lost
            failures.append(str(error))
    if failures:
        raise RuntimeError("\n".join(failures))


def _wanted(chosen):
    """The wanted runs of the chosen scale, and where their results go."""
    from hfc.machine import default_device
    from hfc.study.results import RESULTS
    from hfc.study.wanted import wanted

    for name in ("experiment", "data", "seeds"):
        if getattr(chosen, name) is not None:
            raise ValueError(f"--wanted takes no {name}, got {getattr(chosen, name)!r}")
    scale = chosen.scale or ("paper" if default_device().type == "cuda" else "cpu")
    runs = [run for run in wanted() if run.scale == scale]
    if not runs:
        raise ValueError(f"nothing is wanted at scale {scale}")
    return runs, chosen.folder or RESULTS


def _run(run, folder, chosen):
    from hfc.study.results import RESULTS, path
    from hfc.study.run import run as run_experiment

    costs_only = run.scale == "quick" and Path(folder).resolve() == RESULTS
    stored = path(folder, run.experiment, run.scale, run.data)

    result = run_experiment(
        run.experiment,
        run.scale,
        run.data,
        run.range if run.first else run.seeds,
        attacked=run.attacked,
        folder=folder,
        jobs=chosen.jobs,
        scheduler=chosen.scheduler,
        records=not costs_only,
        shrink=chosen.wanted and _fewer_seeds(stored, run),
    )
    print(f"{run.experiment}: seeds {result.seeds}, stored in {stored}")
    print(_means(result).to_string(max_rows=40))


def _fewer_seeds(file, run):
    """Whether what is stored has no more seeds than are wanted: then these may take its place."""
    if not file.is_file():
        return False
    units = json.loads(file.read_bytes())["units"]
    return len({unit["seed"] for unit in units}) <= run.seeds


def _means(result):
    """Means over seeds of everything that is a number, after the last epoch."""
    numbers = result.table.set_index([*result.keys, "seed"]).select_dtypes("number")
    means = numbers.groupby(level=list(result.keys), sort=False).mean().round(3)
    if "epoch" in result.keys:
        others = [key for key in result.keys if key != "epoch"]
        last = means.sort_index(level="epoch", sort_remaining=False).groupby(
            level=others, sort=False
        )
        means = last.tail(1).droplevel("epoch").reindex(last.first().index)
    return means


def _list(scale):
    from hfc.study import catalogue
    from hfc.study.catalogue import image_passes

    for name, experiment in catalogue.experiments().items():
        if scale not in experiment.scales:
            continue
        runs = len(experiment.scales[scale].conditions)
        claims = ", ".join(experiment.claims) or "no claim"
        passes = image_passes(name, scale) / 1e6
        print(f"{name:20} {claims:20} {runs:3} trainings a seed, {passes:7.2f} million images")


def _data(chosen):
    from hfc import data

    if chosen.download:
        root = data.download(chosen.download, chosen.root)
        print(f"{chosen.download} is ready in {root}")
        return
    if chosen.need:
        state = data.state(chosen.need, chosen.root)
        if state not in ("embedded", "ready"):
            raise data.DatasetError(state)
        return
    print(f"root: {data.data_root(chosen.root)}")
    for name in data.NAMES:
        print(f"{name:10} {data.state(name, chosen.root)}")


if __name__ == "__main__":
    sys.exit(main())
