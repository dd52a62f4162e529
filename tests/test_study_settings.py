"""``hfc.study.settings`` and ``hfc.study.catalogue``: what is wanted, or a clear complaint."""

import dataclasses
import itertools
import json
import re
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfc import models
from hfc.frequency import COMPONENTS
from hfc.study import catalogue
from hfc.study.code import digest
from hfc.study.detectors import DetectorSettings
from hfc.study.identity import identity
from hfc.study.robustness.experiments import Attacked, Filtered, Remedied, Smoothed
from hfc.study.run import run
from hfc.study.settings import QUICK, Experiment, Scale, Settings, as_json, grid
from hfc.study.unit import seeded
from hfc.study.verdict import claims
from hfc.training import Recipe

SCALES = ("quick", "cpu", "paper")
EXPERIMENTS = catalogue.experiments()
each_scale = pytest.mark.parametrize(
    ("name", "scale"), [(name, scale) for name in EXPERIMENTS for scale in EXPERIMENTS[name].scales]
)


def settings(**changes):
    return Settings(**{"model": "small", "recipe": Recipe(epochs=6, batch_size=20)} | changes)


# Settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"radii": (4, -1)}, "radii must hold numbers of at least 0, got -1"),
        ({"radii": (4, float("nan"))}, "radii must hold numbers of at least 0, got nan"),
        ({"radii": (None,)}, "radii must hold numbers of at least 0, got None"),
        ({"radii": ()}, "radii must hold at least one radius, got none"),
        ({"radii": 8}, "radii must be a tuple, got 8"),
        ({"components": ("low", "hihg")}, "components must be of low, high, "),
        ({"components": "low"}, "components must be a tuple, got 'low'"),
        ({"images": ("test", "validation")}, "images must be of train, test, got 'validation'"),
        ({"trained_on": "low"}, "trained_on and train_radius must be given together, got trained"),
        ({"train_radius": 8}, "trained_on and train_radius must be given together, got trained"),
        ({"trained_on": "loww", "train_radius": 8}, "trained_on must be one of low, high, "),
        ({"trained_on": "low", "train_radius": -8}, "train_radius must hold numbers of at least 0"),
        ({"epochs": (2, 1)}, "epochs must ascend, each once, got (2, 1)"),
        ({"epochs": (1, 2, 2)}, "epochs must ascend, each once, got (1, 2, 2)"),
        ({"epochs": ()}, "epochs must ascend, each once, got ()"),
        ({"epochs": (7, 9)}, "epochs must name one from 1 to 6, got (7, 9)"),
        ({"epochs": (0,)}, "epochs must name one from 1 to 6, got (0,)"),
        ({"epochs": 3}, "epochs must be a tuple, got 3"),
        ({"dataset": "cifar11"}, "dataset must be one of synthetic, cifar10, cifar100, mnist, got"),
    ],
)
def test_what_is_out_of_range_is_refused(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        settings(**changes)
    with pytest.raises(ValueError, match=re.escape(text)):
        settings().changed(**changes)


@pytest.mark.parametrize("changes", [{"epochs": (5, 9)}, {"epochs": [1, 6]}, {"radii": [2, 0.5]}])
def test_what_is_within_range_is_kept_as_tuples(changes):
    ((name, value),) = changes.items()
    assert getattr(settings(**changes), name) == tuple(value)
    hash(settings(**changes))


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (Attacked, {"epsilons": (0, 8)}),
        (Attacked, {"epsilons": (-0.1,)}),
        (Smoothed, {"epsilons": (2,), "rhos": (1,), "few": 5}),
        (Remedied, {"epsilons": (2,), "kernel_radii": (1,)}),
        (Filtered, {"epsilons": (2,), "attacks": ("naive",), "few": 5}),
    ],
)
def test_epsilons_are_in_pixel_units(kind, own):
    with pytest.raises(ValueError, match="epsilons must be in pixel units, 0 to 1, got "):
        kind(**vars(settings()), **own)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dropuot": 0.5}, "Settings has no 'dropuot'; did you mean 'dropout'?"),
        ({"component": ("low",)}, "Settings has no 'component'; did you mean 'components'?"),
        ({"recipe": {"epoch": 3}}, "Recipe has no 'epoch'; did you mean 'epochs'?"),
        ({"recipe": {"learning_rate": 3}}, "Recipe has no 'learning_rate'"),
        ({"zzz": 1}, "Settings has no 'zzz', only model, recipe, dataset, train_size"),
        ({"epsilons": (0.0,)}, "Settings has no 'epsilons'"),  # nothing is attacked
    ],
)
def test_a_setting_that_is_none_is_refused(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        settings().changed(**changes)


def test_settings_change_into_new_ones():
    own = settings()
    other = own.changed(dropout=0.5, recipe={"lr": 0.3})
    assert (own.dropout, own.recipe.lr) == (0.0, Recipe(epochs=6, batch_size=20).lr)
    assert other == settings(dropout=0.5, recipe=Recipe(epochs=6, batch_size=20, lr=0.3))
    assert own.changed() == own
    assert own.changed(recipe=Recipe(epochs=2)).recipe == Recipe(epochs=2)
    kernels = EXPERIMENTS["kernels"].scales["quick"].base
    assert type(kernels.changed(dropout=0.5)) is type(kernels)
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.dropout = 0.5


def test_settings_as_json():
    own = settings(radii=(2, 8), trained_on="low", train_radius=4)
    found = as_json(own, more=(("a", {"b": (1,)}),))
    assert json.loads(json.dumps(found)) == found
    assert found["radii"] == [2, 8]
    assert found["more"] == [["a", {"b": [1]}]]
    assert found["recipe"]["batch_size"] == 20
    assert "seed" not in found["recipe"]
    assert as_json(seeded(own, 1)) == as_json(seeded(own, 2)) == as_json(own)
    assert found.keys() - {"more"} == {field.name for field in dataclasses.fields(Settings)}


# Conditions --------------------------------------------------------------------------------


def test_conditions_are_what_they_change():
    scale = Scale(settings(dropout=0.1), (({"k": "a"}, {}), ({"k": "b"}, {"recipe": {"lr": 1}})))
    first, second = scale.each(width=8)
    assert (first.label, second.label) == ({"k": "a"}, {"k": "b"})
    assert first.settings == settings(dropout=0.1, width=8)
    assert second.settings == first.settings.changed(recipe={"lr": 1})
    (only,) = Scale(settings()).each()
    assert (only.label, only.settings) == ({}, settings())
    # What all share is changed first, so that a condition stays what its label says.
    assert [c.settings.recipe.lr for c in scale.each(recipe={"lr": 0.5})] == [0.5, 1]


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({"dropuot": 0.5}, "condition {'k': 'b'}: Settings has no 'dropuot'; did you mean 'drop"),
        ({"recipe": {"lrr": 1}}, "condition {'k': 'b'}: Recipe has no 'lrr'; did you mean 'lr'?"),
        ({"radii": (-1,)}, "condition {'k': 'b'}: radii must hold numbers of at least 0, got -1"),
    ],
)
def test_a_condition_that_changes_what_is_no_setting_is_refused(own, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Scale(settings(), (({"k": "a"}, {}), ({"k": "b"}, own)))


def test_conditions_that_changes_make_impossible_are_named():
    scale = Scale(settings(), (({"k": "a"}, {}), ({"k": "short"}, {"recipe": {"epochs": 2}})))
    with pytest.raises(
        ValueError, match=r"condition \{'k': 'short'\}: epochs must name one from 1"
    ):
        list(scale.each(epochs=(3, 6)))


def test_two_conditions_of_the_same_name_are_refused():
    with pytest.raises(ValueError, match="conditions must have different labels"):
        Scale(settings(), (({"k": "a"}, {}), ({"k": "a"}, {"width": 8})))


def test_grid_is_every_value_with_every_other():
    found = grid(
        a={"x": {"norm": None, "recipe": {"lr": 1, "mixup": 2}}, "y": {}},
        b={1: {"recipe": {"lr": 3}}, 2: {"width": 8}},
    )
    assert found == (
        ({"a": "x", "b": 1}, {"norm": None, "recipe": {"lr": 3, "mixup": 2}}),
        ({"a": "x", "b": 2}, {"norm": None, "width": 8, "recipe": {"lr": 1, "mixup": 2}}),
        ({"a": "y", "b": 1}, {"recipe": {"lr": 3}}),
        ({"a": "y", "b": 2}, {"width": 8}),
    )


@given(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 5), max_size=3), max_size=3))
def test_grid_is_the_product(axes):
    found = grid(**{label: {v: {label: v} for v in values} for label, values in axes.items()})
    wanted = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    assert [labels for labels, _ in found] == wanted
    assert [changes for _, changes in found] == wanted


