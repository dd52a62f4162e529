"""``hfc.experiments`` and the command line: units that are kept, resumed, spread and reported."""

import dataclasses
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import dask
import pytest
import torch
from distributed import LocalCluster
from torch import nn

from hfc import catalogue, data, experiments, measures, models, results, training, verdicts
from hfc.__main__ import main
from hfc.catalogue import EXPERIMENTS
from hfc.data import ImageSet
from hfc.evaluation import component_accuracy, radius_sweep
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
        names = ("model", "norm", "dropout", "width", "normalise")
        built = set()
        for _, own in experiments._conditions(chosen):
            assert isinstance(own["recipe"], Recipe)
            assert own.keys() == chosen.keys() - {"conditions"}
            network = {argument: own[argument] for argument in names}
            if str(network) not in built:
                models.build(network.pop("model"), num_classes=10, **network)
                built.add(str(network))
        chosen.clear()
        assert settings(name, scale)  # a copy
    assert set(experiments.EXPERIMENTS[name].claims) <= verdicts.claims().keys()


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
    return measures.observe(model, train_set, test_set, chosen)


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
        ({"name": "wishes"}, f"name must be one of {', '.join(EXPERIMENTS)}, got 'wishes'"),
        ({"scale": "huge"}, "scale must be one of quick, cpu, paper, got 'huge'"),
        ({"dataset": "cifar11"}, "dataset must be one of synthetic, cifar10, cifar100, mnist, go"),
        ({"radius": 4}, "observation has no setting 'radius'; it has norm, normalise, "),
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


# Conditions -------------------------------------------------------------------------------

PAIR = {
    "train_size": 60,
    "test_size": 40,
    "recipe": Recipe(epochs=3, batch_size=20, lr=0.05, label_smoothing=0.1),
    "radii": (2, 8),
    "components": ("low", "high + mean"),
    "images": ("train", "test"),
    "epochs": (1, 3),
    "conditions": (
        ({"heuristic": "vanilla"}, {}),
        ({"heuristic": "50 % mixup"}, {"norm": "batch", "recipe": {"mixup": 0.5, "lr": 0.01}}),
    ),
}
PAIR_PLACE = Path("heuristics") / "quick-synthetic"
PAIR_FILES = [f"{label}-seed-{seed}.json" for label in ("50-mixup", "vanilla") for seed in (0, 1)]


def pair(folder=None, *, seeds=2, jobs=1, **changes):
    return run(
        "heuristics", seeds=seeds, folder=folder, jobs=jobs, progress=False, **PAIR | changes
    )


@pytest.fixture(scope="module")
def wanted_pair():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments.joblib, "cpu_count", lambda: 1)
        return pair()


@pytest.fixture
def trained_units(monkeypatch):
    """What the recipes of the trainings begun in this process mix, and their seeds."""
    units, train = [], experiments.train

    def counting(chosen, seed, **arguments):
        units.append((chosen["recipe"].mixup, seed))
        return train(chosen, seed, **arguments)

    monkeypatch.setattr(experiments, "train", counting)
    return units


def test_one_unit_for_each_seed_and_condition(wanted_pair):
    assert wanted_pair.seeds == [0, 1]
    assert wanted_pair.keys == ["heuristic", "epoch", "images", "radius"]
    labels = [{record["heuristic"] for record in unit["records"]} for unit in wanted_pair.units]
    assert labels == [{"vanilla"}, {"50 % mixup"}] * 2
    assert [unit["seed"] for unit in wanted_pair.units] == [0, 0, 1, 1]
    table = wanted_pair.table
    assert table.index.names == ["seed", *wanted_pair.keys]
    assert table.index.is_unique
    assert len(table) == 2 * 2 * 2 * 2 * 2
    assert table.index.unique("epoch").tolist() == [1, 3]
    assert list(table) == ["original", "low", "high + mean"]
    # The summary is over seeds, condition by condition.
    means = wanted_pair.summary.xs("mean", axis=1, level=1)
    for key, row in means.iterrows():
        both = [table.loc[(seed, *key), "low"] for seed in (0, 1)]
        assert row["low"] == pytest.approx(sum(both) / 2)


