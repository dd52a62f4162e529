"""Make ``import torchvision`` work whichever build of PyTorch it meets.

torchvision's wheels on PyPI hold operators compiled for the CUDA build of PyTorch. Beside a
CPU build they can't be loaded, and the import dies with "operator torchvision::nms does not
exist". Only one of these operators is needed to import torchvision and to train its detectors:
non-maximum suppression. If the compiled one can't be had, a Python one takes its place.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

__all__ = ["import_torchvision", "nms"]


def import_torchvision():
    """Import torchvision and return it; call this before anything else imports it.

    Raises
    ------
    ModuleNotFoundError
        If torchvision is not installed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        raise ModuleNotFoundError("torchvision is not installed; `make setup` installs it")
    compiled = _load_compiled(Path(spec.origin).parent)
    if not compiled and not hasattr(torch.ops.torchvision, "nms"):
        for name in ("nms", "qnms"):  # qnms, for quantised boxes, is only declared
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", signature)
        torch.library.impl("torchvision::nms", "default", nms)
    import torchvision

    if not compiled:
        torchvision.extension._has_ops = lambda: True
    return torchvision


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: drop every box that a better one covers.

    Parameters
    ----------
    boxes : Tensor
        ``(N, 4)``, corners x1, y1, x2, y2 in pixels.
    scores : Tensor
        ``(N,)``.
    iou_threshold : float
        A box goes when its intersection over union with a kept, better one exceeds this.

    Returns
    -------
    Tensor
        ``(kept,)``, int64: indices of the kept boxes, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    sorted_boxes = boxes[order]
    area = (sorted_boxes[:, 2:] - sorted_boxes[:, :2]).prod(dim=1)
    corner = torch.maximum(sorted_boxes[:, None, :2], sorted_boxes[:, :2])
    overlap = (torch.minimum(sorted_boxes[:, None, 2:], sorted_boxes[:, 2:]) - corner).clamp(min=0)
    overlap = overlap.prod(dim=2)
    iou = overlap / (area[:, None] + area - overlap)
    covers = (iou > iou_threshold).cpu().numpy()  # two boxes without area have iou NaN: keep both
    kept = np.ones(len(order), dtype=bool)
    for k in range(len(order)):
        if kept[k]:
            kept[k + 1 :] &= ~covers[k, k + 1 :]
    return order[torch.from_numpy(kept).to(order.device)]


def _load_compiled(folder):
    for library in folder.glob("_C.*"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return True
    return False
