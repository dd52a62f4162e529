"""``hfc.study.results``: two files that are one result, or refused; and whole writes."""

import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfc import files
from hfc.study import catalogue, results
from hfc.study.code import digest
from hfc.study.kinds import embedded
from hfc.study.results import Result, Unit, load, merged, save
from hfc.study.verdict import claims
from hfc.study.wanted import wanted

ROOT = Path(__file__).parents[1]


# Whole files -------------------------------------------------------------------------------


def test_whole_files(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    assert files.write_whole(str(path), b"one") == path
    assert path.read_bytes() == b"one"
    files.write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def failing(*_, **__):
    raise OSError("no space left")


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_failed_write_changes_nothing(step, tmp_path, monkeypatch):
    path = files.write_whole(tmp_path / "file", b"before")
    monkeypatch.setattr(os, step, failing)
    with pytest.raises(OSError, match="no space left"):
        files.write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_bytes_is_not_written(tmp_path):
    with pytest.raises(TypeError):
        files.write_whole(tmp_path / "file", "text")
    assert not list(tmp_path.iterdir())


def test_old_halves_go_and_young_ones_stay(tmp_path):
    for days, name in ((2, ".file.abcdefgh"), (0, ".file.ijklmnop"), (2, ".other.abcdefgh")):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, 2 * (time.time() - days * 86_400,))
    files.write_whole(tmp_path / "file", b"whole")
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [".file.ijklmnop", ".other.abcdefgh", "file"]


# Results that are made up --------------------------------------------------------------------

NETS = ({"net": "plain"}, {"net": "25 % mixup"})


def unit(seed, label=NETS[0], *, shift=0.0, **changes):
    """One unit: two radii, an accuracy with flags, a count, a text."""
    records = [
        label
        | {"radius": radius, "accuracy": (seed + 1) / 7 + shift, "n": 40, "flags": flags}
        | {"note": "3"}
        for radius, flags in ((4.0, ""), (0.5, "left-ball; rising-accuracy"))
    ]
    origin = {"device": "cpu", "machine": "é", "data": f"data-{seed}", "seconds": 1.5 + seed}
    facts = {"parameters": 3, "train_accuracy": 0.1, "running_accuracy": [0.1], "seconds": 1.0}
    own = Unit(seed, label, records, facts, origin, f"identity-{seed}")
    return dataclasses.replace(own, **changes)


def made(seeds=(0, 1, 2), labels=NETS, **changes):
    values = {
        "experiment": "watching",
        "scale": "quick",
        "dataset": "synthetic",
        "settings": {"radii": [4.0, 0.5], "norm": None, "conditions": [[k, {}] for k in labels]},
        "keys": ("net", "radius"),
        "units": [unit(seed, label) for seed in seeds for label in labels],
    }
    return Result(**values | changes)


def loaded(folder, scale="quick"):
    return load("watching", scale=scale, dataset="synthetic", folder=folder)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# A result ----------------------------------------------------------------------------------


def test_table_has_a_row_for_each_record():
    result = made(seeds=(5, 2))
    assert result.seeds == [2, 5]
    assert result.table.to_dict("records") == [
        {"seed": unit.seed} | record for unit in result.units for record in unit.records
    ]
    assert result.minutes == pytest.approx(2 * (6.5 + 3.5) / 60)


def test_a_result_is_what_was_measured():
    result = made()
    part = result.at(net="plain", radius=4)
    assert part.accuracy.values == [1 / 7, 2 / 7, 3 / 7]
    assert result.accuracy.keys == result["accuracy"].keys == ("net", "radius")
    assert result.without(net="plain").accuracy.keys == ("radius",)
    assert "⚑" in str(result.at(net="plain", radius=0.5).accuracy)
    assert "⚑" not in str(part.accuracy)
    assert repr(result) == "<Result: watching, quick, synthetic, seeds [0, 1, 2]>"
    with pytest.raises(AttributeError, match="'robust' was not measured"):
        result.robust  # noqa: B018


def test_facts_about_training():
    other = unit(3, NETS[1], training={"parameters": 5, "seconds": 2.0})
    result = made(units=[unit(0), unit(1), other])
    assert result.parameters(net="plain") == 3
    assert result.parameters(net="25 % mixup") == 5
    assert result.training("seconds", net="plain") == [1.0, 1.0]
    assert result.training("seconds") == [1.0, 1.0, 2.0]