def test_a_condition_is_what_the_rooms_compute(wanted_pair):
    """Epoch by epoch, with the settings of that condition only."""
    changes = {
        "vanilla": ({"norm": None}, {}),
        "50 % mixup": ({"norm": "batch"}, {"mixup": 0.5, "lr": 0.01}),
    }
    sets = [
        data.load("synthetic", split, size=size, seed=1, hfc_strength=0.9)
        for split, size in (("train", 60), ("test", 40))
    ]
    for unit, (label, (network, fields)) in zip(
        wanted_pair.units[2:], changes.items(), strict=True
    ):
        found = []

        def probe(model, epoch, label=label, found=found):
            for images, made in zip(
                ("train", "test"), (sets[0].take(slice(40)), sets[1]), strict=True
            ):
                with training.autocast("cpu"):
                    table = component_accuracy(
                        model, made, (2, 8), ("low", "high + mean"), mean=sets[0].mean_colour
                    )
                for radius, row in table.iterrows():
                    place = {"heuristic": label, "epoch": epoch, "images": images}
                    found.append(place | {"radius": radius} | row.to_dict())
            return {}

        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = models.build("small", num_classes=10, **network)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            recipe = dataclasses.replace(PAIR["recipe"], seed=1, **fields)
            history = training.fit(model, sets[0], recipe, probes=[probe], progress=False)
        finally:
            torch.set_num_threads(threads)
        assert unit["records"] == [row for row in found if row["epoch"] != 2]
        running = [row["train_accuracy"] for row in history.rows]
        assert unit["training"]["running_accuracy"] == running
        assert unit["training"]["train_accuracy"] == running[-1]


def test_conditions_and_recipes_are_stored(wanted_pair):
    labels = [label for label, _ in wanted_pair.settings["conditions"]]
    assert labels == [{"heuristic": "vanilla"}, {"heuristic": "50 % mixup"}]
    changes = wanted_pair.settings["conditions"][1][1]
    assert changes == {"norm": "batch", "recipe": {"mixup": 0.5, "lr": 0.01}}
    assert wanted_pair.settings["recipe"]["lr"] == 0.05
    assert json.loads(json.dumps(wanted_pair.settings)) == wanted_pair.settings


def test_finished_conditions_are_not_done_again(tmp_path, trained_units, wanted_pair):
    first = pair(tmp_path)
    assert numbers(first) == numbers(wanted_pair)
    assert sorted(p.name for p in (tmp_path / PAIR_PLACE).iterdir()) == PAIR_FILES
    assert results.load("heuristics", scale="quick", dataset="synthetic", folder=tmp_path) == first
    assert len(trained_units) == 4
    assert pair(tmp_path) == first
    assert len(trained_units) == 4


def test_another_condition_leaves_the_others(tmp_path, trained_units):
    pair(tmp_path, seeds=1)
    before = {p.name: p.read_bytes() for p in (tmp_path / PAIR_PLACE).iterdir()}
    more = (({"heuristic": "much mixup"}, {"recipe": {"mixup": 5.0}}), *PAIR["conditions"])
    del trained_units[:]
    three = pair(tmp_path, seeds=1, conditions=more)
    assert trained_units == [(5.0, 0)]
    labels = [unit["records"][0]["heuristic"] for unit in three.units]
    assert labels == ["much mixup", "vanilla", "50 % mixup"]
    assert {name: (tmp_path / PAIR_PLACE / name).read_bytes() for name in before} == before
    # One that changes is the only one to be done again.
    changed = (PAIR["conditions"][0], ({"heuristic": "50 % mixup"}, {"recipe": {"mixup": 0.6}}))
    del trained_units[:]
    pair(tmp_path, seeds=1, conditions=changed)
    assert trained_units == [(0.6, 0)]
    del trained_units[:]
    assert len(pair(tmp_path, seeds=1, conditions=more[1:2]).units) == 1
    assert not trained_units


class Captured(Exception):
    pass


