"""``hfc.study.run``: units that are kept, resumed, spread, reported, and results that grow."""

import contextlib
import dataclasses
import importlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import torch
from distributed import LocalCluster
from torch import nn

from hfc import data, models, training
from hfc.evaluation import component_accuracy, radius_sweep
from hfc.machine import autocast, using_threads
from hfc.study import catalogue, dataset, live, live_network
from hfc.study.catalogue import image_passes
from hfc.study.low_and_high.measure import on_copies
from hfc.study.results import load
from hfc.study.run import _attempt, _Task, run
from hfc.study.settings import QUICK, Experiment, Scale, as_json, grid
from hfc.study.unit import seeded
from hfc.training import Recipe
from hfc.wrappers import OnComponent

ROOT = Path(__file__).parents[1]
TINY = {
    "train_size": 60,
    "test_size": 40,
    "recipe": Recipe(epochs=2, batch_size=20),
    "radii": (2, 8),
}
PAIR = QUICK.changed(
    train_size=40,
    test_size=20,
    width=8,
    hfc_strength=0.9,
    recipe=Recipe(epochs=3, batch_size=20, lr=0.05, label_smoothing=0.1),
    radii=(8,),
    components=("low", "high + mean"),
    epochs=(1, 3),
)
MIXUP = {"norm": "batch", "recipe": {"mixup": 0.5, "lr": 0.01}}


def tiny(folder=None, *, seeds=2, jobs=1, **changes):
    """An experiment that workers know, too."""
    return run(
        "observation",
        seeds=seeds,
        folder=folder,
        jobs=jobs,
        progress=False,
        shrink=True,
        **TINY | changes,
    )


def numbers(result):
    """What a run must reproduce: all but times and places."""
    facts = [{k: v for k, v in u.training.items() if k != "seconds"} for u in result.units]
    units = [(unit.seed, unit.label, unit.records, unit.identity) for unit in result.units]
    return result.settings, units, facts


FILES = [f"{label}-seed-{seed}.json" for label in ("50-mixup", "vanilla") for seed in (0, 1)]


class Stopped(BaseException):
    """As Ctrl-C."""


class Bench:
    """Two conditions, measured by a function that counts and can be made to fail."""

    PLACE = Path("pair") / "quick-synthetic"

    def __init__(self):
        self.calls = []  # of each measurement: condition and seed
        self.stop_at, self.fail_for = None, None

    def experiment(self, *conditions, measure=None):
        conditions = conditions or tuple(grid(net={"vanilla": {}, "50 % mixup": MIXUP}))
        return Experiment(
            measure or self.measure,
            ("net", "epoch", "images", "radius"),
            {"quick": Scale(PAIR, conditions)},
        )

    def measure(self, model, train_set, test_set, settings):
        name = "50 % mixup" if settings.recipe.mixup else "vanilla"
        self.calls.append((name, settings.recipe.seed))
        if len(self.calls) == self.stop_at:
            raise Stopped
        if self.calls[-1] == self.fail_for:
            raise ZeroDivisionError("on purpose")
        return on_copies(model, train_set, test_set, settings)

    def run(self, folder=None, *, seeds=2, **changes):
        """The result; ``calls`` are then those of this run."""
        self.calls.clear()
        settings = {"jobs": 1, "progress": False, "shrink": True} | changes
        return run("pair", seeds=seeds, folder=folder, **settings)

    def files(self, folder):
        return sorted(path.name for path in (folder / self.PLACE).iterdir())


@pytest.fixture
def bench(monkeypatch):
    made = Bench()
    monkeypatch.setitem(catalogue.experiments(), "pair", made.experiment())
    return made


@pytest.fixture(scope="module")
def wanted():
    return tiny()


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """What two seeds of both conditions give, and the folder that keeps it."""
    made, folder = Bench(), tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalogue.experiments(), "pair", made.experiment())
        return made.run(folder), folder


@pytest.fixture(scope="module")
def wanted_pair(once):
    return once[0]


@pytest.fixture
def finished(once, tmp_path):
    """A folder in which all is done."""
    return shutil.copytree(once[1], tmp_path / "finished")


def both(*seeds):
    """Calls of two epochs of both conditions, seed by seed."""
    return [(name, seed) for seed in seeds for name in ("vanilla", "50 % mixup") for _ in (1, 3)]


# A run ------------------------------------------------------------------------------------


