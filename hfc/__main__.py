"""The command line: ``python -m hfc reproduce ...`` and ``python -m hfc data``."""

import argparse
import sys

from hfc import data, experiments

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hfc", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    reproduce = commands.add_parser(
        "reproduce", help="run an experiment; a stopped run goes on where it was"
    )
    reproduce.add_argument(
        "experiment", nargs="?", choices=("all", *experiments.EXPERIMENTS), metavar="EXPERIMENT"
    )
    reproduce.add_argument("--list", action="store_true", help="tell which experiments there are")
    reproduce.add_argument("--scale", choices=("quick", "cpu", "paper"), default="quick")
    reproduce.add_argument("--data", choices=data.NAMES, default="synthetic")
    reproduce.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    reproduce.add_argument("--folder", default="runs", help="where to keep results (default runs)")
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
    return 0


def _reproduce(chosen):
    if chosen.list:
        for name, experiment in experiments.EXPERIMENTS.items():
            runs = len(experiment.scales[chosen.scale]["conditions"])
            claims = ", ".join(experiment.claims) or "no claim"
            passes = experiments.image_passes(name, chosen.scale) / 1e6
            print(f"{name:20} {claims:20} {runs:3} trainings a seed, {passes:7.2f} million images")
        return
    if chosen.experiment is None:
        raise ValueError("reproduce needs an experiment, or all; see: reproduce --list")
    names = list(experiments.EXPERIMENTS) if chosen.experiment == "all" else [chosen.experiment]
    failures = []
    for k, name in enumerate(names):
        if len(names) > 1:
            print(f"{k + 1} of {len(names)}: {name}", flush=True)
        try:
            result = experiments.run(
                name,
                chosen.scale,
                chosen.data,
                chosen.seeds,
                folder=chosen.folder,
                jobs=chosen.jobs,
                scheduler=chosen.scheduler,
            )
        except (OSError, ValueError, RuntimeError) as error:  # the others shall not be lost
            failures.append(str(error))
            continue
        file = f"{chosen.folder}/{name}/{result.scale}-{result.dataset}.json"
        print(f"{name}: seeds {result.seeds}, stored with intervals in {file}")
        means = result.summary.xs("mean", axis=1, level=1).round(3)
        if "epoch" in result.keys:
            means = means.xs(means.index.unique("epoch").max(), level="epoch")
        print(means.to_string(max_rows=40))
    if failures:
        raise RuntimeError("\n".join(failures))


def _data(chosen):
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