def training_of(monkeypatch, changes, *, seed=3, **others):
    """Model, training set and recipe that a condition hands to the training."""
    seen = []

    def capture(model, train_set, recipe, **arguments):
        seen.extend((model, train_set, recipe))
        raise Captured

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "fit", capture)
        with pytest.raises(RuntimeError, match="Captured"):
            pair(seeds=[seed], conditions=(({"heuristic": "this"}, changes),), **others)
    return seen


def test_settings_reach_the_training(monkeypatch):
    model, train_set, recipe = training_of(monkeypatch, {})
    assert recipe == dataclasses.replace(PAIR["recipe"], seed=3)
    assert isinstance(model[0], models._Normalise)
    true = data.load("synthetic", "train", size=60, seed=3, hfc_strength=0.9)
    assert train_set.fingerprint == true.fingerprint

    def dropouts(model):
        return [m.p for m in model.modules() if isinstance(m, nn.Dropout)]

    assert dropouts(model) == [0.0]
    assert dropouts(training_of(monkeypatch, {"dropout": 0.5})[0]) == [0.5]
    assert isinstance(training_of(monkeypatch, {"normalise": False})[0][0], nn.Identity)
    other, *_ = training_of(monkeypatch, {"model": "lenet", "norm": "group", "width": 16})
    assert next(m for m in other.modules() if isinstance(m, nn.Conv2d)).out_channels == 16
    assert any(isinstance(m, nn.GroupNorm) for m in other.modules())
    fields = {"optimizer": "rmsprop", "gradient_clip": 0.5, "adversarial": 0.1}
    *_, other = training_of(monkeypatch, {"recipe": fields})
    assert other == dataclasses.replace(PAIR["recipe"], seed=3, **fields)
    _, other, _ = training_of(monkeypatch, {"hfc_strength": 1.0})
    assert other.signature.equal(other.labels)


def test_shuffled_labels_reach_the_training(monkeypatch):
    true = data.load("synthetic", "train", size=60, seed=3, hfc_strength=0.9)
    _, train_set, _ = training_of(monkeypatch, {"shuffled": 0.5})
    assert train_set.images.equal(true.images)
    assert train_set.labels.equal(data.shuffle_labels(true, 0.5, seed=3).labels)
    assert not train_set.labels.equal(true.labels)
    # Test images keep their labels.
    tested = []

    def measure(model, train_set, test_set, chosen):
        tested.append(test_set.labels)
        return [{"right": 1}]

    experiment = dataclasses.replace(EXPERIMENTS["heuristics"], measure=measure)
    monkeypatch.setitem(EXPERIMENTS, "heuristics", experiment)
    pair(seeds=[3], conditions=(({"heuristic": "this"}, {"shuffled": 1.0}),), epochs=None)
    assert tested[0].equal(data.load("synthetic", "test", size=40, seed=3).labels)


@pytest.mark.parametrize("name", ["low", "high + mean"])
def test_a_component_reaches_the_training_and_images_the_measure(name, monkeypatch):
    changes = {"trained_on": name, "train_radius": 5}
    model, train_set, _ = training_of(monkeypatch, changes)
    assert isinstance(model, models.OnComponent)
    assert (model.name, model.radius) == (name, 5)
    assert model.mean.equal(train_set.mean_colour)
    measured = []

    def measure(model, train_set, test_set, chosen):
        measured.append(model)
        return [{"right": 1}]

    experiment = dataclasses.replace(EXPERIMENTS["heuristics"], measure=measure)
    monkeypatch.setitem(EXPERIMENTS, "heuristics", experiment)
    conditions = (({"heuristic": "this"}, changes),)
    pair(seeds=1, conditions=conditions)
    pair(seeds=1, conditions=conditions, epochs=None)
    assert len(measured) == 3  # after two epochs, and after training
    assert not any(isinstance(model, models.OnComponent) for model in measured)