def test_units_are_what_the_rooms_compute(wanted):
    for unit in wanted.units:
        seed = unit.seed
        train_set = data.load("synthetic", "train", size=60, seed=seed)
        test_set = data.load("synthetic", "test", size=40, seed=seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = models.build("small", num_classes=10, norm="batch")
        recipe = dataclasses.replace(TINY["recipe"], seed=seed)
        with using_threads(1):
            history = training.fit(model, train_set, recipe, progress=False)
            with autocast("cpu"):
                sweep = radius_sweep(model, test_set, (2, 8), mean=train_set.mean_colour)
        assert unit.records == sweep.reset_index().to_dict("records")
        assert unit.training["train_accuracy"] == history.rows[-1]["train_accuracy"]
        assert unit.training["parameters"] == sum(p.numel() for p in model.parameters())
        assert unit.provenance["data"] == train_set.fingerprint


@pytest.mark.parametrize(
    ("position", "network", "fields"),
    [(2, {"norm": None}, {}), (3, {"norm": "batch"}, {"mixup": 0.5, "lr": 0.01})],
)
def test_a_condition_is_what_the_rooms_compute(position, network, fields, wanted_pair):
    """Epoch by epoch, with the settings of that condition only."""
    unit, found = wanted_pair.units[position], []
    sets = [
        data.load("synthetic", split, size=size, seed=1, hfc_strength=0.9)
        for split, size in (("train", 40), ("test", 20))
    ]

    def probe(model, epoch):
        for images, made in zip(("train", "test"), (sets[0].take(slice(20)), sets[1]), strict=True):
            with autocast("cpu"):
                table = component_accuracy(
                    model, made, (8,), ("low", "high + mean"), mean=sets[0].mean_colour
                )
            for radius, row in table.iterrows():
                place = {"epoch": epoch, "images": images, "radius": radius}
                found.append(unit.label | place | row.to_dict())
        return {}

    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = models.build("small", num_classes=10, width=8, **network)
    with using_threads(1):
        recipe = dataclasses.replace(PAIR.recipe, seed=1, **fields)
        history = training.fit(model, sets[0], recipe, probes=[probe], progress=False)
    assert unit.records == [row for row in found if row["epoch"] != 2]
    running = [row["train_accuracy"] for row in history.rows]
    assert unit.training["running_accuracy"] == running
    assert unit.training["train_accuracy"] == running[-1]


def test_a_result_tells_what_was_run(wanted, wanted_pair):
    assert (wanted.experiment, wanted.scale, wanted.dataset) == (
        "observation", "quick", "synthetic",
    )  # fmt: skip
    assert wanted.seeds == [0, 1]
    assert wanted.keys == ("copies", "radius")
    base = catalogue.scale("observation", "quick").base.changed(**TINY)
    assert wanted.settings == as_json(base, conditions=[[{}, {}]])
    assert wanted.n.at(copies="raw", radius=2).values == [40, 40]
    for unit in (*wanted.units, *wanted_pair.units):
        assert {"device", "versions", "commit", "code", "data", "seconds"} <= set(unit.provenance)
        assert re.fullmatch("[0-9a-f]{64}", unit.identity)
    assert wanted_pair.settings["conditions"] == [
        [{"net": "vanilla"}, {}],
        [{"net": "50 % mixup"}, MIXUP],
    ]
    assert wanted_pair.settings["recipe"]["lr"] == 0.05
    assert json.loads(json.dumps(wanted_pair.settings)) == wanted_pair.settings


def test_one_unit_for_each_seed_and_condition(wanted_pair):
    told = [(unit.seed, unit.label["net"]) for unit in wanted_pair.units]
    assert told == [(s, name) for s in (0, 1) for name in ("vanilla", "50 % mixup")]
    assert len({unit.identity for unit in wanted_pair.units}) == 4
    assert wanted_pair.measured.keys == ("net", "epoch", "images", "radius")
    assert wanted_pair.measured.columns == ["original", "low", "high + mean"]
    assert wanted_pair.measured.labels("epoch") == [1, 3]
    assert len(wanted_pair.table) == 2 * 2 * 2 * 2


def test_nothing_is_written_without_a_folder(bench, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    bench.run(seeds=1)
    assert not list(tmp_path.iterdir())


def test_the_threads_of_the_caller_stay(bench):
    before = torch.get_num_threads()
    with using_threads(before + 1):
        bench.run(seeds=[4])
        assert torch.get_num_threads() == before + 1


def test_seeds_by_number_or_by_name(bench, wanted_pair):
    assert bench.run(seeds=[1]).units[0].records == wanted_pair.units[2].records
    found = bench.run(seeds=(1, 0))
    assert found.seeds == [0, 1]
    assert [unit.seed for unit in found.units] == [1, 1, 0, 0]


def sets_and_network(bench, monkeypatch, changes):
    """What a condition hands to its measure."""
    seen = []

    def look(model, train_set, test_set, settings):
        seen.extend((model, train_set, test_set, settings))
        return [{"right": 1}]

    experiment = bench.experiment(({"net": "this"}, {"epochs": None} | changes), measure=look)
    monkeypatch.setitem(catalogue.experiments(), "pair", experiment)
    bench.run(seeds=[3])
    return seen


def test_settings_reach_network_and_images(bench, monkeypatch):
    def dropouts(model):
        return [m.p for m in model.modules() if isinstance(m, nn.Dropout)]

    model, train_set, test_set, settings = sets_and_network(bench, monkeypatch, {})
    assert settings.recipe == dataclasses.replace(PAIR.recipe, seed=3)
    true = data.load("synthetic", "train", size=40, seed=3, hfc_strength=0.9)
    assert train_set.fingerprint == true.fingerprint
    assert not model.training
    assert dropouts(model) == [0.0]
    other, *_ = sets_and_network(bench, monkeypatch, {"dropout": 0.5})
    assert dropouts(other) == [0.5]
    other, *_ = sets_and_network(
        bench, monkeypatch, {"model": "lenet", "norm": "group", "width": 16}
    )
    assert next(m for m in other.modules() if isinstance(m, nn.Conv2d)).out_channels == 16
    assert any(isinstance(m, nn.GroupNorm) for m in other.modules())
    _, other, _, _ = sets_and_network(bench, monkeypatch, {"hfc_strength": 1.0})
    assert other.signature.equal(other.labels)
    # Labels are shuffled for training, not for the test.
    _, other, tested, _ = sets_and_network(bench, monkeypatch, {"shuffled": 0.5})
    assert other.images.equal(true.images)
    assert other.labels.equal(data.shuffle_labels(true, 0.5, seed=3).labels)
    assert not other.labels.equal(true.labels)
    assert tested.labels.equal(test_set.labels)


@pytest.mark.parametrize("epochs", [(1, 3), None])
def test_what_is_trained_on_a_component_is_measured_on_images(epochs, bench, monkeypatch):
    component = {"trained_on": "high + mean", "train_radius": 5}
    model, *_ = sets_and_network(bench, monkeypatch, component | {"epochs": epochs})
    assert not any(isinstance(module, OnComponent) for module in model.modules())
    plain, *_ = sets_and_network(bench, monkeypatch, {"epochs": epochs})
    first = [next(m.parameters()) for m in (model, plain)]
    assert not first[0].equal(first[1])  # it has learned from other images


# What is kept -----------------------------------------------------------------------------


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_finished_units_are_not_done_again(bench, finished, wanted_pair):
    results = {bench.PLACE.with_suffix(ending) for ending in (".json", ".csv")}
    kept = results | {bench.PLACE / name for name in FILES}
    before = contents(finished)
    assert {path.relative_to(finished) for path in before} == kept
    assert stored(finished) == wanted_pair
    assert bench.run(finished) == wanted_pair
    assert bench.calls == []
    assert contents(finished) == before


def stored(folder):
    return load("pair", scale="quick", dataset="synthetic", folder=folder)


def test_a_result_grows_and_never_shrinks(bench, finished, wanted_pair):
    grown = bench.run(finished, seeds=3)
    assert bench.calls == both(2)
    assert grown.seeds == stored(finished).seeds == [0, 1, 2]
    assert grown.units[:4] == wanted_pair.units
    again = bench.run(finished, seeds=[1])
    assert bench.calls == []
    assert again.seeds == [1]
    assert stored(finished) == grown
    assert bench.run(finished, seeds=[7]).seeds == [7]
    assert bench.calls == both(7)
    assert stored(finished).seeds == [0, 1, 2, 7]
    assert stored(finished).units[:6] == grown.units


def without_files(folder):
    """As a committed result, whose units git ignores."""
    for file in (folder / Bench.PLACE).iterdir():
        file.unlink()


def test_a_result_grows_without_the_files_of_its_units(bench, finished, wanted_pair):
    without_files(finished)
    assert bench.run(finished) == wanted_pair
    assert bench.calls == []
    bench.run(finished, seeds=[2])
    assert bench.calls == both(2)
    assert stored(finished).units[:4] == wanted_pair.units
    assert stored(finished).seeds == [0, 1, 2]
    assert bench.files(finished) == ["50-mixup-seed-2.json", "vanilla-seed-2.json"]


def test_a_damaged_result_is_made_again_from_its_units(bench, finished, wanted_pair):
    file = (finished / bench.PLACE).with_suffix(".csv")
    file.write_bytes(file.read_bytes()[:-9])
    assert bench.run(finished) == wanted_pair
    assert bench.calls == []
    assert stored(finished) == wanted_pair


@pytest.mark.slow
def test_a_result_loses_no_seeds_unless_it_may(bench, finished, wanted_pair):
    text = "seeds must hold 0, 1, too, or folder be another one: other code or settings computed"
    with pytest.raises(ValueError, match=text):
        bench.run(finished, seeds=[2], dropout=0.5, shrink=False)
    assert bench.calls == []
    assert stored(finished) == wanted_pair
    other = bench.run(finished, seeds=[2], dropout=0.5)
    assert stored(finished) == other
    assert stored(finished).seeds == [2]  # units of other settings are not mixed in
    bench.run(finished, seeds=[7], dropout=0.5, shrink=False)  # nothing would be lost
    assert stored(finished).seeds == [2, 7]
    grown = bench.run(finished, seeds=(0, 2, 7), shrink=False)  # all are done again
    assert stored(finished) == grown


@pytest.mark.slow
def test_the_cost_alone_can_be_kept(bench, finished, wanted_pair):
    assert bench.run(finished, records=False) == wanted_pair
    assert stored(finished).minutes == wanted_pair.minutes
    assert not any(unit.records for unit in stored(finished).units)
    assert bench.run(finished, records=False) == wanted_pair
    assert bench.calls == []
    without_files(finished)
    bench.run(finished, seeds=[1], records=False)  # it cannot be taken from there
    assert bench.calls == both(1)
    assert stored(finished).seeds == [0, 1]
    bench.run(finished, seeds=[1])  # seed 0 is not known in full
    assert bench.calls == []
    assert stored(finished).seeds == [1]


@pytest.mark.parametrize(
    "changes",
    [
        {"radii": (2,)},
        {"train_size": 61},
        {"hfc_strength": 1.0},
        {"norm": "group"},
        {"recipe": {"lr": 0.02}},
        {"epochs": (2, 3)},
    ],
    ids=str,
)
def test_other_settings_are_done_again(changes, bench, finished):
    first = bench.run(finished, seeds=1, **changes)
    own = [("vanilla", 0)] * 2  # what the other condition sets itself stays as it was
    assert bench.calls == (own if {"norm", "recipe"} & changes.keys() else both(0))
    assert bench.run(finished, seeds=1, **changes) == first
    assert bench.calls == []


@pytest.mark.slow
def test_another_number_of_threads_is_done_again(bench, finished, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str(int(os.environ.get("OMP_NUM_THREADS", 1)) + 1))
    bench.run(finished, seeds=1)
    assert bench.calls == both(0)


def test_another_measure_is_done_again(bench, finished, monkeypatch):
    other = bench.experiment(measure=lambda *given: [{"images": "test", "radius": 2, "low": 0.5}])
    monkeypatch.setitem(catalogue.experiments(), "pair", other)
    assert set(bench.run(finished, seeds=1).table["low"]) == {0.5}


@pytest.mark.slow
def test_another_condition_leaves_the_others(bench, finished, monkeypatch):
    vanilla = finished / bench.PLACE / "vanilla-seed-0.json"
    before = vanilla.read_bytes()
    much = ({"net": "much mixup"}, {"recipe": {"mixup": 5.0}})
    conditions = grid(net={"vanilla": {}, "50 % mixup": MIXUP})
    for chosen, calls in (
        ((much, *conditions), 2),  # two epochs
        ((conditions[0], ({"net": "50 % mixup"}, {"recipe": {"mixup": 0.6}})), 2),
        (conditions[:1], 0),
    ):
        experiment = bench.experiment(*chosen)
        monkeypatch.setitem(catalogue.experiments(), "pair", experiment)
        found = bench.run(finished, seeds=1)
        assert [unit.label for unit in found.units] == [label for label, _ in chosen]
        assert len(bench.calls) == calls
    assert vanilla.read_bytes() == before


def test_conditions_that_are_no_more_leave_the_result(bench, finished, monkeypatch):
    only = bench.experiment(*grid(net={"vanilla": {}}))
    monkeypatch.setitem(catalogue.experiments(), "pair", only)
    bench.run(finished, seeds=1)
    assert bench.calls == []
    told = [(unit.seed, unit.label) for unit in stored(finished).units]
    assert told == [(0, {"net": "vanilla"}), (1, {"net": "vanilla"})]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"[]",
        lambda content: b"null",
        lambda content: b"3",
        lambda content: b"\xff\xfe",
        lambda content: b"[" * 100_000,
        lambda content: b'{"identity": 1}',
        lambda content: content.replace(b'"records"', b'"recorded"'),
        lambda content: content.replace(b'"low": 0', b'"low": 1'),
        lambda content: content.replace(b'"low": 0', b'"low": NaN, "l": 0'),
        lambda content: content.replace(b'"seed": 0', b'"seed": 2'),
    ],
    ids=["half", "empty", "a list", "null", "a number", "not text", "deep", "another", "no records",
         "edited", "NaN", "another seed"],
)  # fmt: skip
def test_a_damaged_unit_is_done_again(damage, bench, finished, wanted_pair):
    file = finished / bench.PLACE / "vanilla-seed-0.json"
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert file.read_bytes() != content
    for ending in (".json", ".csv"):  # or the unit would be found there
        (finished / bench.PLACE).with_suffix(ending).unlink()
    assert numbers(bench.run(finished)) == numbers(wanted_pair)
    assert bench.calls == [("vanilla", 0)] * 2


