"""``python -m hfc``: what it does, what it tells, and how it refuses."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import dask
import pytest

from hfc import data
from hfc.__main__ import main
from hfc.study import catalogue, load
from hfc.study import wanted as wanted_list
from hfc.study.catalogue import image_passes
from hfc.study.settings import Scale

ROOT = Path(__file__).parents[1]
TINY = {"train_size": 40, "test_size": 20, "radii": (4, 8), "width": 8}
TINY_RECIPE = {"epochs": 2, "batch_size": 20}


def tiny(name):
    """An experiment with so few images that it runs in a second."""
    experiment = catalogue.experiment(name)
    quick = experiment.scales["quick"]
    last = {"epochs": (1, 2)} if quick.base.epochs else {}
    small = Scale(quick.base.changed(recipe=TINY_RECIPE, **TINY, **last), quick.conditions[:2])
    return dataclasses.replace(
        experiment, scales=experiment.scales | {"quick": small, "cpu": small}
    )


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture
def few(monkeypatch):
    """Three experiments in all; the second one cannot run on the synthetic set."""
    kept = {name: tiny(name) for name in ("observation", "heuristics")}
    people = {"people": catalogue.experiment("people")}
    chosen = {"observation": kept["observation"]} | people | {"heuristics": kept["heuristics"]}
    monkeypatch.setattr(catalogue, "experiments", lambda: chosen)


REPRODUCE = ("reproduce", "observation", "--jobs", "1", "--seeds")


@pytest.mark.usefixtures("few")
def test_reproduce(tmp_path, capsys):
    assert main([*REPRODUCE, "2", "--folder", str(tmp_path)]) == 0
    first, *table = capsys.readouterr().out.splitlines()
    assert first == (
        f"observation: seeds [0, 1], stored in {tmp_path}/observation/quick-synthetic.json"
    )
    assert "only_high" in table[0]
    assert len(table) == 2 + 4
    found = load("observation", scale="quick", dataset="synthetic", folder=tmp_path)
    assert found.seeds == [0, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_result_grows(tmp_path, capsys):
    for seeds in ("1", "3", "2"):
        assert main([*REPRODUCE, seeds, "--folder", str(tmp_path)]) == 0
    found = load("observation", scale="quick", dataset="synthetic", folder=tmp_path)
    assert found.seeds == [0, 1, 2]
    assert "seeds [0, 1]," in capsys.readouterr().out.splitlines()[-7]


@pytest.mark.usefixtures("few")
def test_reproduce_tells_the_means_of_the_last_epoch(tmp_path, capsys):
    arguments = ["reproduce", "heuristics", "--jobs", "1", "--seeds", "2"]
    assert main([*arguments, "--folder", str(tmp_path)]) == 0
    _, *table = capsys.readouterr().out.splitlines()
    found = load("heuristics", scale="quick", dataset="synthetic", folder=tmp_path).last
    wanted = [
        [round(found.at(heuristic=h, radius=r)[c].mean, 3) for c in found.columns]
        for h in ("vanilla", "dropout")
        for r in (4, 8)
    ]
    assert [[float(n) for n in line.split()[-4:]] for line in table[2:]] == wanted


@pytest.mark.usefixtures("few")
def test_reproduce_all_keeps_what_it_can(tmp_path, capsys):
    arguments = ["reproduce", "all", "--jobs", "1", "--seeds", "1", "--folder", str(tmp_path)]
    assert main(arguments) == 1  # since one failed
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if " of 3: " in line] == [
        "1 of 3: observation",
        "2 of 3: people",
        "3 of 3: heuristics",
    ]
    assert err == 'hfc: people needs dataset "cifar10" with all its test images\n'
    stored = sorted(path.parent.name for path in tmp_path.glob("*/quick-synthetic.json"))
    assert stored == ["heuristics", "observation"]


@pytest.mark.usefixtures("few")
def test_wanted_runs_those_of_one_scale_in_order(tmp_path, capsys, monkeypatch):
    file = tmp_path / "wanted.toml"
    file.write_text(
        "".join(
            f'[[run]]\nexperiment = "{name}"\nscale = "{scale}"\ndata = "synthetic"\nseeds = 1\n'
            for name, scale in (("heuristics", "cpu"), ("people", "paper"), ("observation", "cpu"))
        )
    )
    runs = wanted_list.wanted(file)
    monkeypatch.setattr(wanted_list, "wanted", lambda: runs)
    command = ["reproduce", "--wanted", "--scale", "cpu", "--jobs", "1", "--folder", str(tmp_path)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if " of 2: " in line] == [
        "1 of 2: heuristics",
        "2 of 2: observation",
    ]
    assert main([*command[:3], "quick", "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "hfc: nothing is wanted at scale quick\n"


def test_the_wanted_list_is_one():
    runs = wanted_list.wanted()
    assert runs
    assert len(set(runs)) == len(runs)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[run]", "is no list of wanted runs"),
        ("[[run]]\nexperiment = 'observation'\n", "is no list of wanted runs"),
        ("", "is no list of wanted runs"),
        ("[[run]]\nexperiment='x'\nscale='cpu'\ndata='cifar10'\nseeds=1", "name must be one of"),
        (
            "[[run]]\nexperiment='people'\nscale='gpu'\ndata='cifar10'\nseeds=1",
            "scale must be one of quick, cpu, paper, got 'gpu'",
        ),
        (
            "[[run]]\nexperiment='people'\nscale='cpu'\ndata='cifar'\nseeds=1",
            "data must be one of .*, got 'cifar'",
        ),
        (
            "[[run]]\nexperiment='people'\nscale='cpu'\ndata='cifar10'\nseeds=0",
            "seeds must be a whole number of at least 1, got 0",
        ),
    ],
)
def test_no_list_of_wanted_runs(text, told, tmp_path):
    (tmp_path / "wanted.toml").write_text(text)
    with pytest.raises(ValueError, match=told):
        wanted_list.wanted(tmp_path / "wanted.toml")


@pytest.mark.parametrize("scale", ["quick", "cpu"])
def test_list(scale, capsys):
    assert main(["reproduce", "--list", "--scale", scale]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(catalogue.experiments())
    for line, (name, experiment) in zip(lines, catalogue.experiments().items(), strict=True):
        assert (", ".join(experiment.claims) or "no claim") in line
        runs, passes = len(experiment.scales[scale].conditions), image_passes(name, scale) / 1e6
        assert line.endswith(f" {runs} trainings a seed, {passes:7.2f} million images")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([*REPRODUCE, "0"], "hfc: seeds must be at least one and all different, got 0\n"),
        (["reproduce", "observation", "--jobs", "0"], "hfc: jobs must be at least 1, got 0\n"),
        (["reproduce"], "hfc: reproduce needs an experiment, or all; see: reproduce --list\n"),
        (["reproduce", "people", "--wanted"], "hfc: --wanted takes no experiment, got 'people'\n"),
        (["data", "--need", "cifar11"], "hfc: name must be one of synthetic, cifar10, cifar100, "),
        (["data", "--need", "cifar10"], "hfc: cifar10 is missing: no "),
        ([*REPRODUCE, "1", "--data", "cifar10"], "hfc: cifar10 is missing: no "),
    ],
)
def test_errors_are_one_line(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(text)
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("few")
def test_a_scheduler_that_is_not_there(capsys, tmp_path):
    with dask.config.set({"distributed.comm.timeouts.connect": "300ms"}):
        folder = ("--folder", str(tmp_path))
        assert main([*REPRODUCE, "1", *folder, "--scheduler", "tcp://127.0.0.1:1"]) == 1
    assert "hfc: Timed out trying to connect to tcp://127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
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
    for name in ("reproduce", "--scale {quick,cpu,paper}", "--seeds", "--wanted", "--download"):
        assert name in out


@pytest.mark.slow
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


@pytest.mark.slow
def test_warnings_of_others_do_not_matter():
    command = [sys.executable, "-W", "error", "-m", "hfc", "data"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.cifar10
def test_data_that_is_there(capsys):
    assert main(["data", "--need", "cifar10"]) == 0
    assert main(["data", "--download", "cifar10"]) == 0  # nothing to do
    assert capsys.readouterr().out == f"cifar10 is ready in {data.data_root()}\n"
