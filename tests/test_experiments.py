"""``hfc.experiments`` and the command line: units that are kept, resumed, spread and reported."""

import dataclasses
import logging
import re
import subprocess
import sys
from pathlib import Path

import dask
import pytest
import torch
from distributed import LocalCluster

from hfc import data, experiments, models, results, training
from hfc.__main__ import main
from hfc.evaluation import radius_sweep
from hfc.experiments import run, settings
from hfc.training import Recipe

ROOT = Path(__file__).parents[1]
TINY = {
    "train_size": 60,
    "test_size": 40,
    "recipe": Recipe(epochs=2, batch_size=20),
    "radii": (2, 8),
}


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setattr(experiments.joblib, "cpu_count", lambda: 1)


@pytest.fixture
def trained_seeds(monkeypatch):
    """Seeds whose training was begun in this process, in order."""
    seeds, train = [], experiments.train

    def counting(chosen, seed, **arguments):
        seeds.append(seed)
        return train(chosen, seed, **arguments)

    monkeypatch.setattr(experiments, "train", counting)
    return seeds


def tiny(folder=None, *, seeds=2, jobs=1, **changes):
    return run(
        "observation", seeds=seeds, folder=folder, jobs=jobs, progress=False, **TINY | changes
    )


def numbers(result):
    """What a run must reproduce: all but times and places."""
    facts = [{k: v for k, v in u["training"].items() if k != "seconds"} for u in result.units]
    records = [(unit["seed"], unit["records"]) for unit in result.units]
    return result.settings, records, facts


@pytest.fixture(scope="module")
def wanted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments.joblib, "cpu_count", lambda: 1)
        return tiny()


# A run ------------------------------------------------------------------------------------


def test_units_are_what_the_rooms_compute(wanted):
    for unit in wanted.units:
        seed = unit["seed"]
        train_set = data.load("synthetic", "train", size=60, seed=seed)
        test_set = data.load("synthetic", "test", size=40, seed=seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = models.build("small", num_classes=10)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            recipe = dataclasses.replace(TINY["recipe"], seed=seed)
            history = training.fit(model, train_set, recipe, progress=False)
            sweep = radius_sweep(model, test_set, (2, 8), mean=train_set.mean_colour)
        finally:
            torch.set_num_threads(threads)
        assert wanted.table.loc[seed].equals(sweep)
        assert unit["training"]["train_accuracy"] == history.rows[-1]["train_accuracy"]
        assert unit["training"]["parameters"] == sum(p.numel() for p in model.parameters())
        assert unit["provenance"]["data"] == train_set.fingerprint


def test_result_tells_what_was_run(wanted):
    assert (wanted.experiment, wanted.scale, wanted.dataset) == (
        "observation", "quick", "synthetic",
    )  # fmt: skip
    assert wanted.seeds == [0, 1]
    assert wanted.keys == ["copies", "radius"]
    chosen = settings("observation", "quick") | {"dataset": "synthetic"} | TINY
    assert wanted.settings.keys() == chosen.keys()
    assert wanted.settings["radii"] == [2, 8]
    assert wanted.settings["recipe"]["batch_size"] == 20
    assert "seed" not in wanted.settings["recipe"]
    assert wanted.table["n"].unique().tolist() == [40]
    for unit in wanted.units:
        assert {"device", "versions", "commit", "code", "data", "seconds"} <= set(
            unit["provenance"]
        )


def test_nothing_is_written_without_a_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tiny(seeds=1)
    assert not list(tmp_path.iterdir())


def test_the_threads_of_the_caller_stay(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(experiments.joblib, "cpu_count", lambda: before + 1)
    tiny(seeds=[4])
    assert torch.get_num_threads() == before


def test_seeds_by_number_or_by_name(wanted):
    assert tiny(seeds=[1]).units[0]["records"] == wanted.units[1]["records"]
    assert tiny(seeds=(1, 0)).seeds == [0, 1]


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_scale_can_be_built(name):
    for scale in experiments.EXPERIMENTS[name].scales:
        chosen = settings(name, scale)
        models.build(chosen["model"], num_classes=10, norm=chosen["norm"])
        assert isinstance(chosen["recipe"], Recipe)
        chosen.clear()
        assert settings(name, scale)  # a copy
    assert set(experiments.EXPERIMENTS[name].claims) <= results.claims().keys()


# What is kept -----------------------------------------------------------------------------

PLACE = Path("observation") / "quick-synthetic"


def test_finished_units_are_not_done_again(tmp_path, trained_seeds, wanted):
    first = tiny(tmp_path)
    assert numbers(first) == numbers(wanted)
    assert {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()} == {
        PLACE.with_suffix(".json"),
        PLACE / "seed-0.json",
        PLACE / "seed-1.json",
    }
    stored = results.load("observation", scale="quick", dataset="synthetic", folder=tmp_path)
    assert stored == first
    assert trained_seeds == [0, 1]
    assert tiny(tmp_path) == first
    assert trained_seeds == [0, 1]
    assert tiny(tmp_path, seeds=3).seeds == [0, 1, 2]
    assert trained_seeds == [0, 1, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"radii": (2,)},
        {"train_size": 61},
        {"hfc_strength": 1.0},
        {"norm": None},
        {"recipe": dataclasses.replace(TINY["recipe"], lr=0.05)},
    ],
    ids=str,
)
def test_other_settings_are_done_again(changes, tmp_path, trained_seeds):
    tiny(tmp_path, seeds=1)
    assert tiny(tmp_path, seeds=1, **changes).units == tiny(tmp_path, seeds=1, **changes).units
    assert trained_seeds == [0, 0]


