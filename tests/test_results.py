"""``hfc.results``: intervals, files that are whole or refused, and verdicts that follow rules."""

import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hfc import files, results, verdicts
from hfc.results import Result, code_hash, load, mean_interval, provenance, save
from hfc.verdicts import claims, scoreboard

HFC = Path(results.__file__).parent


# Intervals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [  # Student's t for 95 %: 12.706, 4.303 and 2.776 with 1, 2 and 4 degrees of freedom
        ([1, 3], (2, 2 - 12.7062, 2 + 12.7062)),
        ([1, 2, 3], (2, 2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5)),
        ([2, 4, 4, 4, 6], (4, 4 - 2.77645 * (2 / 5) ** 0.5, 4 + 2.77645 * (2 / 5) ** 0.5)),
        ([5, 5, 5], (5, 5, 5)),
    ],
)
def test_mean_interval_by_hand(values, wanted):
    assert mean_interval(values) == pytest.approx(wanted, rel=1e-4)


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=9).filter(lambda v: np.std(v) > 1e-3),
    st.floats(0.5, 0.999),
)
def test_mean_interval_by_scipy(values, level):
    error = stats.sem(values)
    low, high = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=error)
    found = mean_interval(values, level=level)
    assert found == pytest.approx((np.mean(values), low, high), rel=1e-6, abs=1e-6)


def test_one_value_has_no_interval():
    mean, low, high = mean_interval([7])
    assert mean == 7
    assert math.isnan(low)
    assert math.isnan(high)


def test_no_values():
    with pytest.raises(ValueError, match="values must hold at least one number, got none"):
        mean_interval([])


# Files ------------------------------------------------------------------------------------


def test_whole_files(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    assert files.write_whole(str(path), b"one") == path
    assert path.read_bytes() == b"one"
    files.write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def failing(*_):
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


# Results ----------------------------------------------------------------------------------


def made(seeds=(0, 1, 2), **changes):
    rng = np.random.default_rng(0)
    units = [
        {
            "seed": seed,
            "records": [
                {"copies": copies, "radius": radius, "right": int(rng.integers(99)), "share": 0.5}
                for copies in ("raw", "mean added")
                for radius in (4.0, 0.5)
            ],
            "training": {"seconds": 1.5},
            "provenance": {"machine": "é"},
        }
        for seed in seeds
    ]
    values = {
        "experiment": "watching",
        "scale": "quick",
        "dataset": "synthetic",
        "settings": {"radii": [4.0, 0.5], "norm": None},
        "keys": ["copies", "radius"],
        "units": units,
    }
    return Result(**values | changes)


def counted(numbers, key="epoch"):
    """A result with one whole-number key."""
    units = [
        {"seed": seed, "records": [{key: k, "loss": x} for k, x in enumerate(row)]}
        for seed, row in enumerate(numbers)
    ]
    return made(keys=[key], units=units)


def loaded(folder):
    return load("watching", scale="quick", dataset="synthetic", folder=folder)


def test_table():
    result = made(seeds=(5, 2))
    assert result.seeds == [2, 5]
    assert result.table.index.names == ["seed", "copies", "radius"]
    for unit in result.units:
        for record in unit["records"]:
            place = (unit["seed"], record["copies"], record["radius"])
            assert result.table.loc[place, "right"] == record["right"]
    assert len(result.table) == 8


def test_summary_is_that_of_the_table():
    result = made()
    summary = result.summary
    # In the order of the records, not of the alphabet.
    assert summary.index.tolist() == [(c, r) for c in ("raw", "mean added") for r in (4.0, 0.5)]
    for k, (copies, radius) in enumerate(summary.index):
        values = [unit["records"][k]["right"] for unit in result.units]
        row = summary.loc[(copies, radius)]
        half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / 3**0.5
        wanted = (np.mean(values), np.mean(values) - half, np.mean(values) + half)
        assert tuple(row["right"][["mean", "low", "high"]]) == pytest.approx(wanted)
        assert tuple(row["share"]) == (0.5, 0.5, 0.5)


def test_summary_with_one_key():
    summary = counted([[1, 2, 3], [3, 4, 5]]).summary
    assert summary.index.tolist() == [0, 1, 2]
    assert summary["loss"]["mean"].tolist() == [2, 3, 4]


def of_conditions(values, keys):
    """A result with a unit for each seed and condition; ``values[seed][condition][place]``."""
    units = [
        {
            "seed": seed,
            "records": [
                {"heuristic": f"h{c}", "epoch": p // 2, "radius": [None, 0.5][p % 2]}
                | {"share": x, "double": 2 * x}
                for p, x in enumerate(places)
            ],
        }
        for seed, conditions in enumerate(values)
        for c, places in enumerate(conditions)
    ]
    for unit in units:
        unit["records"] = [
            {k: v for k, v in r.items() if k in (*keys, "share", "double")} for r in unit["records"]
        ]
    return made(keys=list(keys), units=units)


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 4),
    st.sampled_from([1, 1e-6, 1e4]), st.integers(0, 999),
)  # fmt: skip
def test_summary_is_the_interval_of_each_group(seeds, conditions, places, unit, rng_seed):
    values = unit * np.random.default_rng(rng_seed).normal(size=(seeds, conditions, places))
    summary = of_conditions(values.tolist(), ("heuristic", "epoch", "radius")).summary
    assert list(summary) == [
        (value, bound) for value in ("share", "double") for bound in ("mean", "low", "high")
    ]
    assert summary.index.names == ["heuristic", "epoch", "radius"]
    assert len(summary) == conditions * places
    for k, (_, row) in enumerate(summary.iterrows()):  # in the order of the records
        c, p = divmod(k, places)
        assert summary.index[k][:2] == (f"h{c}", p // 2)
        for value, factor in (("share", 1), ("double", 2)):
            wanted = mean_interval((factor * values[:, c, p]).tolist())
            found = tuple(row[value][["mean", "low", "high"]])
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9 * unit, nan_ok=True)
            assert math.isnan(found[1]) == math.isnan(found[2]) == (seeds == 1)