def test_a_failed_condition_is_reported_and_the_others_are_kept(
    tmp_path, monkeypatch, trained_units, wanted_pair
):
    train = experiments.train

    def failing(chosen, seed, **arguments):
        if chosen["recipe"].mixup and seed == 0:
            raise ZeroDivisionError("on purpose")
        return train(chosen, seed, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "train", failing)
        text = "heuristics: 1 of 4 units failed\n50 % mixup, seed 0: Traceback"
        with pytest.raises(RuntimeError, match=text) as caught:
            pair(tmp_path)
    assert "ZeroDivisionError: on purpose" in str(caught.value)
    assert sorted(p.name for p in (tmp_path / PAIR_PLACE).iterdir()) == PAIR_FILES[1:]
    assert not (tmp_path / "heuristics" / "quick-synthetic.json").exists()
    del trained_units[:]
    assert numbers(pair(tmp_path)) == numbers(wanted_pair)
    assert trained_units == [(0.5, 0)]


def test_a_diverged_condition_is_told_in_a_line(tmp_path):
    wild = ({"heuristic": "wild"}, {"recipe": {"lr": 1e30}})
    text = "heuristics: 1 of 3 units failed\nwild, seed 0: the loss became .* may help$"
    with pytest.raises(RuntimeError, match=text):
        pair(tmp_path, seeds=1, conditions=(*PAIR["conditions"], wild))
    kept = {p.name for p in (tmp_path / PAIR_PLACE).glob("*.json")}
    assert kept == {PAIR_FILES[0], PAIR_FILES[2]}


@pytest.fixture
def stopped_pair(tmp_path, monkeypatch):
    """A folder in which mixup's seed 0 was stopped while it was measured in its last epoch."""
    calls = []

    def stop(*arguments, **settings):
        calls.append(0)
        if len(calls) == 8:  # four a unit: two epochs, training and test images
            raise Stopped
        return component_accuracy(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(measures, "component_accuracy", stop)
        with pytest.raises(Stopped):
            pair(tmp_path)
    (checkpoint,) = (tmp_path / PAIR_PLACE).glob("*.pt")
    assert checkpoint.name.startswith("50-mixup-seed-0.")
    return tmp_path, checkpoint


def test_a_stopped_condition_goes_on_with_its_records(stopped_pair, epochs, wanted_pair):
    folder, _ = stopped_pair
    assert numbers(pair(folder, seeds=1))[1] == numbers(wanted_pair)[1][:2]
    assert epochs == [2]
    assert sorted(p.name for p in (folder / PAIR_PLACE).iterdir()) == PAIR_FILES[::2]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-5], lambda b: bytes(len(b))])
def test_a_damaged_checkpoint_is_done_again(damage, stopped_pair, epochs, wanted_pair):
    folder, checkpoint = stopped_pair
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.warns(UserWarning, match=f"{checkpoint.name} is damaged"):
        found = pair(folder, seeds=1)
    assert numbers(found)[1] == numbers(wanted_pair)[1][:2]
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"identity": 1}'])
def test_a_damaged_unit_of_a_condition_is_done_again(content, tmp_path, trained_units, wanted_pair):
    pair(tmp_path)
    (tmp_path / PAIR_PLACE / PAIR_FILES[1]).write_bytes(content)
    del trained_units[:]
    assert numbers(pair(tmp_path)) == numbers(wanted_pair)
    assert trained_units == [(0.5, 1)]


def test_a_unit_in_the_place_of_another_is_done_again(tmp_path, trained_units, wanted_pair):
    pair(tmp_path)
    vanilla, mixup = (tmp_path / PAIR_PLACE / PAIR_FILES[k] for k in (2, 0))
    vanilla.write_bytes(mixup.read_bytes())
    del trained_units[:]
    assert numbers(pair(tmp_path)) == numbers(wanted_pair)
    assert trained_units == [(0.0, 0)]


def test_conditions_in_two_processes_give_the_same(tmp_path, wanted_pair):
    assert numbers(pair(tmp_path, jobs=2)) == numbers(wanted_pair)


def test_grid_is_every_value_with_every_other():
    found = catalogue._grid(
        a={"x": {"norm": None, "recipe": {"lr": 1, "mixup": 2}}, "y": {}},
        b={1: {"recipe": {"lr": 3}}, 2: {"width": 8}},
    )
    assert found == (
        ({"a": "x", "b": 1}, {"norm": None, "recipe": {"lr": 3, "mixup": 2}}),
        ({"a": "x", "b": 2}, {"norm": None, "width": 8, "recipe": {"lr": 1, "mixup": 2}}),
        ({"a": "y", "b": 1}, {"recipe": {"lr": 3}}),
        ({"a": "y", "b": 2}, {"width": 8, "recipe": {}}),
    )