def test_a_unit_in_the_place_of_another_is_done_again(bench, finished, wanted_pair):
    files = [finished / bench.PLACE / name for name in FILES]
    files[2].write_bytes(files[0].read_bytes())
    for ending in (".json", ".csv"):
        (finished / bench.PLACE).with_suffix(ending).unlink()
    assert numbers(bench.run(finished)) == numbers(wanted_pair)
    assert bench.calls == [("vanilla", 0)] * 2


# Stopped and failed --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """A folder in which mixup's seed 0 was stopped while it was measured in its last epoch."""
    made, folder = Bench(), tmp_path_factory.mktemp("stopped")
    made.stop_at = 4  # two epochs of each condition
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalogue.experiments(), "pair", made.experiment())
        with pytest.raises(Stopped):
            made.run(folder)
    return folder


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """That folder, and the checkpoint."""
    folder = shutil.copytree(stopped_once, tmp_path / "stopped")
    (checkpoint,) = (folder / Bench.PLACE).glob("*.pt")
    assert checkpoint.name.startswith("50-mixup-seed-0.")
    assert not (folder / Bench.PLACE).with_suffix(".json").exists()
    return folder, checkpoint


def test_a_stopped_unit_goes_on_with_its_records(bench, stopped, wanted_pair):
    folder, _ = stopped
    assert numbers(bench.run(folder, seeds=1))[1] == numbers(wanted_pair)[1][:2]
    assert bench.calls == [("50 % mixup", 0)]  # in the last epoch only
    assert bench.files(folder) == FILES[::2]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-5], lambda b: bytes(len(b))])