def test_other_code_is_done_again(tmp_path, trained_seeds, monkeypatch):
    tiny(tmp_path, seeds=1)
    monkeypatch.setattr(experiments, "code_hash", lambda: "other")
    tiny(tmp_path, seeds=1)
    assert trained_seeds == [0, 0]


def measure_again(model, train_set, test_set, chosen):
    return experiments._observe(model, train_set, test_set, chosen)


def test_another_measure_is_done_again(tmp_path, trained_seeds, monkeypatch):
    tiny(tmp_path, seeds=1)
    observation = dataclasses.replace(experiments.EXPERIMENTS["observation"], measure=measure_again)
    monkeypatch.setitem(experiments.EXPERIMENTS, "observation", observation)
    tiny(tmp_path, seeds=1)
    assert trained_seeds == [0, 0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"[]",
        lambda content: b"\xff\xfe",
        lambda content: content.replace(b'"unit"', b'"other"'),
        lambda content: content.replace(b'"only_high": ', b'"only_high": 1'),
    ],
    ids=["half", "empty", "a list", "not text", "no unit", "edited"],
)
def test_a_damaged_unit_is_done_again(damage, tmp_path, trained_seeds, wanted):
    tiny(tmp_path)
    path = tmp_path / PLACE / "seed-1.json"
    path.write_bytes(damage(path.read_bytes()))
    assert numbers(tiny(tmp_path)) == numbers(wanted)
    assert trained_seeds == [0, 1, 1]


