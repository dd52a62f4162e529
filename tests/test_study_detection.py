"""Detectors as experiments: settings, units, what is measured, rules, and chapter 6's tables."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
import torch
from PIL import Image

from hfc.__main__ import main
from hfc.data import DatasetError
from hfc.detection import make_scenes
from hfc.detection.sources import detection_digest
from hfc.study import detection
from hfc.study.catalogue import experiment, image_passes, is_attacked, reference_data, scale
from hfc.study.detection.measure import on_pictures
from hfc.study.detection.photograph import FILE
from hfc.study.detectors import DetectorRecipe, DetectorSettings, network
from hfc.study.kinds import DATASETS, content_digest, embedded, kind
from hfc.study.live import live, live_network
from hfc.study.results import Result, Unit, load
from hfc.study.run import run
from hfc.study.settings import QUICK, as_json
from hfc.study.verdict import claims, judged, reference

TINY = {"train_size": 16, "test_size": 6, "recipe": {"epochs": 1}, "shares": (0.5,)}
CHAPTER = Path(__file__).parents[1] / "book" / "06_detection.ipynb"


def settings(**changes):
    given = {"model": "small", "recipe": DetectorRecipe(epochs=1)}
    return DetectorSettings(**given | changes)


# Settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "yolo"}, "model must be one of small, lite0, resnet50, got 'yolo'"),
        ({"dataset": "cifar10"}, "dataset must be one of scenes, bccd, coco, got 'cifar10'"),
        ({"train_size": 0}, "train_size must be at least 1, got 0"),
        ({"shares": (0.5, 0.0)}, r"shares must be finite and above 0, got \(0.5, 0.0\)"),
        ({"radii": (float("inf"),)}, r"radii must be finite and above 0, got \(inf,\)"),
        ({"fine_tuned": (0.5,)}, "fine_tuned and fine_tune_epochs must come together"),
        ({"fine_tune_epochs": 2}, "fine_tuned and fine_tune_epochs must come together"),
        ({"recipe": DetectorRecipe(epochs=0)}, 'epochs can be 0 only for model "resnet50"'),
    ],
)
def test_settings_refuse(changes, said):
    with pytest.raises(ValueError, match=said):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": -1}, "epochs must be at least 0, got -1"),
        ({"epochs": 1, "batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"epochs": 1, "lr": 0.0}, "lr must be a finite number above 0, got 0.0"),
    ],
)
def test_recipes_refuse(changes, said):
    with pytest.raises(ValueError, match=said):
        DetectorRecipe(**changes)


def test_settings_change_and_tell_what_trains():
    one = settings(shares=(0.5,))
    other = one.changed(recipe={"lr": 1e-4}, shares=(0.25,))
    assert (other.recipe.lr, other.recipe.epochs, other.shares) == (1e-4, 1, (0.25,))
    assert one.training() == one.changed(shares=(0.25,), test_size=3).training()
    assert one.training() != other.training()
    with pytest.raises(ValueError, match="DetectorSettings has no 'norm'"):
        one.changed(norm="batch")
    assert "seed" not in as_json(one)["recipe"]


def test_who_computes_what():
    assert kind(QUICK).__name__ == "hfc.study.unit"
    assert kind(settings()).__name__ == "hfc.study.detectors"
    assert (embedded(QUICK), embedded(settings())) == ("synthetic", "scenes")
    assert {"synthetic", "cifar10", "scenes", "bccd", "coco"} <= set(DATASETS)
    assert content_digest("scenes") == content_digest("synthetic") == ""
    assert (reference_data("detection"), reference_data("heuristics")) == ("bccd", "cifar10")
    assert not is_attacked(settings())
    assert image_passes("detection", "cpu") == 20 * 205
    assert image_passes("detection", "paper") == 0


@pytest.mark.parametrize("name", ["quick", "cpu"])
def test_every_detector_can_be_built(name):
    (condition,) = scale("detection", name).each()
    made = network(condition.settings, classes=3)
    assert made.head.classification_head.num_classes == 3


def test_a_seed_decides_the_weights():
    def weights(seed):
        made = network(settings(recipe=DetectorRecipe(epochs=1, seed=seed)), classes=4)
        return torch.cat([p.detach().flatten() for p in made.parameters()])

    assert weights(1).equal(weights(1))
    assert not weights(1).equal(weights(2))


# Runs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def tiny(folder):
    return run(
        "detection",
        seeds=2,
        folder=folder,
        jobs=1,
        progress=False,
        fine_tuned=(0.5,),
        fine_tune_epochs=1,
        **TINY,
    )


def test_a_run_measures_originals_controls_and_components(tiny):
    at = tiny.at(training="originals")
    assert set(at.labels("copy")) == {
        "original",
        "mirrored",
        "brighter",
        "JPEG",
        "low",
        "high",
        "high + mean",
    }
    assert tiny.dataset == "scenes"
    assert at.at(copy="low", unit="Nyquist", radius=0.5).waves.values == [24, 24]
    original = at.at(copy="original", unit="none", radius=0)
    assert original.better.values == original["images, better"].values == [0, 0]
    assert set(tiny.measured.labels("training")) == {
        "originals",
        "tuned on originals",
        "tuned on LFC, 0.5",
    }


def test_a_run_is_kept_and_grows(tiny, folder, monkeypatch):
    monkeypatch.setattr("hfc.study.detectors.fit_detector", None)  # nothing is trained again
    changes = {"fine_tuned": (0.5,), "fine_tune_epochs": 1}
    again = run("detection", seeds=2, folder=folder, jobs=1, progress=False, **changes, **TINY)
    assert again.table.equals(tiny.table)


def test_networks_are_shared_by_what_only_measures_otherwise(tiny, folder, monkeypatch):
    """Another radius: the network is there already, so its training has no step to do."""
    seen = []

    def watched(model, data, **settings):
        seen.append(settings["resume"])
        return fit_detector(model, data, **settings)

    from hfc.study.detectors import fit_detector

    monkeypatch.setattr("hfc.study.detectors.fit_detector", watched)
    before = {path: path.stat().st_mtime_ns for path in (folder / "networks").iterdir()}
    run(
        "detection",
        seeds=1,
        folder=folder,
        jobs=1,
        progress=False,
        shrink=True,
        **TINY | {"shares": (0.25,)},
    )
    assert len(seen) == 1
    assert seen[0] in before
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_copy_that_is_the_original_detects_nothing_better():
    """At a radius that holds everything the LFC is the original, but for rounding."""
    one = settings(**{k: v for k, v in TINY.items() if k != "recipe"}).changed(shares=(3.0,))
    model = network(one, classes=4).eval()
    scenes = make_scenes("test", size=6)
    rows = {(r["copy"], r["radius"]): r for r in on_pictures(model, scenes, scenes, one)}
    assert rows["low", 3.0]["mAP"] == pytest.approx(rows["original", 0.0]["mAP"], abs=1e-4)
    assert rows["low", 3.0]["better, clearly"] == 0


def test_wrong_runs_are_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="dataset must be one of scenes, bccd, coco"):
        run("detection", dataset="cifar10", folder=tmp_path)
    with pytest.raises(ValueError, match="dataset must be one of synthetic"):
        run("heuristics", dataset="bccd", folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_unfamiliar_pictures_are_looked_for_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=r"cifar100.test is missing or holds no pictures"):
        run("unfamiliar", outside=("cifar100",), folder=tmp_path / "runs")
    with pytest.raises(ValueError, match="outside must be of crops"):
        run("unfamiliar", outside=("svhn",), folder=tmp_path / "runs")
    with pytest.raises(ValueError, match="few must be at least 20, got 3"):
        run("attacked", few=3, folder=tmp_path / "runs")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    changes = {"train_size": 800, "test_size": 300, "few": 60, "recipe": {"epochs": 5}}
    folder = tmp_path_factory.mktemp("watched")
    return run("attacked", seeds=1, folder=folder, jobs=1, progress=False, **changes)


def test_detectors_of_attacks_are_judged_by_what_fools(watched):
    assert set(watched.measured.labels("detector")) == {"disagreement", "amplitudes"}
    for record in watched.units[0].records:
        assert 0 < record["fooled"] <= 1
        for name in ("AUROC", "FPR95", "caught", "false alarms"):
            assert 0 <= record[name] <= 1
    two = watched.at(detector="disagreement", attack="adaptive", radius=8)
    assert two.caught.values[0] <= 0.2  # it keeps both answers alike
    clean = watched.at(detector="disagreement", radius=8)["false alarms"]
    assert len({clean.at(attack=name).values[0] for name in ("PGD", "adaptive")}) == 1


def coco(root, count=1):
    """A set in COCO's layout: pictures of 64x48 pixels, ids of categories with gaps."""
    pictures, notes = root / "coco" / "val2017", root / "coco" / "annotations"
    pictures.mkdir(parents=True)
    notes.mkdir()
    boxes = []
    for k in range(count):
        Image.new("RGB", (64, 48), (200, 30 * k, 0)).save(pictures / f"{k:012}.jpg")
        boxes.append({"id": k, "image_id": k, "category_id": 90, "bbox": [5, 5, 20, 20]})
    content = {
        "images": [
            {"id": k, "file_name": f"{k:012}.jpg", "width": 64, "height": 48} for k in range(count)
        ],
        "annotations": boxes,
        "categories": [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
    }
    (notes / "instances_val2017.json").write_text(json.dumps(content))


@pytest.mark.slow
def test_coco_with_torchvisions_weights(tmp_path, monkeypatch):
    """Weights of the right shape where torchvision keeps its own; the whole way to a result."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HFC_DATA", str(tmp_path))
    coco(tmp_path)
    from torchvision.models.detection import (
        RetinaNet_ResNet50_FPN_Weights as Weights,
    )
    from torchvision.models.detection import retinanet_resnet50_fpn

    made = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    torch.nn.init.zeros_(made.head.classification_head.cls_logits.bias)  # it finds something
    kept = tmp_path / "torch" / "hub" / "checkpoints" / Path(Weights.COCO_V1.url).name
    kept.parent.mkdir(parents=True)
    torch.save(made.state_dict(), kept)
    found = run(
        "detection",
        "paper",
        "coco",
        1,
        folder=tmp_path / "runs",
        jobs=1,
        progress=False,
        shares=(0.5,),
        radii=(8,),
    )
    assert set(found.measured.labels("unit")) == {"none", "Nyquist", "waves"}
    assert found.at(copy="low", unit="Nyquist").waves.values == [12]
    assert found.units[0].training["loss"] == []
    assert 0 <= found.at(copy="original").mAP.values[0] < 0.5


def test_the_command_line_takes_a_root(tmp_path, capsys):
    """Sets of detectors by name, and the folder that holds them."""
    arguments = ["reproduce", "detection", "--scale", "paper", "--data", "coco", "--seeds", "1"]
    status = main([*arguments, "--root", str(tmp_path), "--folder", str(tmp_path / "runs")])
    assert status == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/coco" in said
    assert "coco is missing or damaged" in said


@pytest.fixture(autouse=True)
def environment_is_left(monkeypatch):
    """``--root`` sets HFC_DATA for the workers; here it is put back."""
    monkeypatch.setenv("HFC_DATA", os.environ.get("HFC_DATA", ""))


def test_a_digest_tells_sets_apart(tmp_path):
    coco(tmp_path / "one")
    coco(tmp_path / "two", 2)
    first = detection_digest("coco", tmp_path / "one")
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first == detection_digest("coco", tmp_path / "one")
    assert first != detection_digest("coco", tmp_path / "two")
    boxes = tmp_path / "one" / "coco" / "annotations" / "instances_val2017.json"
    (tmp_path / "one" / "coco" / "train2017").mkdir()
    train = json.loads(boxes.read_bytes()) | {"images": [], "annotations": []}
    boxes.with_name("instances_train2017.json").write_text(json.dumps(train))
    assert first != detection_digest("coco", tmp_path / "one")  # what is learned counts, too
    first = detection_digest("coco", tmp_path / "one")
    picture = next((tmp_path / "one").rglob("*.jpg"))
    picture.write_bytes(picture.read_bytes() + b" ")
    assert first != detection_digest("coco", tmp_path / "one")
    picture.unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        detection_digest("coco", tmp_path / "one")


# Rules --------------------------------------------------------------------------------------


def made(name, rows, keys):
    """A result of three seeds whose numbers differ a little."""
    units = [
        Unit(
            seed,
            {},
            [row | {k: v + 0.001 * seed for k, v in row.items() if k not in keys} for row in rows],
            {},
            {},
        )
        for seed in range(3)
    ]
    return Result(name, "cpu", "made", {}, tuple(keys), units)


def detections(low=0.3, high=0.1, better=0.2, floor=0.05):
    keys = experiment("detection").keys
    rows = [
        ("original", "none", 0.0, 0.4, 0.0),
        ("low", "Nyquist", 0.5, low, better),
        ("high", "Nyquist", 0.5, high, 0.0),
    ]
    rows += [(name, "none", 0.0, 0.4, floor) for name in ("mirrored", "brighter", "JPEG")]
    records = [
        {
            "training": "originals",
            "copy": copy,
            "unit": unit,
            "radius": radius,
            "mAP": value,
            "images, better": share,
        }
        for copy, unit, radius, value, share in rows
    ]
    return made("detection", records, keys)


@pytest.mark.parametrize(
    ("changes", "outcomes"),
    [
        ({}, ["met", "met", "met", "met"]),
        ({"low": 0.4}, ["refuted", "met", "met", "met"]),
        ({"high": 0.29}, ["met", "refuted", "met", "met"]),
        ({"high": 0.01}, ["met", "met", "refuted", "met"]),
        ({"floor": 0.19}, ["met", "met", "met", "refuted"]),
    ],
)
def test_c19(changes, outcomes):
    rule = detection_rules()["C19"]
    found = judged(claims()["C19"], rule(claims()["C19"], detections(**changes)))
    assert [step.outcome for step in found.steps] == outcomes


def detection_rules():
    from hfc.study.detection.rules import RULES

    return RULES


def outcomes(name, rows):
    found = made("x", rows, experiment(claims()[name]["experiment"]).keys)
    return [
        s.outcome
        for s in judged(claims()[name], detection_rules()[name](claims()[name], found)).steps
    ]


@pytest.mark.parametrize(("loss", "robust", "wanted"), [(0.1, 0.6, "met"), (0.0, 0.7, "refuted")])
def test_o1(loss, robust, wanted):
    rows = [
        {"training": t, "outside": o, "score": "max logit", "copy": c, "radius": r, "AUROC": v}
        for o in ("cifar100", "gtsrb", "textures")
        for t, base in (("natural", 0.7), ("adversarial", robust))
        for c, r, v in (("original", 0.0, base), ("low", 8.0, base - loss))
    ]
    assert outcomes("O1", rows) == [wanted, wanted]


@pytest.mark.parametrize(("error", "wanted"), [(0.2, "met"), (0.1, "refuted")])
def test_o2(error, wanted):
    rows = [
        {"training": "natural", "copy": c, "radius": r, "ECE": e}
        for c, r, e in (("original", 0.0, 0.1), ("low", 4.0, error), ("high + mean", 8.0, error))
    ]
    assert outcomes("O2", rows) == [wanted, wanted]


def test_o3_and_o4():
    def row(detector, attack, size, caught=0.0, auroc=0.5):
        return {
            "training": "natural",
            "detector": detector,
            "attack": attack,
            "epsilon": size / 255,
            "radius": 12.0 if detector == "disagreement" else 0.0,
            "caught": caught,
            "false alarms": 0.1,
            "AUROC": auroc,
        }

    rows = [
        row("disagreement", "PGD", 2, 0.5),
        row("disagreement", "PGD", 8, 0.1),
        row("disagreement", "adaptive", 2, 0.2),
        row("amplitudes", "PGD", 8, auroc=0.97),
        row("amplitudes", "PGD", 2, auroc=0.6),
        row("amplitudes", "adaptive", 8, auroc=0.96),
    ]
    assert outcomes("O3", rows) == ["met", "refuted", "refuted"]
    assert outcomes("O4", rows) == ["met", "refuted", "met"]


# Chapter 6 ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cells():
    return load("detection", dataset="bccd")


def test_the_photograph_is_of_the_reference_run(cells):
    kept = json.loads(FILE.read_bytes())
    assert kept["seed"] in cells.seeds
    assert len(kept["found"]) == 1 + len(kept["shares"])
    for part in kept["found"]:
        for found in part:
            assert all(
                0 <= x1 < x2 <= 320 and 0 <= y1 < y2 <= 240 for x1, y1, x2, y2 in found["boxes"]
            )
            assert all(score >= 0.5 for score in found["scores"])
            assert set(found["labels"]) <= {0, 1, 2}


def test_first_screen_counts_what_it_draws():
    kept = json.loads(FILE.read_bytes())
    frames = detection.cells().children[1].children
    assert len(frames) == len(kept["shares"])
    for frame, (low, high) in zip(frames, kept["found"][1:], strict=True):
        drawn = len(low["boxes"]) + len(high["boxes"]) + len(kept["found"][0][0]["boxes"])
        assert frame.value.count("<text ") == drawn
        assert frame.value.count("<rect ") == 2 * drawn


def test_tables_hold_the_stored_numbers(cells):
    at = cells.at(training="originals")
    table = detection.ap_by_size(cells, 0.5).frame
    assert table.loc["LFC", "mAP"] == str(at.at(copy="low", unit="Nyquist", radius=0.5).mAP)
    better = detection.detected_better(cells).frame
    mirrored = at.at(copy="mirrored", unit="none", radius=0)["images, better"]
    assert better.loc["mirrored", "pictures with one, by 0.1"] == str(mirrored)
    tuned = detection.tuned_further(cells).frame
    assert tuned.loc["originals", "LFC, r = 0.5"] == table.loc["LFC", "mAP"]
    assert tuned.loc["tuned on LFC, 0.25", "LFC, r = 0.5"] == "–"
    curve = detection.average_precision(cells)
    assert "Average precision against the radius" in curve.alt


def test_tables_of_the_unfamiliar_hold_the_stored_numbers():
    found = load("unfamiliar")
    one = found.at(training="natural", outside="gtsrb", score="energy", copy="original", radius=0)
    table = detection.by_score(found).frame
    assert table.loc[("natural", "energy"), ("traffic signs", "AUROC")] == str(one.AUROC)
    sure = load("calibration")
    table = detection.confidence(sure).frame
    there = sure.at(training="adversarial", copy="low", radius=4)
    assert table.loc["LFC, r = 4", ("adversarial", "ECE")] == str(there.ECE)
    hunted = load("attacked")
    table = detection.caught(hunted).frame
    one = hunted.at(
        training="natural", detector="disagreement", attack="PGD", epsilon=2 / 255, radius=12
    )
    row = table.loc[("2/255", "disagreement, r = 12", "PGD")]
    assert (row["found"], row["false alarms"]) == (str(one.caught), str(one["false alarms"]))


def test_what_the_chapter_says_of_the_live_detector():
    """It finds most shapes, needs the LFC up to half of Nyquist, and little is left in the HFC."""
    at = live("detection", seeds=1).at(training="originals")
    whole = at.at(copy="original", unit="none", radius=0)
    assert whole.AP50.mean > 0.6
    low, high = (at.at(copy=copy, unit="Nyquist", radius=0.5) for copy in ("low", "high"))
    assert whole.mAP.mean - low.mAP.mean < 0.05
    assert high.mAP.mean < 0.15
    model, train_set, test_set, _ = live_network("detection")
    assert len(train_set) == 500
    assert not model.training
    assert test_set.name == "scenes"


def test_the_chapters_verdicts_are_computed():
    text = "".join(c.source for c in nbformat.read(CHAPTER, as_version=4).cells)
    for name in ("C19", "O1", "O2", "O3", "O4"):
        assert f'study.verdict("{name}")' in text
        assert reference(name).verdict != "not tested"


def test_quick_scales_are_small():
    for name in ("detection", "unfamiliar", "calibration", "attacked"):
        assert scale(name, "quick").base.train_size <= 1500