def test_a_damaged_checkpoint_is_done_again(damage, bench, stopped, wanted_pair):
    folder, checkpoint = stopped
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.warns(UserWarning, match=f"{checkpoint.name} is damaged"):
        found = bench.run(folder, seeds=1)
    assert numbers(found)[1] == numbers(wanted_pair)[1][:2]
    assert bench.calls == [("50 % mixup", 0)] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"recipe": {"epochs": 4}}, {"model": "lenet"}, {"train_size": 80}], ids=str
)
def test_a_unit_stopped_with_other_settings_is_begun_anew(changes, bench, stopped):
    folder, _ = stopped
    changes |= {"epochs": (1, 2)}
    found = bench.run(folder, seeds=1, **changes)
    assert bench.calls == both(0)
    assert numbers(found) == numbers(bench.run(seeds=1, **changes))
    assert bench.files(folder) == FILES[::2]


def test_numbers_of_another_measure_are_not_taken_from_a_checkpoint(bench, stopped, monkeypatch):
    folder, _ = stopped
    other = bench.experiment(measure=lambda *given: [{"images": "test", "radius": 2, "low": 0.5}])
    monkeypatch.setitem(catalogue.experiments(), "pair", other)
    assert set(bench.run(folder, seeds=1).table["low"]) == {0.5}