def test_last_is_after_the_last_epoch():
    units = [
        unit(seed, {}, records=[{"epoch": e, "loss": float(e)} for e in (1, 2, 10)])
        for seed in (0, 1)
    ]
    assert made(keys=("epoch",), units=units).last.loss.values == [10, 10]


# Round trips -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [made(), made(seeds=(3,)), made(labels=({},), keys=("radius",)), made(seeds=(2, 0, 1))],
    ids=["3", "1", "no label", "any order"],
)
def test_round_trip(result, tmp_path):
    path = save(result, tmp_path)
    assert path == tmp_path / "watching" / "quick-synthetic.json"
    assert loaded(tmp_path) == result
    assert names(path.parent) == ["quick-synthetic.csv", "quick-synthetic.json"]
    before = [(path.parent / name).read_bytes() for name in names(path.parent)]
    save(loaded(tmp_path), tmp_path)
    assert [(path.parent / name).read_bytes() for name in names(path.parent)] == before


def test_the_files_are_for_people_and_git_too(tmp_path):
    path = save(made(), tmp_path)
    first, *lines = path.with_suffix(".csv").read_text().splitlines()
    assert first == "seed,net,radius,accuracy,n,flags,note"
    assert lines[0] == f"0,plain,4.0,{1 / 7!r},40,,3"
    assert len(lines) == 12
    text = path.read_text()
    assert '"machine": "é"' in text
    assert max(map(len, text.splitlines())) < 100
    assert text.count('"device"') == 1  # the same for all units


number = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
    st.integers(0, 10_000).map(lambda n: n / 10_000),
    st.floats(0, 1, width=32),
)
a_text = st.one_of(
    st.sampled_from(["3", "3.0", "nan", "NA", "None", "null", "True", "", " ", "-0", "1e5", "∞"]),
    st.sampled_from(["a,b", 'a "b"', "two\nlines", "tab\t", "\ufeffmark", "'", "#", " x "]),
    st.text(st.characters(exclude_categories=["C"]), max_size=6),
)
whole = st.integers(-(2**63), 2**63 - 1)


@st.composite
def a_result(draw):
    """Anything that can be measured: texts, whole numbers and floats as labels and numbers."""
    labels = draw(st.lists(a_text, min_size=1, max_size=3, unique=True))
    places = draw(st.lists(st.floats(0, 100), min_size=1, max_size=3, unique=True))
    seeds = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=3, unique=True))
    units = [
        unit(
            seed,
            {"net": label},
            records=[
                {"net": label, "radius": place, "share": draw(number), "high + mean": draw(number)}
                | {"n": draw(whole), "note": draw(a_text)}
                for place in places
            ],
        )
        for seed in seeds
        for label in labels
    ]
    return made(labels=[{"net": label} for label in labels], units=units)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a_result())
def test_every_digit_and_type_is_kept(tmp_path, result):
    save(result, tmp_path)
    found = loaded(tmp_path)
    assert found == result
    for one, other in zip(found.units, result.units, strict=True):
        for record, asked in zip(one.records, other.records, strict=True):
            assert list(record) == list(asked)
            for name, value in asked.items():
                assert type(record[name]) is type(value)
                assert repr(record[name]) == repr(value)  # -0.0 too


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "finite numbers, got NaN or infinity in 'accuracy'"),
        (math.inf, "finite numbers, got NaN or infinity in 'accuracy'"),
        (-math.inf, "finite numbers, got NaN or infinity in 'accuracy'"),
        (None, "finite numbers, got NaN or infinity in 'accuracy'"),
        ("a half", "numbers or texts, each column one of them, got others in 'accuracy'"),
        (True, "numbers or texts, each column one of them, got others in 'accuracy'"),
        ([0.5], "numbers or texts, each column one of them, got others in 'accuracy'"),
        (2**64, "numbers or texts, each column one of them, got others in 'accuracy'"),
    ],
)
def test_what_would_not_come_back_is_not_saved(value, text, tmp_path):
    odd = unit(1)
    odd.records[0]["accuracy"] = value
    with pytest.raises(ValueError, match=f"records must hold {re.escape(text)}"):
        save(made(units=[unit(0), odd]), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [True, None])
def test_nor_is_a_whole_column_of_something_else(value, tmp_path):
    odd = unit(1)
    for record in odd.records:
        record["note"] = value
    with pytest.raises(ValueError, match=r"records must hold numbers or texts, .* in 'note'"):
        save(made(units=[odd]), tmp_path)