def test_one_seed_has_no_interval_whatever_the_keys():
    for result in (made(seeds=(3,)), counted([[1, 2.5]])):
        summary = result.summary
        assert summary.xs("mean", axis=1, level=1).notna().all(axis=None)
        for bound in ("low", "high"):
            assert summary.xs(bound, axis=1, level=1).isna().all(axis=None)


def test_a_seed_that_lacks_a_place_does_not_count_there():
    result = counted([[1, 2, 3], [3, 4]])
    assert result.summary["loss"]["mean"].tolist() == [2, 3, 3]
    assert result.summary["loss"]["low"].isna().tolist() == [False, False, True]


def test_seeds_are_told_once():
    units = made(seeds=(5, 2)).units
    assert made(units=[*units, *units]).seeds == [2, 5]
    values = np.zeros((3, 4, 1)).tolist()
    assert of_conditions(values, ("heuristic",)).seeds == [0, 1, 2]


@pytest.mark.parametrize(
    "result", [made(), made(seeds=(3,)), counted([[1, 2.5], [3, 4]])], ids=["3", "1", "one key"]
)
def test_round_trip(result, tmp_path):
    path = save(result, tmp_path)
    assert path == tmp_path / "watching" / "quick-synthetic.json"
    assert loaded(tmp_path) == result
    assert list(path.parent.iterdir()) == [path]
    before = path.read_bytes()
    save(loaded(tmp_path), tmp_path)
    assert path.read_bytes() == before


def test_stored_summary_matches_the_table(tmp_path):
    result = made()
    stored = json.loads(save(result, tmp_path).read_text())["summary"]
    for record in stored:
        row = result.summary.loc[(record["copies"], record["radius"])]
        for value in ("right", "share"):
            assert record[value] == row[value].to_dict()
    (only,) = json.loads(save(counted([[4]]), tmp_path).read_text())["summary"]
    assert only == {"epoch": 0, "loss": {"mean": 4, "low": None, "high": None}}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_not_saved(number, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(counted([[1.0, number]]), tmp_path)
    assert not list(tmp_path.rglob("*.json*"))


def test_a_failed_save_leaves_the_old_result(tmp_path, monkeypatch):
    path = save(made(), tmp_path)
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="no space left"):
        save(made(seeds=(7,)), tmp_path)
    assert loaded(tmp_path) == made()
    assert list(path.parent.iterdir()) == [path]


def edited(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new, 1)

    return edit


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (edited('"share": 0.5', '"share": 0.6'), "its numbers do not match its checksum"),
        (edited('"mean": 0.5', '"mean": 0.6'), "its numbers do not match its checksum"),
        (edited('"seed": 0', '"seed": 3'), "its numbers do not match its checksum"),
        (edited('"norm": null', '"norm": "batch"'), "its numbers do not match its checksum"),
        (edited('"sha256"', '"sha"'), "'sha256'"),
        (lambda text: text[: len(text) // 2], ""),
        (lambda text: "", ""),
        (lambda text: "[]", ""),
    ],
)
def test_damaged(damage, reason, tmp_path):
    path = save(made(), tmp_path)
    path.write_text(damage(path.read_text()))
    text = f"{re.escape(str(path))} is damaged: {re.escape(reason)}.*; run the experiment again"
    with pytest.raises(ValueError, match=text):
        loaded(tmp_path)