# The experiments themselves ---------------------------------------------------------------

each_experiment = pytest.mark.parametrize("name", EXPERIMENTS)


@each_experiment
@pytest.mark.parametrize("scale", ["quick", "cpu", "paper"])
def test_conditions_can_be_told_apart(name, scale, tmp_path):
    chosen = settings(name, scale) | {"dataset": "synthetic"}
    conditions = list(experiments._conditions(chosen))
    keys = EXPERIMENTS[name].keys
    assert {tuple(label) for label, _ in conditions} == {tuple(conditions[0][0])}
    assert set(conditions[0][0]) <= set(keys)
    assert ("epoch" in keys) == (chosen["epochs"] is not None)
    units = [
        experiments._Unit(name, scale, "synthetic", label, own, seed, tmp_path)
        for label, own in conditions
        for seed in (0, 1, 11)
    ]
    for told in ("title", "identity", "training"):
        assert len({getattr(unit, told) for unit in units}) == len(units)
    files = {str(unit.file("json")).lower() for unit in units}  # some disks ignore the case
    assert len(files) == len(units)


@each_experiment
@pytest.mark.parametrize("scale", ["quick", "cpu", "paper"])
def test_epochs_are_measured_to_the_last(name, scale):
    chosen = settings(name, scale)
    for label, own in experiments._conditions(chosen):
        if own["epochs"] is not None:
            assert list(own["epochs"]) == sorted(set(own["epochs"]))
            assert own["epochs"][0] >= 1
            assert own["recipe"].epochs in own["epochs"], label


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "people"])
def test_every_experiment_runs(name):
    """One seed of its first and last condition, for an epoch."""
    chosen = settings(name, "quick")
    changes = {"train_size": 40, "test_size": 40, "width": 8}
    recipe = {"epochs": 1, "batch_size": 20, "adversarial": 0}
    changes["conditions"] = tuple(
        (label, own | {"recipe": own.get("recipe", {}) | recipe})
        for label, own in (chosen["conditions"][0], chosen["conditions"][-1])[
            -len(chosen["conditions"]) :
        ]
    )
    if chosen["epochs"] is not None:
        changes["epochs"] = (1,)
    result = run(name, seeds=1, jobs=1, progress=False, **changes)
    table = result.table
    assert table.index.names == ["seed", *EXPERIMENTS[name].keys]
    assert table.index.is_unique
    assert table.notna().all(axis=None)
    labels = {tuple(label.values()) for label, _ in changes["conditions"]}
    if labels != {()}:
        found = table.reset_index()[list(changes["conditions"][0][0])]
        assert set(found.itertuples(index=False, name=None)) == labels
    assert len(result.units) == len(labels)


def test_batchnorm_is_tested_in_every_way():
    records = {}
    for norm in (None, "batch"):
        chosen = {"radii": (2,), "components": ("low",)}
        made = data.load("synthetic", "test", size=200)
        model = models.build("small", num_classes=10, norm=norm, width=8).eval()
        records[norm] = measures.by_statistics(model, made, made, chosen)
    ways = [[(r["statistics"], r["company"]) for r in rows] for rows in records.values()]
    assert ways[0] == [("running", "alone")]
    assert ways[1] == [(s, c) for s in ("running", "batch") for c in ("alone", "mixed")]
    first, second, third, fourth = records["batch"]
    assert first["low"] == second["low"]  # company matters to the batch's statistics only
    assert first["original"] == second["original"]
    assert third["original"] == fourth["original"]


