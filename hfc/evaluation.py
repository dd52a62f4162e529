"""What a model does with frequencies."""

from collections.abc import Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from hfc.data import ImageSet
from hfc.frequency import component, split

__all__ = [
    "accuracy",
    "component_accuracy",
    "predict",
    "radius_sweep",
    "signature_use",
    "wilson_interval",
]


@torch.no_grad()
def predict(
    model: nn.Module,
    images: Tensor,
    *,
    batch_size: int = 500,
    statistics: str = "running",
    beside: Tensor | None = None,
) -> Tensor:
    """Logits of a model in evaluation mode.

    Parameters
    ----------
    model : nn.Module
        Left in the mode (training or evaluation) it came in.
    images : Tensor
        ``(N, C, H, W)``, float; pixels as the model wants them ([0, 1] for natural images).
    batch_size : int
        Images per forward pass; no influence on the result but rounding, unless
        ``statistics="batch"``.
    statistics : {"running", "batch"}
        What BatchNorm normalises by: the averages it gathered in training, or mean and
        variance of the very batch that is tested, as in the code of Wang et al. 2020. They are
        then computed from ``batch_size`` images, and what the model says about an image
        depends on its neighbours. Nothing is stored in the model.
    beside : Tensor, optional
        ``(N, C, H, W)``: company for the images. Every forward pass then holds as many of these
        as of ``images``, ``batch_size`` in all. No influence unless ``statistics="batch"``.

    Returns
    -------
    Tensor
        ``(N, classes)``, float32, on the device of ``images``.

    Raises
    ------
    ValueError
        If there are no images, ``statistics`` is unknown, or ``beside`` has another shape.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    if statistics not in ("running", "batch"):
        raise ValueError(f'statistics must be "running" or "batch", got {statistics!r}')
    if beside is not None:
        if beside.shape != images.shape:
            wanted, got = tuple(images.shape), tuple(beside.shape)
            raise ValueError(f"beside must have the shape of images, {wanted}, got {got}")
        if batch_size % 2:
            raise ValueError(f"batch_size must be even with beside, got {batch_size}")
        images = torch.stack((images, beside), dim=1).flatten(0, 1)  # one of each, in turn
    was_training = model.training
    model.eval()
    try:
        with _normalised_by_the_batch(model, statistics == "batch"):
            parts = images.contiguous(memory_format=torch.channels_last).split(batch_size)
            logits = torch.cat([model(part).float() for part in parts])
    finally:
        model.train(was_training)
    return logits if beside is None else logits[::2]


@contextmanager
def _normalised_by_the_batch(model, wanted):
    """BatchNorm layers without running averages use the batch's own, also in evaluation mode."""
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [(layer, layer.running_mean, layer.running_var) for layer in layers if wanted]
    try:
        for layer, _, _ in kept:
            layer.running_mean = layer.running_var = None
        yield
    finally:
        for layer, mean, variance in kept:
            layer.running_mean, layer.running_var = mean, variance


def accuracy(model: nn.Module, data: ImageSet) -> float:
    """Share of the images that the model gets right, in [0, 1]."""
    return (predict(model, data.images).argmax(dim=1) == data.labels).float().mean().item()


def component_accuracy(
    model: nn.Module,
    data: ImageSet,
    radii: Sequence[float],
    components: Sequence[str],
    *,
    mean: Tensor | None = None,
    statistics: str = "running",
    mixed: bool = False,
    batch_size: int = 500,
) -> pd.DataFrame:
    """Accuracy on images and on copies that keep one component.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
    radii : sequence of float
        Radii of the circle in waves per image.
    components : sequence of str
        Which copies, see :func:`hfc.frequency.component`.
    mean : Tensor, optional
        ``(C, 1, 1)``, the colour for ``"high + mean"``.
    statistics, batch_size
        As in :func:`predict`.
    mixed : bool
        Whether half of every batch of copies are originals: of the same images but for one,
        which comes from the batch before.

    Returns
    -------
    DataFrame
        Indexed by ``radius``; a column ``original`` and one for each component, in [0, 1].

    Raises
    ------
    ValueError
        If there are no radii, or an argument is out of range.
    """
    if len(radii) == 0:
        raise ValueError("radii must hold at least one radius, got none")
    settings = {"statistics": statistics, "batch_size": batch_size}
    beside = data.images.roll(1, dims=0) if mixed else None

    def share(images, **others):
        answers = predict(model, images, **settings, **others).argmax(dim=1)
        return (answers == data.labels).float().mean().item()

    original = share(data.images)
    rows = {}
    for radius in radii:
        rows[float(radius)] = {"original": original} | {
            name: share(component(data.images, name, radius, mean=mean), beside=beside)
            for name in components
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("radius")


def signature_use(model: nn.Module, data: ImageSet) -> float:
    """Share of images, among those whose signature names another class, given that class.

    Parameters
    ----------
    model : nn.Module
    data : ImageSet
        With a planted signature (:func:`hfc.data.plant_signature`) that does not always name
        the label.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``data`` has no signature, or none that differs from the label.
    """
    if data.signature is None or (data.signature == data.labels).all():
        raise ValueError("data must have a signature that names wrong classes too")
    lying = data.take(data.signature != data.labels)
    return (predict(model, lying.images).argmax(dim=1) == lying.signature).float().mean().item()


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