def test_missing(tmp_path):
    command = f"python -m hfc reproduce watching --scale quick --data synthetic --folder {tmp_path}"
    with pytest.raises(FileNotFoundError, match=f"no result .*{re.escape(command)}$"):
        loaded(tmp_path)


# Provenance -------------------------------------------------------------------------------


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """A copy of the code to change; ``hashed()`` is its hash."""
    for path in HFC.glob("*.py"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(results, "__file__", str(tmp_path / "results.py"))

    def hashed():
        code_hash.cache_clear()
        return code_hash()

    yield tmp_path, hashed
    code_hash.cache_clear()


def test_code_hash_sees_only_what_code_does(rooms):
    folder, hashed = rooms
    code_hash.cache_clear()
    before = hashed()
    assert re.fullmatch("[0-9a-f]{16}", before)
    path = folder / "training.py"
    text = path.read_text()
    path.write_text("# A comment.\n\n" + text.replace("One training loop", "A training loop"))
    assert path.read_text().count("A training loop") == 1
    assert hashed() == before
    path.write_text(text.replace("steps = len(data) // size", "steps = (len(data)\n   // size)"))
    assert path.read_text() != text
    assert hashed() == before
    path.write_text(text.replace("momentum=0.9", "momentum=0.8"))
    assert hashed() != before
    path.write_text(text)
    assert hashed() == before
    # Rooms that come after the numbers do not count.
    (folder / "figures.py").write_text("")
    assert hashed() == before


@pytest.mark.parametrize(
    "room", ["frequency", "data", "models", "augment", "training", "evaluation"]
)
def test_code_hash_sees_every_room(room, rooms):
    folder, hashed = rooms
    before = hashed()
    with (folder / f"{room}.py").open("a") as file:
        file.write("\nADDED = 1\n")
    assert hashed() != before


def test_provenance():
    origin = provenance(torch.device("cpu"))
    assert origin["device"] == "cpu"
    assert origin["threads"] == torch.get_num_threads()
    assert origin["code"] == code_hash()
    assert origin["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert origin["versions"].keys() == {"python", "torch", "torchvision", "numpy"}
    assert json.loads(json.dumps(origin)) == origin
    assert set(origin) == {"device", "threads", "machine", "versions", "commit", "code"}


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "BOOK", tmp_path / "book")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    commit = results._commit.__wrapped__
    assert commit() is None
    git(tmp_path, "init", "--quiet")
    assert commit() is None
    (tmp_path / "hfc").mkdir()
    (tmp_path / "hfc" / "room.py").write_text("x = 1\n")
    git(tmp_path, "add", "hfc")
    git(tmp_path, "commit", "--quiet", "--message", "First")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "notes").write_text("not code")
    assert commit() == head[:12]
    (tmp_path / "hfc" / "room.py").write_text("x = 2\n")
    assert commit() == head[:12] + "+"
    # A process goes on with the code it began with, so it keeps the commit, too.
    results._commit.cache_clear()
    before = provenance("cpu")["commit"]
    git(tmp_path, "commit", "--quiet", "--all", "--message", "Second")
    assert provenance("cpu")["commit"] == before == head[:12] + "+"
    results._commit.cache_clear()


# The scoreboard ---------------------------------------------------------------------------


def observed(*seeds, radius=4.0, copies="raw", n=10_000):
    """A result of ``observation``; a seed is (only HFC right, and original right, constant)."""
    nothing = {"only_high": 0, "both": 0, "only_high_and_original": 0, "high_constant": 1000}
    nothing["n"] = n
    units = []
    for seed, (only_high, and_original, constant) in enumerate(seeds):
        telling = {
            "only_high": only_high - 100,
            "both": 100,
            "only_high_and_original": and_original,
            "high_constant": constant,
            "n": n,
        }
        records = [
            {"copies": c, "radius": r} | (telling if (c, r) == (copies, radius) else nothing)
            for c in ("raw", "mean added")
            for r in (2.0, 4.0, 8.0)
        ]
        units.append({"seed": seed, "records": records})
    return made(experiment="observation", units=units)


