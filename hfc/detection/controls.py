"""Changes that should not matter to a detector: the noise floor of every comparison of copies."""

import io
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from hfc.arguments import Count, checked
from hfc.detection.sets import DetectionSet
from hfc.detection.training import mirror

__all__ = ["brightened", "mirrored", "recompressed"]


@checked
def mirrored(data: DetectionSet) -> DetectionSet:
    """The set with every picture, and its boxes, mirrored left to right."""
    boxes = tuple(
        mirror(boxes, image.shape[-1]) for image, boxes in zip(data.images, data.boxes, strict=True)
    )
    return replace(data, images=tuple(image.flip(-1) for image in data.images), boxes=boxes)


@checked
def brightened(data: DetectionSet, by: float = 4 / 255) -> DetectionSet:
    """The set with every pixel brighter by a little.

    Parameters
    ----------
    data : DetectionSet
    by : float
        In pixel units, −1 to 1. Pixels are clipped to [0, 1].

    Raises
    ------
    ValueError
        If ``by`` is out of range.
    """
    if not -1 <= by <= 1:
        raise ValueError(f"by must be in pixel units, -1 to 1, got {by}")
    return replace(data, images=tuple((image + by).clamp(0, 1) for image in data.images))


@checked
def recompressed(data: DetectionSet, quality: Count = 90) -> DetectionSet:
    """The set with every picture written as JPEG and read again.

    Parameters
    ----------
    data : DetectionSet
    quality : int
        As Pillow counts it, 1 to 95.

    Raises
    ------
    ValueError
        If ``quality`` is out of range.
    """
    if quality > 95:
        raise ValueError(f"quality must be 1 to 95, got {quality}")
    return replace(data, images=tuple(_as_jpeg(image, quality) for image in data.images))


def _as_jpeg(image, quality):
    pixels = (255 * image).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        read = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    return read.float().div_(255).to(image.device)