# A run checks before it trains ---------------------------------------------------------------


class Trained(Exception):
    pass


def measure_nothing(model, train_set, test_set, settings):
    raise Trained


@pytest.fixture
def tiny(monkeypatch):
    """An experiment that would fail as soon as it had trained something."""
    base = QUICK.changed(train_size=20, test_size=10, recipe={"epochs": 1, "batch_size": 10})
    conditions = grid(kind={"plain": {}, "short": {"recipe": {"epochs": 1}}})
    experiment = Experiment(measure_nothing, ("kind",), {"quick": Scale(base, conditions)})
    monkeypatch.setitem(EXPERIMENTS, "tiny", experiment)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "tinny"}, "name must be one of observation, "),
        ({"name": "tinny"}, "got 'tinny'; did you mean 'tiny'?"),
        ({"scale": "huge"}, "scale must be one of quick, got 'huge'"),
        ({"dataset": "cifar11"}, "dataset must be one of synthetic, cifar10, cifar100, mnist, got"),
        ({"dropuot": 0.5}, "Settings has no 'dropuot'; did you mean 'dropout'?"),
        ({"recipe": {"lrr": 1}}, "Recipe has no 'lrr'; did you mean 'lr'?"),
        ({"radii": (-1,)}, "radii must hold numbers of at least 0, got -1"),
        ({"components": ("hihg",)}, "components must be of low, high, "),
        ({"epochs": (2, 1)}, "epochs must ascend, each once, got (2, 1)"),
        (
            {"recipe": {"epochs": 3}, "epochs": (2, 3)},
            "condition {'kind': 'short'}: epochs must name one from 1 to 1, got (2, 3)",
        ),
        ({"seeds": 0}, "seeds must be at least one and all different, got 0"),
        ({"seeds": []}, "seeds must be at least one and all different, got []"),
        ({"seeds": [1, 2, 1]}, "seeds must be at least one and all different, got [1, 2, 1]"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"jobs": -1}, "jobs must be at least 1, got -1"),
    ],
)
def test_a_run_refuses_before_anything_is_trained(arguments, text, tmp_path):
    with pytest.raises(ValueError, match=re.escape(text)):
        run(**{"name": "tiny", "progress": False, "folder": tmp_path / "runs"} | arguments)
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.usefixtures("tiny")
def test_the_tiny_experiment_is_one():
    with pytest.raises(RuntimeError, match="Trained"):  # so that refusals above mean something
        run("tiny", progress=False, jobs=1, seeds=1)