def verdict_on(result, monkeypatch):
    asked = []

    def stored(experiment, **where):
        asked.append(where)
        if experiment == "observation":
            return result
        raise FileNotFoundError

    monkeypatch.setattr(verdicts, "load", stored)
    board = scoreboard(scale="paper", dataset="mnist")
    assert all(where == {"scale": "paper", "dataset": "mnist"} for where in asked)
    assert board.loc["C23", "verdict"] == "adopted"
    return board.loc["C02", "verdict"]


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (observed(*[(3000, 700, 1000)] * 3), "reproduced"),
        (observed((3000, 650, 1000), (3100, 655, 1000), (2900, 645, 1000)), "reproduced"),
        (observed(*[(3000, 700, 1000)] * 3, radius=8.0), "reproduced"),
        (observed(*[(600, 140, 200)] * 3, n=2000), "reproduced"),  # 700 of 10,000
        # Fewer than the paper's 600, or not surely as many.
        (observed(*[(3000, 500, 1000)] * 3), "partly"),
        (observed((3000, 500, 1000), (3000, 900, 1000), (3000, 700, 1000)), "partly"),
        (observed(*[(700, 400, 200)] * 3, n=20_000), "partly"),
        # No better than a constant class, or not surely.
        (observed(*[(1000, 700, 1000)] * 3), "not"),
        (observed(*[(900, 700, 1000)] * 3), "not"),
        (observed((1100, 700, 1000), (1400, 700, 1000), (900, 700, 1000)), "not"),
        (observed(*[(3000, 0, 1000)] * 3), "not"),  # none of these is right on the original
        # At a radius below 4 it is nearly the image itself; with the mean it is not the paper's.
        (observed(*[(8000, 5000, 1000)] * 3, radius=2.0), "not"),
        (observed(*[(8000, 5000, 1000)] * 3, copies="mean added"), "not"),
    ],
)
def test_verdict_on_the_observation(result, verdict, monkeypatch):
    assert verdict_on(result, monkeypatch) == verdict


def test_no_result_no_verdict(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(verdicts, "load", missing)
    board = scoreboard()
    assert board.loc["C02", "verdict"] == "not tested"
    assert board.loc["C23", "verdict"] == "not tested"
    assert board.loc["C01", "verdict"] == "reproduced"
    assert board["statement"].str.len().min() > 20


def test_a_damaged_result_is_no_verdict(monkeypatch):
    def damaged(*_, **__):
        raise ValueError("it is damaged")

    monkeypatch.setattr(verdicts, "load", damaged)
    with pytest.raises(ValueError, match="it is damaged"):
        scoreboard()


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("radial_mask", lambda h, w, r: results_mask(h, w, r, closed=False)),
        ("radial_mask", lambda h, w, r: results_mask(h, w, r - 0.1)),
        ("split", lambda x, r: (x, x)),
        ("split", lambda x, r: (x - 0.01, torch.zeros_like(x))),
    ],
    ids=["open", "smaller", "too much", "too little"],
)
def test_a_broken_definition_is_seen(name, broken, monkeypatch):
    monkeypatch.setattr(verdicts, name, broken)
    assert scoreboard(scale="none").loc["C01", "verdict"] == "not"


results_mask = verdicts.radial_mask


def test_claims():
    entries = claims()
    assert entries.keys() >= {"C01", "C02", "C23"}
    for entry in entries.values():
        assert entry["status"] in {"S", "D", "M"}
        assert {"source", "statement", "rule"} <= entry.keys()
    assert list(scoreboard(scale="none").index) == list(entries)
    blog = entries["C02"]["blog"]
    for row in blog["sweep"]:
        cells = dict(zip(blog["columns"], row, strict=True))
        assert sum(cells.values()) - cells["radius"] == 10_000


# The committed results --------------------------------------------------------------------

COMMITTED = sorted((results.BOOK / "results").glob("*/*.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_committed_result(path):
    scale, dataset = path.stem.split("-", 1)
    result = load(path.parent.name, scale=scale, dataset=dataset)
    assert len(result.seeds) >= 3
    conditions = result.settings.get("conditions", [[{}, {}]])  # older results had one
    assert len(result.units) == len(result.seeds) * len(conditions)
    assert len(result.table) == len(result.summary) * len(result.seeds)
    assert result.settings["dataset"] == dataset
    for unit in result.units:
        origin = unit["provenance"]
        assert set(origin["versions"]) == {"python", "torch", "torchvision", "numpy"}
        assert re.fullmatch(r"[0-9a-f]{12}\+?", origin["commit"])
        for name in ("code", "data"):
            assert re.fullmatch("[0-9a-f]{16}", origin[name])
        assert origin["device"]
        assert origin["machine"]
        assert origin["threads"] >= 1
        assert origin["seconds"] > 0