def test_leftovers_of_a_kill_go(bench, finished):
    place = finished / bench.PLACE
    (place / "vanilla-seed-1.12345678.pt").write_bytes(b"a checkpoint")
    (place / "vanilla-seed-11.12345678.pt").write_bytes(b"of another unit")
    for days, ending in ((2, "abcdefgh"), (0, "ijklmnop")):
        half = place / f".vanilla-seed-1.12345678.pt.{ending}"
        half.write_bytes(b"half")
        os.utime(half, 2 * (time.time() - days * 86_400,))
    bench.run(finished, seeds=[1])
    # The young half may be one that somebody is writing.
    rest = ["vanilla-seed-11.12345678.pt", ".vanilla-seed-1.12345678.pt.ijklmnop"]
    assert bench.files(finished) == sorted([*FILES, *rest])


def networks(folder):
    """Those that are kept, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "networks").glob("*")}


@pytest.mark.slow
def test_a_network_is_trained_once_for_all_that_measure_it(tmp_path, wanted):
    tiny(tmp_path)
    kept = networks(tmp_path)
    assert len(kept) == 2  # seeds
    for changes in ({"radii": (4,)}, {"test_size": 20}):
        again, alone = tiny(tmp_path, **changes), tiny(**changes)
        assert numbers(again) == numbers(alone)
        assert numbers(again) != numbers(wanted)
        assert networks(tmp_path) == kept
    tiny(tmp_path, train_size=80)
    assert len(networks(tmp_path)) == 4


@pytest.mark.slow
def test_a_unit_of_a_network_that_is_kept_says_what_its_training_took(tmp_path):
    long = {"seeds": 1, "recipe": Recipe(epochs=60, batch_size=20)}
    first = tiny(tmp_path, **long).units[0]
    again = tiny(tmp_path, **long, test_size=20).units[0]
    assert again.training["seconds"] == first.training["seconds"]
    assert again.provenance["seconds"] >= again.training["seconds"] > 0


def test_a_network_that_was_measured_on_the_way_is_its_units_own(tmp_path):
    tiny(tmp_path, epochs=(1,))
    assert not (tmp_path / "networks").exists()


def test_too_many_seeds():
    with pytest.raises(ValueError, match=r"^seeds must be at most 1,000, got 1,000,000$"):
        tiny(seeds=1_000_000)


def test_records_have_the_same_names(bench, monkeypatch):
    uneven = lambda *given: [{"images": "test", "low": 0.5}, {"images": "train"}]  # noqa: E731
    monkeypatch.setitem(catalogue.experiments(), "pair", bench.experiment(measure=uneven))
    with pytest.raises(RuntimeError, match="records must all have the same names"):
        bench.run(seeds=1)


def test_a_failure_is_reported_and_the_others_are_kept(bench, tmp_path, wanted_pair):
    bench.fail_for = ("50 % mixup", 0)
    text = "^pair: 1 of 4 units failed\n50 % mixup, seed 0: Traceback"
    with pytest.raises(RuntimeError, match=text) as caught:
        bench.run(tmp_path)
    assert "ZeroDivisionError: on purpose" in str(caught.value)
    assert "in measure" in str(caught.value)  # where it happened
    kept = sorted(path.name for path in (tmp_path / bench.PLACE).glob("*.json"))
    assert kept == FILES[1:]
    assert not (tmp_path / bench.PLACE).with_suffix(".json").exists()
    bench.fail_for = None
    assert numbers(bench.run(tmp_path)) == numbers(wanted_pair)
    assert set(bench.calls) == {("50 % mixup", 0)}
    assert bench.files(tmp_path) == FILES


def test_a_failure_leaves_the_result_that_is_there(bench, finished, wanted_pair):
    bench.fail_for = ("vanilla", 2)
    with pytest.raises(RuntimeError, match="pair: 1 of 6 units failed\nvanilla, seed 2"):
        bench.run(finished, seeds=3)
    assert stored(finished) == wanted_pair


def test_a_diverged_unit_is_told_in_a_line(bench, tmp_path, monkeypatch):
    wild = ({"net": "wild"}, {"recipe": {"lr": 1e30}})
    experiment = bench.experiment(*grid(net={"vanilla": {}}), wild)
    monkeypatch.setitem(catalogue.experiments(), "pair", experiment)
    text = "^pair: 1 of 2 units failed\nwild, seed 0: the loss became .* may help$"
    with pytest.raises(RuntimeError, match=text):
        bench.run(tmp_path, seeds=1)
    assert "vanilla-seed-0.json" in bench.files(tmp_path)


def test_a_folder_that_is_none_is_told_before_anything_is_trained(bench, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="folder must be one that can be written to, got "):
        bench.run(tmp_path / "file", seeds=1)
    assert bench.calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_data_are_told_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("HFC_DATA", str(tmp_path / "nothing"))
    with pytest.raises(data.DatasetError, match="cifar10 is missing"):
        run("observation", dataset="cifar10", jobs=1, progress=False, folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("changes", [{}, {"dataset": "cifar10", "test_size": 1000}])
def test_what_an_experiment_needs_is_asked_before_anything_is_trained(changes):
    with pytest.raises(ValueError, match=r'^people needs dataset "cifar10" with all its test'):
        run("people", seeds=1, jobs=1, progress=False, **changes)


def test_missing_votes_are_told_before_anything_is_trained(monkeypatch, tmp_path):
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    with pytest.raises(data.DatasetError, match="cifar10h is missing"):
        run("people", dataset="cifar10", seeds=1, jobs=1, progress=False)


# Many processes, many machines ------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_give_the_same(tmp_path, wanted):
    assert numbers(tiny(tmp_path, jobs=2)) == numbers(wanted)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*")}
    assert files.keys() == {"seed-0.json", "seed-1.json"}
    assert numbers(tiny(tmp_path, seeds=3, jobs=1))[1][:2] == numbers(wanted)[1]
    again = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*")}
    assert again.items() >= files.items()


@pytest.mark.slow
def test_a_failure_in_another_process_is_reported(tmp_path):
    text = "observation: 2 of 2 units failed\nseed [01]: the loss became .* may help\n"
    with pytest.raises(RuntimeError, match=text):
        tiny(tmp_path, jobs=2, recipe=dataclasses.replace(TINY["recipe"], lr=1e30))


@pytest.mark.slow
def test_a_cluster_gives_the_same(tmp_path, wanted, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with quiet_cluster(2, tmp_path) as cluster:
        found = tiny("here", jobs=None, scheduler=cluster.scheduler_address)
    assert numbers(found) == numbers(wanted)
    kept = sorted(path.name for path in (tmp_path / "here" / "observation").rglob("*.json"))
    assert kept == ["quick-synthetic.json", "seed-0.json", "seed-1.json"]


def quiet_cluster(workers, folder):
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        local_directory=folder / "workers",
    )


def after_first_unit(folder, act):
    """A thread that acts when the run in ``here`` has finished a unit."""

    def wait():
        while not list(folder.glob("here/observation/quick-synthetic/seed-*.json")):
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_cluster_whose_workers_have_gone(workers, tmp_path, monkeypatch):
    monkeypatch.setattr("hfc.study.run._PATIENCE", 3)
    long = Recipe(epochs=300, batch_size=20)
    with quiet_cluster(workers, tmp_path) as cluster:
        after_first_unit(tmp_path, lambda: cluster.scale(0))
        address = cluster.scheduler_address
        text = f"^{address} has had no worker for 3 s; finished units are kept$"
        with pytest.raises(RuntimeError, match=text):
            tiny(tmp_path / "here", seeds=40, jobs=None, scheduler=address, recipe=long)
    kept = list((tmp_path / "here").rglob("seed-*.json"))
    assert bool(kept) == bool(workers)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_same(tmp_path):
    settings = {"seeds": 6, "recipe": Recipe(epochs=40, batch_size=20)}
    with quiet_cluster(2, tmp_path) as cluster:
        worker = next(iter(cluster.workers.values()))
        killer = after_first_unit(tmp_path, lambda: os.kill(worker.pid, signal.SIGKILL))
        address = cluster.scheduler_address
        found = tiny(tmp_path / "here", jobs=None, scheduler=address, **settings)
        killer.join()
    assert numbers(found) == numbers(tiny(**settings))


def test_threads_of_one_worker_take_turns():
    """As those of a Dask worker with several threads: random state is the whole process's."""
    chosen = TINY | {"recipe": Recipe(epochs=6, batch_size=20), "dropout": 0.3}
    condition = next(catalogue.scale("observation", "quick").each(**chosen))
    tasks = [
        _Task("observation", "quick", {}, seeded(condition.settings, seed), "", "", 1, None, None)
        for seed in (0, 1)
    ]

    def records(task):
        return _attempt(task, False, None)[1].records

    one_by_one = [records(task) for task in tasks]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(records, tasks)) == one_by_one


