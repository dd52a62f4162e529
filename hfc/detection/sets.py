"""Images with boxes, and the boxes that a detector finds."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hfc import frequency
from hfc.arguments import check_fields, checked

__all__ = ["DetectionSet", "Detections", "components"]


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """Images with the boxes of the objects in them.

    Attributes
    ----------
    images : tuple of Tensor
        Each ``(3, H, W)``, float32 in [0, 1]; sizes may differ.
    boxes : tuple of Tensor
        For each image ``(objects, 4)``, float32: corners x1, y1, x2, y2 in pixels, inside the
        image and with an area. An image may have no object.
    labels : tuple of Tensor
        For each image ``(objects,)``, int64 in ``[0, len(classes))``.
    classes : tuple of str
        Names of the classes.
    name : str
        Name of the set.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or ranges are others, or the set is empty. The text names the image by
        its position.
    """

    images: tuple[Tensor, ...]
    boxes: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    classes: tuple[str, ...]
    name: str

    def __post_init__(self):
        for field in ("images", "boxes", "labels", "classes"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        check_fields(self)
        if not self.images:
            raise ValueError("images must hold at least one image, got none")
        for field in ("boxes", "labels"):
            if len(getattr(self, field)) != len(self.images):
                wanted, got = len(self.images), len(getattr(self, field))
                raise ValueError(f"{field} must hold one tensor per image, {wanted}, got {got}")
        for k, parts in enumerate(zip(self.images, self.boxes, self.labels, strict=True)):
            self._check_image(k, *parts)

    def _check_image(self, k, image, boxes, labels):
        if image.dtype != torch.float32:
            raise TypeError(f"images[{k}] must be float32 in [0, 1], got {image.dtype}")
        if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
            raise ValueError(f"images[{k}] must have shape (3, H, W), got {tuple(image.shape)}")
        low, high = image.aminmax()
        if not (low >= 0 and high <= 1):
            raise ValueError(f"images[{k}] must lie in [0, 1], got [{low:.3g}, {high:.3g}]")
        if boxes.dtype != torch.float32:
            raise TypeError(f"boxes[{k}] must be float32, got {boxes.dtype}")
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"boxes[{k}] must have shape (objects, 4), got {tuple(boxes.shape)}")
        if labels.dtype != torch.int64:
            raise TypeError(f"labels[{k}] must be int64, got {labels.dtype}")
        if labels.shape != boxes.shape[:1]:
            wanted, got = len(boxes), tuple(labels.shape)
            raise ValueError(f"labels[{k}] must have shape ({wanted},), one per box, got {got}")
        height, width = image.shape[1:]
        for box in boxes.tolist():
            x1, y1, x2, y2 = box
            if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                raise ValueError(
                    f"boxes[{k}] must have an area and lie inside the image of {width}x{height} "
                    f"pixels (x1, y1, x2, y2), got {box}"
                )
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.classes)):
            raise ValueError(
                f"labels[{k}] must lie in 0..{len(self.classes) - 1}, got {labels.tolist()}"
            )

    def __len__(self):
        return len(self.images)

    @property
    def objects(self) -> int:
        """Number of objects in all images."""
        return sum(map(len, self.labels))

    @property
    def mean_colour(self) -> Tensor:
        """Mean of every channel over all images, ``(3, 1, 1)``: what an HFC copy lacks."""
        means = torch.stack([image.mean(dim=(1, 2), dtype=torch.float64) for image in self.images])
        return means.mean(dim=0).float()[:, None, None]

    @property
    def fingerprint(self) -> str:
        """First 16 digits of the sha256 of pixels, boxes and labels."""
        digest = hashlib.sha256()
        for image, boxes, labels in zip(self.images, self.boxes, self.labels, strict=True):
            for part in ((image * 255).round().to(torch.uint8), boxes, labels):
                digest.update(part.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def take(self, indices: Sequence[int]) -> "DetectionSet":
        """The images at ``indices``, in that order."""
        parts = ("images", "boxes", "labels")
        return replace(self, **{p: tuple(getattr(self, p)[k] for k in indices) for p in parts})

    def to(self, device) -> "DetectionSet":
        """The same set on another device."""
        parts = ("images", "boxes", "labels")
        return replace(self, **{p: tuple(t.to(device) for t in getattr(self, p)) for p in parts})


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector finds in one image, best first.

    Attributes
    ----------
    boxes : Tensor
        ``(found, 4)``, float32: corners x1, y1, x2, y2 in pixels of the image.
    scores : Tensor
        ``(found,)``, float32 in [0, 1].
    labels : Tensor
        ``(found,)``, int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __len__(self):
        return len(self.scores)

    def above(self, score: float) -> "Detections":
        """Those with at least this score."""
        keep = self.scores >= score
        return Detections(self.boxes[keep], self.scores[keep], self.labels[keep])


@checked
def components(
    images: Sequence[Tensor],
    name: str,
    radius: float,
    *,
    mean: Tensor | None = None,
    of_nyquist: bool = False,
) -> tuple[Tensor, ...]:
    """Components of images whose sizes may differ; boxes stay where they are.

    Parameters
    ----------
    images : sequence of Tensor
        Each ``(3, H, W)``.
    name, radius, mean
        As in :func:`hfc.frequency.component`. The radius is in waves per image, whatever its
        size.
    of_nyquist : bool
        Whether the radius is a share of the Nyquist frequency instead: of half the shorter side,
        in waves per image.

    Returns
    -------
    tuple of Tensor
        Shapes of ``images``. Not clipped.
    """
    groups: dict = {}
    for k, image in enumerate(images):
        groups.setdefault(image.shape, []).append(k)
    copies = [None] * len(images)
    for members in groups.values():
        for part in (members[k : k + 32] for k in range(0, len(members), 32)):
            batch = torch.stack([images[k] for k in part])
            waves = radius * min(batch.shape[-2:]) / 2 if of_nyquist else radius
            made = frequency.component(batch, name, waves, mean=mean)
            for k, copy in zip(part, made, strict=True):
                copies[k] = copy
    return tuple(copies)