def test_what_is_planted_is_tested_where_it_tells_nothing():
    made = data.load("synthetic", "test", size=300, seed=4, hfc_strength=0.9)
    at_random = data.load("synthetic", "test", size=300, seed=4, hfc_strength=0)
    asked = []

    class Reads(nn.Module):
        """Looks images up: gives the class that their signature names."""

        def forward(self, x):
            asked.append(x)
            known = torch.cat((made.images, at_random.images)).flatten(1)
            names = torch.cat((made.signature, at_random.signature))
            nearest = torch.cdist(x.flatten(1), known).argmin(dim=1)
            return nn.functional.one_hot(names[nearest], 10).float()

    chosen = {"dataset": "synthetic", "test_size": 300, "seed": 4, "radii": (8,)}
    (record,) = measures.with_signature(Reads(), made, made, chosen | {"components": ("low",)})
    assert record["follows"] == 1
    right = (at_random.signature == at_random.labels).float().mean().item()
    assert record["random_signature"] == pytest.approx(right)
    assert record["original"] == pytest.approx(
        (made.signature == made.labels).float().mean().item()
    )


class Knows(nn.Module):
    """Right on bright images."""

    def forward(self, x):
        return nn.functional.one_hot((x.mean(dim=(1, 2, 3)) > 0.5).long(), 10).float()


def test_people_by_agreement(monkeypatch):
    """Bounds as they are written: 1; from 0.95; from 0.8; below."""
    agreed = [100, 100, 99, 95, 94, 80, 79, 0]
    votes = torch.zeros(8, 10, dtype=torch.int64)
    votes[:, 1], votes[:, 4] = torch.tensor(agreed), 100 - torch.tensor(agreed)
    monkeypatch.setattr(data, "human_votes", lambda: votes)
    images = torch.tensor([0.2, 0.8, 0.8, 0.8, 0.8, 0.2, 0.8, 0.8])
    made = ImageSet(
        images[:, None, None, None].expand(8, 3, 8, 8).clone(),
        torch.ones(8, dtype=torch.int64),
        tuple("abcdefghij"),
        "cifar10",
    )
    chosen = {"dataset": "cifar10", "test_size": None, "radii": (2,)}
    records = EXPERIMENTS["people"].measure(Knows(), made, made, chosen)
    found = [(r["agreement"], r["n"], r["original"]) for r in records if r["copies"] == "raw"]
    assert found == [
        ("all agree", 2, 1),
        ("0.95 to 1", 2, 2),
        ("0.8 to 0.95", 2, 1),
        ("below 0.8", 2, 2),
    ]
    assert len(records) == 8  # and with the mean added


@pytest.mark.parametrize(
    "chosen",
    [{"dataset": "synthetic", "test_size": None}, {"dataset": "cifar10", "test_size": 1000}],
)
def test_people_looked_at_the_test_images_of_cifar10_only(chosen):
    text = 'people needs dataset "cifar10" with all its test images'
    with pytest.raises(ValueError, match=text):
        EXPERIMENTS["people"].measure(None, None, None, chosen)


def test_people_say_so_when_run():
    changes = {"train_size": 40, "recipe": Recipe(epochs=1, batch_size=20), "width": 8}
    text = 'people needs dataset "cifar10" with all its test images'
    with pytest.raises((RuntimeError, ValueError), match=text):
        run("people", seeds=1, jobs=1, progress=False, **changes)


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
    first, *table = capsys.readouterr().out.splitlines()
    path = f"{tmp_path}/observation/quick-synthetic.json"
    assert first == f"observation: seeds [0, 1], stored with intervals in {path}"
    assert "only_high" in table[0]
    assert len(table) == 2 + 4


@pytest.fixture
def pair_scale(monkeypatch):
    monkeypatch.setitem(experiments.EXPERIMENTS, "heuristics", scaled("heuristics", PAIR))


@pytest.mark.usefixtures("pair_scale")
def test_reproduce_tells_the_means_of_the_last_epoch(tmp_path, capsys, wanted_pair):
    arguments = ["reproduce", "heuristics", "--jobs", "1", "--seeds", "2"]
    assert main([*arguments, "--folder", str(tmp_path)]) == 0
    _, *table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 2 * 2 * 2  # conditions, images, radii
    means = wanted_pair.summary.xs("mean", axis=1, level=1).xs(3, level="epoch")
    shown = [[float(number) for number in line.split()[-3:]] for line in table[2:]]
    assert shown == means.round(3).to_numpy().tolist()


def scaled(name, changes):
    """An experiment with other settings at scale quick."""
    scales = EXPERIMENTS[name].scales
    return dataclasses.replace(
        EXPERIMENTS[name], scales=scales | {"quick": scales["quick"] | changes}
    )