ORPHANED = """
import signal, sys
from tests.test_study_run import Recipe, run

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in background
recipe = Recipe(epochs=10_000, batch_size=20)
run("observation", seeds=2, folder=sys.argv[1], jobs=2, progress=False, train_size=60, test_size=20,
    recipe=recipe)
"""


def computing(process):
    """Processes below this one that have computed for a while."""
    with contextlib.suppress(psutil.NoSuchProcess):
        below = process.children(recursive=True)
        return [child for child in below if sum(child.cpu_times()[:2]) > 1]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(how, tmp_path):
    command = [sys.executable, "-c", ORPHANED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        watched = psutil.Process(parent.pid)
        try:
            while len(workers := computing(watched)) < 2:
                assert parent.poll() is None
                time.sleep(0.2)
            parent.send_signal(how)
            parent.wait(60)
        finally:
            parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


KILLED = """
import sys
from pathlib import Path
from tests.kills import finish, load_all_of_torch, until_done
from tests.test_study_run import Recipe, run

folder, name, jobs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
changes = {"train_size": 60, "test_size": 20, "width": 8, "radii": (8,)}
changes["recipe"] = {"epochs": 4, "batch_size": 20}
if name != "observation":
    changes |= {"epochs": (1, 2, 4), "components": ("low",)}

def work(place, jobs):
    run(name, seeds=2, folder=folder / place, jobs=jobs, progress=False, **changes)

load_all_of_torch()
finish(lambda: work("undisturbed", 1))
how = {"growth": 2.0} if jobs == 1 else {"longest": 4.0, "growth": 8.0}
assert until_done(lambda: work("killed", jobs), **how) >= 3
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jobs", "kept"),
    [
        ("observation", 1, ["seed-0.json", "seed-1.json"]),
        ("batchnorm", 1, [f"{norm}-normalised-SGD-seed-{seed}.json" for norm in
                          ("BatchNorm", "none") for seed in (0, 1)]),
        ("observation", 2, ["seed-0.json", "seed-1.json"]),
    ],
)  # fmt: skip
def test_killed_at_any_moment(name, jobs, kept, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), name, str(jobs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folders = [tmp_path / "undisturbed", tmp_path / "killed"]
    whole = [load(name, scale="quick", dataset="synthetic", folder=folder) for folder in folders]
    assert numbers(whole[0]) == numbers(whole[1])
    assert len(whole[0].units) == len(kept)
    # The files agree too, but for seconds, the checksum over them and the commit of that moment.
    for ending, varies in ((".json", r'"(seconds|sha256|commit)": .*'), (".csv", "$^")):
        texts = {
            re.sub(varies, "", (folder / name / f"quick-synthetic{ending}").read_text())
            for folder in folders
        }
        assert len(texts) == 1
    found = [path.name for path in (folders[1] / name / "quick-synthetic").glob("[!.]*")]
    assert sorted(found) == kept  # beside hidden halves of files, which go after a day


# What it costs -----------------------------------------------------------------------------


def test_image_passes(bench, monkeypatch):
    conditions = grid(
        net={
            "a": {"recipe": {"epochs": 4}},
            "b": {"train_size": 7, "recipe": {"epochs": 2}},
            "c": {"recipe": {"adversarial": 0.1, "attack_steps": 4}},
            "d": {"train_size": None},
        }
    )
    monkeypatch.setitem(
        catalogue.experiments(),
        "pair",
        dataclasses.replace(
            bench.experiment(),
            scales={"quick": Scale(PAIR.changed(epochs=None), conditions)},
        ),
    )
    passes = image_passes("pair", "quick", whole=100)
    assert passes == 4 * 40 + 2 * 7 + 3 * 40 * (1 + 4) + 3 * 100


# Live ----------------------------------------------------------------------------------------


def test_the_data_set_of_live_experiments(monkeypatch):
    monkeypatch.delenv("HFC_DATASET", raising=False)
    assert dataset() == "synthetic"
    monkeypatch.setenv("HFC_DATASET", "cifar10")
    assert dataset() == "cifar10"


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Where live experiments are kept, for once."""
    monkeypatch.delenv("HFC_DATASET", raising=False)
    monkeypatch.setattr(importlib.import_module("hfc.study.live"), "folder", lambda: tmp_path)
    return tmp_path


def test_live_is_the_quick_run(bench, own_folder, wanted_pair, monkeypatch):
    only = bench.experiment(*grid(net={"vanilla": {}}))  # one unit is done in this process
    monkeypatch.setitem(catalogue.experiments(), "pair", only)
    found = live("pair", seeds=1)
    assert found.units[0].records == wanted_pair.units[0].records
    other = live("pair", seeds=1, dropout=0.5)
    assert other.settings["dropout"] == 0.5
    bench.calls.clear()
    assert (live("pair", seeds=1), live("pair", seeds=1, dropout=0.5)) == (found, other)
    assert bench.calls == []  # both are kept
    assert len(list(own_folder.rglob("vanilla-seed-0.json"))) == 2


def test_a_live_network_is_that_of_the_unit(bench, own_folder, wanted_pair):
    model, train_set, test_set, history = live_network(
        "pair", seed=1, net="50 % mixup", progress=False
    )
    unit = wanted_pair.units[3]
    assert [row["train_accuracy"] for row in history.rows] == unit.training["running_accuracy"]
    assert train_set.fingerprint == unit.provenance["data"]
    assert not model.training
    settings = list(catalogue.scale("pair", "quick").each())[1].settings
    rows = on_copies(model, train_set, test_set, settings)
    assert [unit.label | {"epoch": 3} | row for row in rows] == unit.records[len(rows) :]


def test_a_live_network_is_kept(bench, own_folder):
    first = live_network("pair", progress=False)
    (kept,) = own_folder.rglob("*.pt")
    again = live_network("pair", progress=False)
    for one, other in zip(first[0].parameters(), again[0].parameters(), strict=True):
        assert one.equal(other)
    assert [row["seconds"] for row in again[3].rows] == [row["seconds"] for row in first[3].rows]
    assert list(own_folder.rglob("*.pt")) == [kept]
    live_network("pair", net="vanilla", dropout=0.5, progress=False)
    assert len(list(own_folder.rglob("*.pt"))) == 2


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"name": "pear"}, "name must be one of .*; did you mean 'pair'"),
        ({"net": "luck"}, "pair has no condition {'net': 'luck'} at scale quick, only .*vanilla"),
        ({"dropuot": 0.5}, "Settings has no 'dropuot'; did you mean 'dropout'"),
    ],
)
def test_a_live_network_that_is_none(where, text, bench, own_folder):
    with pytest.raises(ValueError, match=text):
        live_network(**{"name": "pair", "progress": False} | where)
