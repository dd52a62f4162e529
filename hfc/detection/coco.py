"""Detection sets in the COCO format: a folder of pictures and a JSON file of instances."""

import json
import math
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hfc.arguments import Count, checked
from hfc.data import DatasetError
from hfc.detection.sets import DetectionSet

__all__ = ["load_coco"]

_MOST_IDS = 1000


@checked
def load_coco(
    folder: str | os.PathLike,
    instances: str | os.PathLike,
    *,
    size: Count | None = None,
    side: Count | None = None,
    by_id: bool = False,
) -> DetectionSet:
    """Load a detection set in the COCO format.

    Parameters
    ----------
    folder : path
        Where the pictures are.
    instances : path
        JSON file with ``images``, ``annotations`` and ``categories``; relative to ``folder``
        unless absolute. Boxes are ``[x, y, width, height]`` in pixels. Annotations with
        ``iscrowd`` are left out.
    size : int, optional
        Only the first images, in the order of the file.
    side : int, optional
        Pictures are shrunk, by averaging, until their shorter side has this many pixels; smaller
        ones stay as they are. Boxes follow.
    by_id : bool
        Whether labels are the ids of the categories, as torchvision's trained detectors have
        them, instead of counting the categories in the order of their ids.

    Returns
    -------
    DetectionSet
        Pictures without annotation stay. With ``by_id`` a class that no category names is called
        ``"unused"``.

    Raises
    ------
    DatasetError
        If a file is missing, no picture or no such JSON, or a box has no area, lies outside its
        picture by more than a pixel, or names an unknown picture or category. Nothing is
        repaired in silence but boxes up to a pixel over the edge, which are cut.
    """
    folder = Path(folder)
    source = folder / instances
    wanted = _parsed(source)
    categories = sorted(wanted["categories"], key=lambda category: category["id"])
    names = [category["name"] for category in categories]
    label_of = {category["id"]: label for label, category in enumerate(categories)}
    if by_id:
        if not 0 <= categories[0]["id"] <= categories[-1]["id"] <= _MOST_IDS:
            got = [category["id"] for category in categories]
            raise DatasetError(f"{source}: ids of categories must be 0 to {_MOST_IDS}, got {got}")
        label_of = {category["id"]: category["id"] for category in categories}
        name_of = {category["id"]: category["name"] for category in categories}
        names = [name_of.get(k, "unused") for k in range(categories[-1]["id"] + 1)]
    entries = wanted["images"][:size]
    known = {entry["id"] for entry in wanted["images"]}
    boxes_of = {entry["id"]: [] for entry in entries}
    sizes = {entry["id"]: (entry["width"], entry["height"]) for entry in wanted["images"]}
    for annotation in wanted["annotations"]:
        where = f"{source}: annotation {annotation['id']}"
        if annotation["image_id"] not in known:
            raise DatasetError(f"{where} names image {annotation['image_id']}, which is not listed")
        if annotation["category_id"] not in label_of:
            raise DatasetError(
                f"{where} names category {annotation['category_id']}; known are "
                f"{', '.join(map(str, label_of))}"
            )
        box = _corners(annotation["bbox"], sizes[annotation["image_id"]], where)
        if annotation["image_id"] in boxes_of and not annotation.get("iscrowd"):
            boxes_of[annotation["image_id"]].append((box, label_of[annotation["category_id"]]))
    images, boxes, labels = [], [], []
    for entry in entries:
        image, factors = _picture(folder / entry["file_name"], sizes[entry["id"]], side)
        images.append(image)
        found = boxes_of[entry["id"]]
        corners = torch.tensor([box for box, _ in found], dtype=torch.float64).reshape(-1, 4)
        boxes.append(_fitted(corners, factors, image))
        labels.append(torch.tensor([label for _, label in found], dtype=torch.int64))
    return DetectionSet(tuple(images), tuple(boxes), tuple(labels), tuple(names), source.stem)


def _parsed(source):
    """The JSON file, with all that is used of it in place."""
    try:
        found = json.loads(source.read_text())
    except OSError as error:
        raise DatasetError(f"{source} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{source} is no JSON: {error}") from error
    needed = {
        "images": {"id": int, "file_name": str, "width": int, "height": int},
        "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
        "categories": {"id": int, "name": str},
    }
    for part, names in needed.items():
        rows = found.get(part) if isinstance(found, dict) else None
        if not isinstance(rows, list):
            raise DatasetError(f"{source} must have a list {part!r}")
        for k, row in enumerate(rows):
            for name, kind in names.items():
                if not isinstance(row, dict) or not isinstance(row.get(name), kind):
                    wanted = {int: "a whole number", str: "text", list: "a list"}[kind]
                    raise DatasetError(f"{source}: {part}[{k}] must have {wanted} {name!r}")
        ids = [row["id"] for row in rows]
        if len(set(ids)) < len(ids):
            raise DatasetError(f"{source}: {part} must have different ids")
    for part in ("images", "categories"):
        if not found[part]:
            raise DatasetError(f"{source} lists no {part}")
    return found


def _corners(bbox, size, where):
    """Corners of a box, cut where it is over the edge by up to a pixel."""
    if len(bbox) != 4 or not all(isinstance(v, int | float) and math.isfinite(v) for v in bbox):
        raise DatasetError(f"{where} must have a bbox of four numbers, got {bbox}")
    x, y, width, height = bbox
    if not (width > 0 and height > 0):
        raise DatasetError(f"{where} has a box without area: {bbox} (x, y, width, height)")
    most = (*size, *size)
    corners = [x, y, x + width, y + height]
    cut = [min(max(v, 0), top) for v, top in zip(corners, most, strict=True)]
    if max(abs(a - b) for a, b in zip(corners, cut, strict=True)) > 1 or not (
        cut[0] < cut[2] and cut[1] < cut[3]
    ):
        raise DatasetError(
            f"{where} has a box outside its image of {size[0]}x{size[1]} pixels: {bbox} "
            "(x, y, width, height)"
        )
    return cut


def _picture(path, size, side):
    """Pixels ``(3, H, W)`` in [0, 1], and by what its width and height were multiplied."""
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGB")  # reads it whole
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path} is damaged or no picture: {error}") from error
    if picture.size != tuple(size):
        told = f"{size[0]}x{size[1]}"
        raise DatasetError(f"{path} has {picture.width}x{picture.height} pixels, not {told}")
    small = size
    if side is not None and side < min(size):
        small = [round(v * side / min(size)) for v in size]
        picture = picture.resize(small, Image.Resampling.BOX)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    return pixels.float().div_(255), [new / old for new, old in zip(small, size, strict=True)]


def _fitted(corners, factors, image):
    """Boxes of a picture that was shrunk, float32 and still inside."""
    height, width = image.shape[1:]
    most = torch.tensor([width, height, width, height], dtype=torch.float64)
    return (corners * torch.tensor([*factors, *factors])).minimum(most).float()