class Stopped(BaseException):
    """As Ctrl-C."""


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A folder in which seed 0 was stopped between training and measuring."""

    def stop(*_):
        raise Stopped

    experiment = experiments.EXPERIMENTS["observation"]
    with monkeypatch.context() as patch:
        patch.setitem(
            experiments.EXPERIMENTS, "observation", dataclasses.replace(experiment, measure=stop)
        )
        with pytest.raises(Stopped):
            tiny(tmp_path)
    (checkpoint,) = (tmp_path / PLACE).iterdir()
    assert checkpoint.suffix == ".pt"
    return tmp_path


@pytest.fixture
def epochs(monkeypatch):
    """Epochs that are really trained."""
    done, epoch = [], training._epoch

    def counting(*arguments):
        done.append(arguments[4])
        return epoch(*arguments)

    monkeypatch.setattr(training, "_epoch", counting)
    return done


def test_a_stopped_unit_goes_on(stopped, epochs, wanted):
    assert numbers(tiny(stopped)) == numbers(wanted)
    assert epochs == [0, 1]  # of seed 1
    assert sorted(p.name for p in (stopped / PLACE).iterdir()) == ["seed-0.json", "seed-1.json"]


@pytest.mark.parametrize(
    "changes",
    [{"recipe": Recipe(epochs=1, batch_size=20)}, {"model": "convnet"}, {"train_size": 80}],
    ids=str,
)
def test_a_unit_stopped_with_other_settings_is_begun_anew(changes, stopped, epochs):
    result = tiny(stopped, seeds=1, **changes)
    assert len(epochs) == (1 if "recipe" in changes else 2)
    assert numbers(result) == numbers(tiny(seeds=1, **changes))
    assert [p.name for p in (stopped / PLACE).iterdir()] == ["seed-0.json"]


def test_a_failure_is_reported_and_the_others_are_kept(tmp_path, monkeypatch, wanted):
    train = experiments.train

    def failing(chosen, seed, **arguments):
        if seed == 0:
            raise ZeroDivisionError("on purpose")
        return train(chosen, seed, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "train", failing)
        with pytest.raises(RuntimeError, match="observation: 1 of 2 units failed\nseed 0: ") as e:
            tiny(tmp_path)
    assert "ZeroDivisionError: on purpose" in str(e.value)
    assert "in failing" in str(e.value)  # where it happened
    assert [p.name for p in (tmp_path / PLACE).iterdir()] == ["seed-1.json"]
    assert not (tmp_path / "observation" / "quick-synthetic.json").exists()
    assert numbers(tiny(tmp_path)) == numbers(wanted)


def test_missing_data_is_told_in_a_line_a_unit(tmp_path, monkeypatch):
    monkeypatch.setenv("HFC_DATA", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="cifar10 is missing") as caught:
        run("observation", dataset="cifar10", seeds=2, jobs=1, progress=False)
    first, *others = str(caught.value).splitlines()
    assert first == "observation: 2 of 2 units failed"
    assert [line.split(": ")[0] for line in others] == ["seed 0", "seed 1"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "wishes"}, "name must be one of observation, got 'wishes'"),
        ({"scale": "huge"}, "scale must be one of quick, cpu, paper, got 'huge'"),
        ({"dataset": "cifar11"}, "dataset must be one of synthetic, cifar10, cifar100, mnist, go"),
        ({"radius": 4}, "observation has no setting 'radius'; it has model, norm, recipe, "),
        ({"seeds": 0}, "seeds must be at least one and all different, got []"),
        ({"seeds": []}, "seeds must be at least one and all different, got []"),
        ({"seeds": [1, 2, 1]}, "seeds must be at least one and all different, got [1, 2, 1]"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"jobs": -1}, "jobs must be at least 1, got -1"),
    ],
)
def test_run_refuses(arguments, text, trained_seeds):
    with pytest.raises(ValueError, match=re.escape(text)):
        run(**{"name": "observation", "progress": False} | arguments)
    assert not trained_seeds


# Many processes, many machines ------------------------------------------------------------


def test_two_processes_give_the_same(tmp_path, trained_seeds, wanted):
    assert numbers(tiny(tmp_path, jobs=2)) == numbers(wanted)
    assert not trained_seeds  # not in this process
    assert len(list((tmp_path / PLACE).glob("seed-?.json"))) == 2


def test_a_cluster_gives_the_same(tmp_path, trained_seeds, wanted, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
        local_directory=tmp_path / "workers",
    ) as cluster:
        found = tiny("here", jobs=None, scheduler=cluster.scheduler_address)
    assert numbers(found) == numbers(wanted)
    assert not trained_seeds
    assert sorted(p.name for p in (tmp_path / "here" / PLACE).iterdir()) == [
        "seed-0.json",
        "seed-1.json",
    ]


# The command line -------------------------------------------------------------------------


@pytest.fixture
def tiny_scale(monkeypatch):
    scales = experiments.EXPERIMENTS["observation"].scales
    monkeypatch.setitem(scales, "quick", scales["quick"] | TINY)


REPRODUCE = ("reproduce", "observation", "--jobs", "1", "--seeds")


@pytest.mark.usefixtures("tiny_scale")
def test_reproduce(tmp_path, capsys, wanted):
    assert main([*REPRODUCE, "2", "--folder", str(tmp_path)]) == 0
    found = results.load("observation", scale="quick", dataset="synthetic", folder=tmp_path)
    assert numbers(found) == numbers(wanted)
    *table, last = capsys.readouterr().out.splitlines()
    assert "only_high" in table[0]
    assert len(table) == 2 + 4
    path = f"{tmp_path}/observation/quick-synthetic.json"
    assert last == f"means over seeds [0, 1]; stored with intervals in {path}"


KILLED = """
import sys
from pathlib import Path
from tests import test_experiments as t
from tests.kills import finish, load_all_of_torch, until_done