# The experiments themselves ------------------------------------------------------------------


@each_scale
def test_every_experiment_can_be_built(name, scale):
    experiment, built = EXPERIMENTS[name], set()
    for condition in catalogue.scale(name, scale).each():
        own = condition.settings
        if isinstance(own, DetectorSettings):  # built in test_study_detection
            continue
        assert isinstance(own.recipe, Recipe)
        network = (own.model, own.norm, own.dropout, own.width, own.kernel_size, own.normalise)
        if network not in built:
            names = ("norm", "dropout", "width", "kernel_size", "normalise")
            models.build(own.model, num_classes=10, **{n: getattr(own, n) for n in names})
            built.add(network)
    assert tuple(experiment.scales) == SCALES
    assert set(experiment.claims) <= claims().keys()


@each_scale
def test_conditions_can_be_told_apart(name, scale):
    experiment = EXPERIMENTS[name]
    conditions = list(catalogue.scale(name, scale).each())
    labels = [condition.label for condition in conditions]
    assert {tuple(label) for label in labels} == {tuple(labels[0])}  # the same keys
    assert set(labels[0]) <= set(experiment.keys)
    own = conditions[0].settings
    by_epoch = own.epochs is not None or hasattr(own, "band_epochs")
    assert ("epoch" in experiment.keys) == by_epoch
    # By what they are, too, and so by their identity.
    assert len({digest(as_json(c.settings)) for c in conditions}) == len(conditions)
    # By the names of their files, on disks that ignore the case and with signs left out.
    titles = {re.sub("[^a-z0-9.]+", "-", ", ".join(map(str, k.values())).lower()) for k in labels}
    assert len(titles) == len(labels)


@each_scale
def test_epochs_are_measured_to_the_last(name, scale):
    for condition in catalogue.scale(name, scale).each():
        own = condition.settings
        if own.epochs is not None:
            assert own.epochs[0] >= 1
            assert own.recipe.epochs in own.epochs, condition.label


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_one_experiment_asks_the_same_at_every_scale(name):
    """The keys of a result are the same, whatever its scale."""
    kinds = {type(scale.base) for scale in EXPERIMENTS[name].scales.values()}
    assert len(kinds) == 1
    for scale in EXPERIMENTS[name].scales.values():
        assert set(getattr(scale.base, "components", ())) <= set(COMPONENTS)
        assert as_json(scale.base) == json.loads(json.dumps(as_json(scale.base)))


def test_every_room_has_experiments_of_its_own():
    names = [
        name
        for room in catalogue.ROOMS
        for name in import_module(f"hfc.study.{room}.experiments").EXPERIMENTS
    ]
    assert names == list(EXPERIMENTS)
    assert len(set(names)) == len(names)


# Identity ----------------------------------------------------------------------------------


def test_identity_is_all_that_numbers_depend_on(monkeypatch):
    measure = EXPERIMENTS["heuristics"].measure
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    own = seeded(settings(), 3)
    first = identity(own, measure, "code", "files")
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert identity(seeded(settings(), 3), measure, "code", "files") == first
    others = [
        identity(seeded(settings(), 4), measure, "code", "files"),
        identity(own, EXPERIMENTS["planted"].measure, "code", "files"),
        identity(own, measure, "other", "files"),
        identity(own, measure, "code", "other"),
        *(
            identity(own.changed(**changes), measure, "code", "files")
            for changes in (
                {"dropout": 0.5}, {"radii": (4,)}, {"epochs": (6,)}, {"recipe": {"lr": 0.2}},
                {"train_size": 10}, {"dataset": "cifar10"}, {"hfc_strength": 0.5},
            )
        ),
    ]  # fmt: skip
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    others.append(identity(own, measure, "code", "files"))
    assert len({first, *others}) == len(others) + 1