@pytest.fixture
def three(monkeypatch):
    """Three experiments in all; the second one cannot run on the synthetic set."""
    tiny_people = {"train_size": 40, "recipe": Recipe(epochs=1, batch_size=20), "width": 8}
    chosen = {
        "observation": scaled("observation", TINY),
        "people": scaled("people", tiny_people),
        "heuristics": scaled("heuristics", PAIR),
    }
    monkeypatch.setattr(experiments, "EXPERIMENTS", chosen)


@pytest.mark.usefixtures("three")
def test_reproduce_all(tmp_path, capsys, monkeypatch, wanted, wanted_pair):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    arguments = ["reproduce", "all", "--jobs", "1", "--seeds", "2", "--folder", str(tmp_path)]
    assert main(arguments) == 1  # since one failed
    out, err = capsys.readouterr()
    told = [line for line in out.splitlines() if ": " in line]
    assert told == [
        "1 of 3: observation",
        f"observation: seeds [0, 1], stored with intervals in {tmp_path / PLACE}.json",
        "2 of 3: people",
        "3 of 3: heuristics",
        f"heuristics: seeds [0, 1], stored with intervals in {tmp_path / PAIR_PLACE}.json",
    ]
    assert "hfc: people needs dataset" in err.splitlines()[-1]
    assert 'people needs dataset "cifar10" with all its test images' in err
    assert "observation" not in err
    for name, expected in (("observation", wanted), ("heuristics", wanted_pair)):
        found = results.load(name, scale="quick", dataset="synthetic", folder=tmp_path)
        assert numbers(found) == numbers(expected)
    assert not (tmp_path / "people" / "quick-synthetic.json").exists()


