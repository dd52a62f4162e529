"""What a detector finds, and how good that is."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hfc.arguments import Count, checked
from hfc.compat import import_torchvision
from hfc.detection.sets import Detections, DetectionSet
from hfc.machine import progress_bar
from hfc.models import evaluation_mode

__all__ = ["SIZES", "best_match", "detect", "mean_average_precision"]

SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
"""COCO's sizes of objects: areas of boxes in pixels, from and below."""


@checked
def detect(
    model: nn.Module, images: Sequence[Tensor], *, batch_size: Count = 16, progress: bool = False
) -> list[Detections]:
    """What a detector finds in images.

    Parameters
    ----------
    model : nn.Module
        As :func:`hfc.detection.networks.build_detector` returns it.
    images : sequence of Tensor
        Each ``(3, H, W)``, float32. Components may leave [0, 1].
    batch_size : int
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    list of Detections
        One per image, on the CPU, best first; empty where nothing was found.
    """
    device = next(model.parameters()).device
    found = []
    bar = progress_bar(len(images), desc="detecting", unit="image", show=progress)
    with evaluation_mode(model), torch.inference_mode(), bar:
        for k in range(0, len(images), batch_size):
            part = [image.to(device) for image in images[k : k + batch_size]]
            for answer in model(part):
                order = answer["scores"].argsort(descending=True, stable=True)
                boxes, scores, labels = (
                    answer[name][order].cpu() for name in ("boxes", "scores", "labels")
                )
                found.append(Detections(boxes, scores, labels))
            bar.update(len(part))
    return found


@checked
def mean_average_precision(detections: Sequence[Detections], data: DetectionSet) -> dict:
    """COCO's average precision, by faster-coco-eval.

    Parameters
    ----------
    detections : sequence of Detections
        One per image of ``data``.
    data : DetectionSet

    Returns
    -------
    dict of str to float
        ``mAP``, the mean over IoU .50 to .95 and over the classes that occur, in [0, 1];
        ``AP50``; ``AP small``, ``AP medium`` and ``AP large`` by :data:`SIZES`. NaN where the set
        has no such object.

    Raises
    ------
    ValueError
        If there are more or fewer detections than images.

    Notes
    -----
    Lin et al. 2014, "Microsoft COCO: common objects in context".
    """
    from faster_coco_eval import COCO, COCOeval_faster

    _check_count(detections, data)
    if not data.objects:
        return dict.fromkeys(("mAP", "AP50", *(f"AP {size}" for size in SIZES)), float("nan"))
    truth = COCO(_as_coco(data))
    judged = COCOeval_faster(truth, truth.loadRes(_answers(detections)), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    mean, at50, _, *by_size = (
        float("nan") if value == -1 else float(value) for value in judged.stats[:6]
    )
    return {"mAP": mean, "AP50": at50} | {
        f"AP {size}": value for size, value in zip(SIZES, by_size, strict=True)
    }


@checked
def best_match(detections: Sequence[Detections], data: DetectionSet) -> list[Tensor]:
    """How sure a detector is of each object: the score of the best detection that fits it.

    A detection fits an object of its class with an intersection over union of at least 0.5. Each
    detection is given to one object, the best first, as in COCO's evaluation.

    Parameters
    ----------
    detections, data
        As in :func:`mean_average_precision`.

    Returns
    -------
    list of Tensor
        For each image ``(objects,)``, float32 in [0, 1]; 0 where nothing fits.

    Raises
    ------
    ValueError
        If there are more or fewer detections than images.
    """
    _check_count(detections, data)
    return [
        _scores_of(found, boxes.cpu(), labels.cpu())
        for found, boxes, labels in zip(detections, data.boxes, data.labels, strict=True)
    ]


def _scores_of(found, boxes, labels):
    scores = torch.zeros(len(labels))
    if not len(labels):
        return scores
    fits = overlap(found.boxes, boxes)
    fits[found.labels[:, None] != labels] = 0
    for k in found.scores.argsort(descending=True, stable=True).tolist():
        free = torch.where(scores > 0, 0, fits[k])
        if free.max() >= 0.5:
            scores[free.argmax()] = found.scores[k]
    return scores


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes ``(n, 4)`` and ``(m, 4)``: ``(n, m)``."""
    import_torchvision()
    from torchvision.ops import box_iou

    return box_iou(first, second)


def _check_count(detections, data):
    if len(detections) != len(data):
        raise ValueError(f"detections must be one per image, {len(data)}, got {len(detections)}")


def _as_coco(data):
    annotations = []
    for k, (boxes, labels) in enumerate(zip(data.boxes, data.labels, strict=True)):
        for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": k + 1,
                    "category_id": label + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {"id": k + 1, "height": image.shape[1], "width": image.shape[2]}
            for k, image in enumerate(data.images)
        ],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(data.classes)],
        "annotations": annotations,
    }


def _answers(detections):
    """Rows of image, x, y, width, height, score, category."""
    rows = []
    for k, found in enumerate(detections):
        x1, y1, x2, y2 = found.boxes.double().unbind(dim=1)
        image = torch.full((len(found),), k + 1.0)
        columns = [image, x1, y1, x2 - x1, y2 - y1, found.scores, found.labels + 1]
        rows.append(torch.stack([column.double() for column in columns], dim=1))
    rows = torch.cat(rows).numpy()
    return rows if len(rows) else []