def test_a_record_that_lacks_a_number_is_not_saved(tmp_path):
    odd = unit(1)
    del odd.records[0]["n"]
    with pytest.raises(ValueError, match=r"records must hold finite numbers, got NaN .* in 'n'"):
        save(made(units=[unit(0), odd]), tmp_path)


def test_without_records_what_is_left_is_the_cost(tmp_path):
    full = save(made(), tmp_path)
    assert save(made(), tmp_path, records=False) == full
    assert names(full.parent) == ["quick-synthetic.json"]
    cost = loaded(tmp_path)
    assert cost.minutes == made().minutes
    assert cost.seeds == [0, 1, 2]
    assert cost.settings == made().settings
    for kept, unit in zip(cost.units, made().units, strict=True):
        assert kept == dataclasses.replace(unit, records=[])
    save(made(), tmp_path)
    assert loaded(tmp_path) == made()


# More seeds ----------------------------------------------------------------------------------


def test_a_result_grows_in_order_of_seeds_and_conditions():
    grown = merged(made(seeds=(1, 4)), made(seeds=(0, 7)).units[::-1])
    assert [(u.seed, u.label["net"]) for u in grown.units] == [
        (seed, label["net"]) for seed in (0, 1, 4, 7) for label in NETS
    ]
    assert grown.units == made(seeds=(0, 1, 4, 7)).units


def test_its_own_units_go_first():
    old = [unit(1, label, shift=0.5) for label in NETS] + [unit(2, NETS[1], shift=0.5)]
    grown = merged(made(seeds=(1,)), old)
    assert grown.units == [*made(seeds=(1,)).units, old[-1]]
    assert merged(made(), []) == made()


# Damage ------------------------------------------------------------------------------------


def edited(old, new):
    def edit(content):
        assert old in content
        return content.replace(old, new, 1)

    return edit


def nested(content):
    return b"[" * 100_000


JSON_DAMAGE = {
    "a digit": edited(b'"seconds": 1.5', b'"seconds": 2.5'),
    "a seed": edited(b'"seed": 0', b'"seed": 3'),
    "a setting": edited(b'"norm": null', b'"norm": "batch"'),
    "an identity": edited(b"identity-0", b"identity-1"),
    "no checksum": edited(b'"sha256"', b'"sha"'),
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a list": lambda content: b"[]",
    "null": lambda content: b"null",
    "a number": lambda content: b"3",
    "a text": lambda content: b'"watching"',
    "nothing in it": lambda content: b"{}",
    "NaN": edited(b'"seconds": 1.5', b'"seconds": NaN'),
    "infinity": edited(b'"seconds": 1.5', b'"seconds": 1e999'),
    "not UTF-8": edited(b'"device": "cpu"', b'"device": "\xff\xfe"'),
    "zeros": lambda content: bytes(len(content)),
    "deep": nested,
    "deep inside": edited(b'"norm": null', b'"norm": ' + b"[" * 50_000 + b"]" * 50_000),
}
CSV_DAMAGE = {
    "a digit": edited(b"0.1428", b"0.1429"),
    "a line": lambda content: content[: content.rindex(b"\n", 0, -1) + 1],
    "a line twice": lambda content: content + content.splitlines(keepends=True)[-1],
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "not UTF-8": lambda content: content + b"\xff",
    "another end of lines": lambda content: content.replace(b"\n", b"\r\n"),
    "a flag": edited(b"left-ball", b""),
}


def refused(folder, path):
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is damaged: ") as caught:
        loaded(folder)
    assert str(caught.value).endswith("; run the experiment again")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", JSON_DAMAGE.values(), ids=JSON_DAMAGE)