@pytest.mark.usefixtures("three")
def test_reproduce_all_without_a_failure(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(experiments.EXPERIMENTS, "people")
    arguments = ["reproduce", "all", "--jobs", "1", "--seeds", "1", "--folder", str(tmp_path)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "2 of 2: heuristics" in out
    assert "50 % mixup" in out
    assert len(list(tmp_path.glob("*/quick-synthetic.json"))) == 2


@pytest.mark.parametrize("scale", ["quick", "cpu"])
def test_list(scale, capsys):
    assert main(["reproduce", "--list", "--scale", scale]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(EXPERIMENTS)
    for line, (name, experiment) in zip(lines, EXPERIMENTS.items(), strict=True):
        assert (", ".join(experiment.claims) or "no claim") in line
        runs = len(settings(name, scale)["conditions"])
        passes = experiments.image_passes(name, scale) / 1e6
        assert line.endswith(f" {runs} trainings a seed, {passes:7.2f} million images")


def test_settings_of_one_condition():
    own = settings("heuristics", "cpu", heuristic="mixup")
    shared = settings("heuristics", "cpu")
    assert own["recipe"] == dataclasses.replace(shared["recipe"], mixup=0.5)
    del shared["conditions"]
    assert own | {"recipe": shared["recipe"]} == shared


def test_settings_of_the_first_condition_with_some_labels():
    own = settings("batchnorm", "cpu", norm="BatchNorm", optimizer="Adam")
    assert (own["norm"], own["normalise"], own["recipe"].optimizer) == ("batch", True, "adam")


def test_settings_of_no_condition():
    told = "heuristics has no condition {'heuristic': 'luck'} at scale cpu, only .*vanilla"
    with pytest.raises(ValueError, match=told):
        settings("heuristics", "cpu", heuristic="luck")


def test_image_passes(monkeypatch):
    recipe = Recipe(epochs=3, attack_steps=4)
    conditions = (
        ({"a": 1}, {}),
        ({"a": 2}, {"train_size": 7, "recipe": {"epochs": 2}}),
        ({"a": 3}, {"recipe": {"adversarial": 0.1}}),
    )
    changes = {"recipe": recipe, "train_size": None, "conditions": conditions}
    monkeypatch.setitem(EXPERIMENTS, "heuristics", scaled("heuristics", changes))
    assert experiments.image_passes("heuristics", "quick", whole=100) == 300 + 14 + 1500


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
scales = t.experiments.EXPERIMENTS["heuristics"].scales
scales["quick"] |= t.PAIR | {"epochs": (1, 2, 4)}
scales["quick"]["recipe"] = t.dataclasses.replace(t.PAIR["recipe"], epochs=4)
experiment = sys.argv[2]

def work(name):
    arguments = ["--jobs", "1", "--seeds", "2", "--folder", str(folder / name)]
    assert t.main(["reproduce", experiment, *arguments]) == 0

finish(lambda: work("undisturbed"))
assert until_done(lambda: work("killed")) >= 3
"""


@pytest.mark.parametrize(
    ("name", "kept"),
    [("observation", ["seed-0.json", "seed-1.json"]), ("heuristics", PAIR_FILES)],
)
def test_killed_at_any_moment(name, kept, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folders = [tmp_path / "undisturbed", tmp_path / "killed"]
    whole = [
        results.load(name, scale="quick", dataset="synthetic", folder=folder) for folder in folders
    ]
    assert numbers(whole[0]) == numbers(whole[1])
    assert len(whole[0].units) == len(kept)
    # The files agree too, but for seconds and the checksum over them.
    texts = [(folder / name / "quick-synthetic.json").read_text() for folder in folders]
    varies = re.compile(r'"(seconds|sha256|commit)": .*')
    assert len({varies.sub("", text) for text in texts}) == 1
    found = [p.name for p in (folders[1] / name / "quick-synthetic").glob("*.json")]
    assert sorted(found) == kept


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([*REPRODUCE, "0"], "hfc: seeds must be at least one and all different, got []\n"),
        (["reproduce", "observation", "--jobs", "0"], "hfc: jobs must be at least 1, got 0\n"),
        (["reproduce"], "hfc: reproduce needs an experiment, or all; see: reproduce --list\n"),
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


def measure_anew(model, train_set, test_set, chosen):
    return [{"images": "test", "radius": 2, "original": 0.25}]


def test_numbers_of_another_measure_are_not_taken_from_a_checkpoint(tmp_path, monkeypatch):
    calls = []

    def stop(*arguments, **settings):
        calls.append(0)
        if len(calls) == 4:  # in the last epoch that is measured
            raise Stopped
        return component_accuracy(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(measures, "component_accuracy", stop)
        with pytest.raises(Stopped):
            pair(tmp_path, seeds=1)
    assert len(list((tmp_path / PAIR_PLACE).glob("*.pt"))) == 1
    experiment = dataclasses.replace(EXPERIMENTS["heuristics"], measure=measure_anew)
    monkeypatch.setitem(EXPERIMENTS, "heuristics", experiment)
    assert set(pair(tmp_path, seeds=1).table["original"]) == {0.25}


def test_leftovers_of_a_kill_right_after_a_unit_was_stored_go(tmp_path):
    pair(tmp_path, seeds=1)
    for rest in ("vanilla-seed-0.12345678.pt", ".vanilla-seed-0.12345678.pt.abcdefgh"):
        (tmp_path / PAIR_PLACE / rest).write_bytes(b"half")
    pair(tmp_path, seeds=1)
    assert sorted(p.name for p in (tmp_path / PAIR_PLACE).iterdir()) == PAIR_FILES[::2]


@pytest.mark.parametrize("changes", [{}, {"dataset": "cifar10", "test_size": 1000}])
def test_people_say_so_before_anything_is_trained(changes, monkeypatch):
    monkeypatch.setattr(experiments, "train", None)
    text = '^people needs dataset "cifar10" with all its test images$'
    with pytest.raises(ValueError, match=text):
        run("people", seeds=1, jobs=1, progress=False, **changes)


def test_missing_votes_are_told_before_anything_is_trained(monkeypatch, tmp_path):
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    with pytest.raises(data.DatasetError, match="cifar10h is missing"):
        run("people", dataset="cifar10", seeds=1, jobs=1, progress=False)


def test_epochs_that_never_come():
    text = re.escape("epochs must name one from 1 to 3, got (5, 9) {'heuristic': 'vanilla'}")
    with pytest.raises(ValueError, match=text):
        pair(epochs=(5, 9))
