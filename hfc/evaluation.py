"""What a model does with frequencies."""

from collections.abc import Sequence

import pandas as pd
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from hfc.data import ImageSet
from hfc.frequency import split

__all__ = ["accuracy", "predict", "radius_sweep", "wilson_interval"]


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch_size: int = 500) -> Tensor:
    """Logits of a model in evaluation mode.

    Parameters
    ----------
    model : nn.Module
        Left in the mode (training or evaluation) it came in.
    images : Tensor
        ``(N, C, H, W)``, float; pixels as the model wants them ([0, 1] for natural images).
    batch_size : int
        Images per forward pass; no influence on the result but rounding.

    Returns
    -------
    Tensor
        ``(N, classes)``, float32, on the device of ``images``.

    Raises
    ------
    ValueError
        If there are no images.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    was_training = model.training
    model.eval()
    try:
        parts = images.split(batch_size)
        return torch.cat(
            [model(part.contiguous(memory_format=torch.channels_last)).float() for part in parts]
        )
    finally:
        model.train(was_training)


def accuracy(model: nn.Module, data: ImageSet) -> float:
    """Share of the images that the model gets right, in [0, 1]."""
    return (predict(model, data.images).argmax(dim=1) == data.labels).float().mean().item()


def wilson_interval(count: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share of which ``count`` of ``n`` images were seen.

    Parameters
    ----------
    count, n : int
        ``0 <= count <= n``, ``n >= 1``.
    level : float
        Confidence level.

    Returns
    -------
    low, high : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the counts are out of range.

    Notes
    -----
    Wilson 1927. It covers the luck of which images were drawn, not that of training.
    """
    interval = binomtest(int(count), int(n)).proportion_ci(level, method="wilson")
    return interval.low, interval.high


def radius_sweep(
    model: nn.Module, data: ImageSet, radii: Sequence[float], *, mean: Tensor | None = None
) -> pd.DataFrame:
    """Which component of each image does the model get right, with controls.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
        Test images.
    radii : sequence of float
        Radii of the circle in waves per image.
    mean : Tensor, optional
        ``(C, 1, 1)``, a colour to add back to the HFC copies, which have no mean of their own
        (:attr:`~hfc.data.ImageSet.mean_colour` of the training set). Then they are tested both
        ways.

    Returns
    -------
    DataFrame
        Indexed by ``copies`` (``"raw"``, ``"mean added"``) and ``radius``, with counts of
        images (``n`` in all):

        ============================ ==========================================================
        ``only_low``                 right on the LFC copy, wrong on the HFC copy
        ``only_high``                the reverse: the paper's headline
        ``both``, ``neither``
        ``original``                 right on the image itself
        ``only_high_and_original``   as ``only_high``, and right on the image itself (Fig 2)
        ``only_low_and_original``
        ``high_constant``            HFC copies that the most frequent answer on them gets
                                     right: what a constant class would score
        ``high_top_share``           share of HFC copies that get that answer, in [0, 1]
        ``only_high_independent``    expected ``only_high`` if right on LFC and right on HFC
                                     were independent
        ============================ ==========================================================

    Raises
    ------
    ValueError
        If there are no radii, or a radius is negative or NaN.

    Notes
    -----
    Wang et al. 2020, section 3 and figure 2. The controls are ours.
    """
    if len(radii) == 0:
        raise ValueError("radii must hold at least one radius, got none")
    original = predict(model, data.images).argmax(dim=1) == data.labels
    colours = {"raw": None} if mean is None else {"raw": None, "mean added": mean}
    rows = {}
    for radius in radii:
        low_copies, high_copies = split(data.images, radius)
        low = predict(model, low_copies).argmax(dim=1) == data.labels
        for copies, colour in colours.items():
            shown = high_copies if colour is None else high_copies + colour.to(high_copies.device)
            answers = predict(model, shown).argmax(dim=1)
            rows[copies, float(radius)] = _compare(data.labels, original, low, answers)
    index = [(copies, float(radius)) for copies in colours for radius in radii]
    table = pd.DataFrame.from_dict(rows, orient="index").loc[index]
    return table.rename_axis(["copies", "radius"])


def _compare(labels, original, low, answers):
    high, top = answers == labels, answers.bincount().argmax()
    cells = {
        "n": torch.ones_like(low),
        "original": original,
        "only_low": low & ~high,
        "only_high": high & ~low,
        "both": low & high,
        "neither": ~low & ~high,
        "only_low_and_original": low & ~high & original,
        "only_high_and_original": high & ~low & original,
        "high_constant": labels == top,
    }
    row = {name: int(cell.sum()) for name, cell in cells.items()}
    row["high_top_share"] = (answers == top).float().mean().item()
    row["only_high_independent"] = (high.float().mean() * (~low).float().sum()).item()
    return row