folder = Path(sys.argv[1])
t.experiments.joblib.cpu_count = lambda: 1
load_all_of_torch()
t.results.code_hash()  # once for all attempts
scales = t.experiments.EXPERIMENTS["observation"].scales
scales["quick"] |= t.TINY | {"recipe": t.Recipe(epochs=4, batch_size=20)}

def work(name):
    assert t.main([*t.REPRODUCE, "2", "--folder", str(folder / name)]) == 0

finish(lambda: work("undisturbed"))
assert until_done(lambda: work("killed")) >= 3
"""


def test_killed_at_any_moment(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [
        numbers(results.load("observation", scale="quick", dataset="synthetic", folder=folder))
        for folder in (tmp_path / "undisturbed", tmp_path / "killed")
    ]
    assert found[0] == found[1]
    assert len(found[0][1]) == 2
    kept = [p.name for p in (tmp_path / "killed" / PLACE).iterdir()]
    assert sorted(kept) == ["seed-0.json", "seed-1.json"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([*REPRODUCE, "0"], "hfc: seeds must be at least one and all different, got []\n"),
        (["reproduce", "observation", "--jobs", "0"], "hfc: jobs must be at least 1, got 0\n"),
        (["data", "--need", "cifar11"], "hfc: name must be one of synthetic, cifar10, cifar100, "),
        (["data", "--need", "cifar10"], "hfc: cifar10 is missing: no "),
    ],
)
def test_errors_are_one_line(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(text)
    assert err.count("\n") == 1


def test_missing_data_on_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    folder = tmp_path / "runs"
    assert main([*REPRODUCE, "1", "--data", "cifar10", "--folder", str(folder)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "hfc: observation: 1 of 1 units failed"
    assert second.startswith("seed 0: cifar10 is missing: no ")
    assert "python -m hfc data --download cifar10" in second
    assert not folder.exists()


def test_a_scheduler_that_is_not_there(capsys, tmp_path):
    with dask.config.set({"distributed.comm.timeouts.connect": "300ms"}):
        folder = ("--folder", str(tmp_path))
        assert main([*REPRODUCE, "1", *folder, "--scheduler", "tcp://127.0.0.1:1"]) == 1
    assert "hfc: Timed out trying to connect to tcp://127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["reproduce"],
        ["reproduce", "wishes"],
        ["reproduce", "observation", "--scale", "huge"],
        ["reproduce", "observation", "--seeds", "many"],
        ["data", "--download", "synthetic"],
    ],
    ids=" ".join,
)
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_help(capsys):
    for command in ((), ("reproduce",), ("data",)):
        with pytest.raises(SystemExit) as caught:
            main([*command, "--help"])
        assert caught.value.code == 0
    out = capsys.readouterr().out
    for name in ("reproduce", "--scale {quick,cpu,paper}", "--seeds", "--scheduler", "--download"):
        assert name in out


def test_data_tells_what_is_where(tmp_path):
    command = [sys.executable, "-m", "hfc", "data", "--root", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    root, *lines = done.stdout.splitlines()
    assert root == f"root: {tmp_path}"
    assert [line.split()[0] for line in lines] == list(data.NAMES)
    assert lines[0].split() == ["synthetic", "embedded"]
    for name, line in zip(data.NAMES[1:], lines[1:], strict=True):
        assert line == f"{name:10} {data.state(name, tmp_path)}"
        assert f"{name} is missing" in line


@pytest.mark.cifar10
def test_data_that_is_there(capsys):
    assert main(["data", "--need", "cifar10"]) == 0
    assert main(["data", "--download", "cifar10"]) == 0  # nothing to do
    assert capsys.readouterr().out == f"cifar10 is ready in {data.data_root()}\n"