def test_a_damaged_json_file_is_refused(damage, tmp_path):
    path = save(made(), tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    refused(tmp_path, path)


@pytest.mark.parametrize("damage", CSV_DAMAGE.values(), ids=CSV_DAMAGE)
def test_a_damaged_csv_file_is_refused(damage, tmp_path):
    path = save(made(), tmp_path)
    lines = path.with_suffix(".csv")
    lines.write_bytes(damage(lines.read_bytes()))
    refused(tmp_path, path)


def test_records_that_are_gone_are_refused(tmp_path):
    path = save(made(), tmp_path)
    path.with_suffix(".csv").unlink()
    refused(tmp_path, path)


@pytest.mark.parametrize("endings", [(".json",), (".csv",), (".json", ".csv")])
def test_another_result_in_its_place_is_refused(endings, tmp_path):
    """As when a quick result is copied over that of scale cpu."""
    path = save(made(scale="cpu", units=[unit(0, shift=0.1)]), tmp_path)
    other = save(made(), tmp_path)
    for ending in endings:
        shutil.copy(other.with_suffix(ending), path.with_suffix(ending))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is damaged: ") as caught:
        loaded(tmp_path, "cpu")
    if ".json" in endings:
        assert "it holds the result watching, quick, synthetic" in str(caught.value)
    assert loaded(tmp_path) == made()


def as_json(content):
    try:
        return json.loads(content)
    except ValueError:
        return None


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_seen(tmp_path, data):
    path = save(made(seeds=(0,)), tmp_path)
    file = path.with_suffix(data.draw(st.sampled_from([".json", ".csv"])))
    whole = file.read_bytes()
    content = bytearray(whole)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    if file == path and as_json(bytes(content)) == as_json(whole):  # its layout tells nothing
        assert loaded(tmp_path) == made(seeds=(0,))
    else:
        refused(tmp_path, path)


def test_missing(tmp_path):
    command = f"python -m hfc reproduce watching --scale quick --data synthetic --folder {tmp_path}"
    with pytest.raises(FileNotFoundError, match=f"no result .*{re.escape(command)}$"):
        loaded(tmp_path)


# Interrupted ---------------------------------------------------------------------------------

OLD, NEW = made(seeds=(0,)), made(seeds=(0, 1))


def failing_at(step, moment):
    """As ``os.<step>``, but the n-th call fails."""
    call, seen = getattr(os, step), []

    def act(*arguments):
        seen.append(arguments)
        if len(seen) == moment:
            raise OSError("no space left")
        return call(*arguments)

    return act


# Each save replaces three times: records beside the old ones, settings, records in their place.
@pytest.mark.parametrize("before", [None, OLD])
@pytest.mark.parametrize(
    ("step", "moment", "is_new"),
    [("fsync", 1, False), ("replace", 1, False), ("fsync", 2, False), ("replace", 2, False),
     ("replace", 3, True)],
)  # fmt: skip
def test_a_failed_save_leaves_a_whole_result(step, moment, is_new, before, tmp_path, monkeypatch):
    if before is not None:
        save(before, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing_at(step, moment))
        with pytest.raises(OSError, match="no space left"):
            save(NEW, tmp_path)
    wanted = NEW if is_new else before
    if wanted is None:
        with pytest.raises(FileNotFoundError):
            loaded(tmp_path)
    else:
        assert loaded(tmp_path) == wanted
        if is_new:  # reading it has mended it
            kept = ["quick-synthetic.csv", "quick-synthetic.json"]
            assert names(tmp_path / "watching") == kept
        assert loaded(tmp_path) == wanted
    save(NEW, tmp_path)
    assert loaded(tmp_path) == NEW
    assert names(tmp_path / "watching") == ["quick-synthetic.csv", "quick-synthetic.json"]


def test_an_interrupted_save_of_the_cost_leaves_a_whole_result(tmp_path, monkeypatch):
    save(OLD, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing_at("replace", 1))
        with pytest.raises(OSError, match="no space left"):
            save(NEW, tmp_path, records=False)
    assert loaded(tmp_path) == OLD
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing)  # the records are still there
        with pytest.raises(OSError, match="no space left"):
            save(NEW, tmp_path, records=False)
    assert loaded(tmp_path).seeds == NEW.seeds
    assert not any(unit.records for unit in loaded(tmp_path).units)


KILLED = """
import sys
from tests.kills import load_all_of_torch, until_done
from tests.test_study_results import NEW, OLD, loaded, save

folder = sys.argv[1]
save(OLD, folder)
states = []

def work():
    save(NEW, folder)

def look():
    states.append(loaded(folder))
    assert states[-1] in (OLD, NEW)

load_all_of_torch()
assert until_done(work, after=look) >= 3
assert states[0] == OLD and states[-1] == NEW
"""


@pytest.mark.slow
def test_killed_while_it_saves(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert loaded(tmp_path) == NEW


WRITING = """
import sys
from tests.test_study_results import NEW, OLD, save

print("ready", flush=True)
while True:
    for result in (OLD, NEW):
        save(result, sys.argv[1])
"""


@pytest.mark.slow
def test_what_somebody_else_is_writing_can_be_read(tmp_path):
    save(OLD, tmp_path)
    command = [sys.executable, "-c", WRITING, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout.readline() == "ready\n"
            seen = [loaded(tmp_path).seeds for _ in range(300)]
            assert writer.poll() is None
        finally:
            writer.kill()
    assert {tuple(seeds) for seeds in seen} == {(0,), (0, 1)}


# The committed results ---------------------------------------------------------------------

COMMITTED = sorted(results.RESULTS.glob("*/*.json"))


def committed(path):
    scale, dataset = path.stem.split("-", 1)
    return load(path.parent.name, scale=scale, dataset=dataset)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_committed_result(path):
    result, (scale, _) = committed(path), path.stem.split("-", 1)
    experiment = catalogue.experiment(path.parent.name)
    assert result.keys == experiment.keys
    assert len(result.seeds) >= 3
    labels = [label for label, _ in result.settings["conditions"]]
    now = [condition.label for condition in catalogue.scale(path.parent.name, scale).each()]
    assert [list(label) for label in labels[:1]] == [list(label) for label in now[:1]]
    if any(unit.identity for unit in result.units):  # older ones may have other conditions
        assert labels == now
    told = [(unit.seed, digest(unit.label)) for unit in result.units]
    assert len(set(told)) == len(told)
    for label in labels:
        seeds = [unit.seed for unit in result.units if unit.label == label]
        fewer = "adversarial" in label.values()  # training against an attack takes long
        assert seeds == (result.seeds[: len(seeds)] if fewer else result.seeds)
        assert len(seeds) >= 3
    counts = {(digest(unit.label), len(unit.records)) for unit in result.units}
    assert len(counts) == len(labels)  # of one condition all seeds have as many
    for unit in result.units:
        assert unit.training["parameters"] > 0
        origin = unit.provenance
        assert set(origin["versions"]) == {"python", "torch", "torchvision", "numpy"}
        assert re.fullmatch(r"[0-9a-f]{12}\+?", origin["commit"])
        for name in ("code", "data"):
            assert re.fullmatch("[0-9a-f]{16}", origin[name])
        assert origin["device"]
        assert origin["machine"]
        assert origin["threads"] >= 1
        assert origin["seconds"] > 0
    if scale == "quick":  # the chapters compute these anew
        assert result.table.empty or "seed" not in result.table
    else:
        assert len(result.table) == sum(len(unit.records) for unit in result.units)
        assert set(result.measured.keys) <= set(experiment.keys)
        for column in result.columns:
            assert np.all(result.table[column].notna())


def test_every_experiment_has_a_reference_result_and_its_cost():
    stored = {(path.parent.name, path.stem) for path in COMMITTED}
    awaited = {run.experiment for run in wanted() if run.scale == "cpu"}
    for name in catalogue.experiments():
        reference = f"cpu-{catalogue.reference_data(name)}"
        assert (name, reference) in stored or name in awaited
        if (name, reference) in stored:
            quick = catalogue.experiment(name).scales.get("quick")
            cost = None if quick is None else f"quick-{embedded(quick.base)}"
            assert ((name, cost) in stored) == (name != "people")
    assert {name for name, _ in stored} <= catalogue.experiments().keys()
    for path in results.RESULTS.glob("*/*.csv"):
        assert path.with_suffix(".json") in COMMITTED


def test_claims_name_experiments_and_these_their_claims():
    for name, claim in claims().items():
        if "others" in claim:  # it looks across experiments that are there for other claims
            assert {claim["experiment"], *claim["others"]} <= catalogue.experiments().keys()
            continue
        for experiment in (claim[key] for key in ("experiment", "also") if key in claim):
            assert name in catalogue.experiment(experiment).claims
    for experiment in catalogue.experiments().values():
        assert set(experiment.claims) <= claims().keys()


def test_a_quick_file_in_the_place_of_a_reference_result_is_refused(tmp_path):
    source = results.path(results.RESULTS, "tradeoff", "quick", "synthetic")
    target = results.path(tmp_path, "tradeoff", "cpu", "cifar10")
    target.parent.mkdir()
    shutil.copy(source, target)
    with pytest.raises(ValueError, match="is damaged: it holds the result tradeoff, quick, synth"):
        load("tradeoff", folder=tmp_path)
    content = json.loads(source.read_text())
    content |= {"scale": "cpu", "dataset": "cifar10"}  # by hand
    target.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is damaged: its numbers do not match its checksum"):
        load("tradeoff", folder=tmp_path)
