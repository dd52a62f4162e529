"""What a model does with frequencies."""

from collections.abc import Sequence
from contextlib import nullcontext

import pandas as pd
import torch
from torch import Tensor, nn

from hfc.arguments import Colour, Count, Images, Labels, checked
from hfc.batchnorm import batch_statistics
from hfc.data import ImageSet
from hfc.frequency import component
from hfc.models import check_labels, evaluation_mode

__all__ = [
    "accuracy",
    "component_accuracy",
    "is_right",
    "logits",
    "radius_sweep",
    "signature_use",
]


@checked
@torch.no_grad()
def logits(
    model: nn.Module,
    images: Images,
    *,
    batch_size: Count = 500,
    statistics: str = "running",
    beside: Images | None = None,
) -> Tensor:
    """Logits of a model in evaluation mode.

    Parameters
    ----------
    model : nn.Module
        Every layer is left in the mode (training or evaluation) it came in.
    images : Tensor
        ``(N, C, H, W)``, float; pixels as the model wants them ([0, 1] for natural images).
    batch_size : int
        Images per forward pass; no influence on the result but rounding, unless
        ``statistics="batch"``.
    statistics : {"running", "batch"}
        What BatchNorm normalises by: the averages it gathered in training, or mean and
        variance of the very batch that is tested (:func:`hfc.batchnorm.batch_statistics`), as
        in the code of Wang et al. 2020. They are then computed from ``batch_size`` images.
    beside : Tensor, optional
        ``(N, C, H, W)``: company for the images. Every forward pass then holds as many of these
        as of ``images``, ``batch_size`` in all. No influence unless ``statistics="batch"``.

    Returns
    -------
    Tensor
        ``(N, classes)``, float32, finite, on the device of ``images``.

    Raises
    ------
    ValueError
        If there are no images, ``statistics`` is unknown, ``beside`` has another shape, or the
        model returns anything but finite numbers ``(N, classes)``.
    """
    if statistics not in ("running", "batch"):
        raise ValueError(f'statistics must be "running" or "batch", got {statistics!r}')
    if beside is not None:
        if beside.shape != images.shape:
            wanted, got = tuple(images.shape), tuple(beside.shape)
            raise ValueError(f"beside must have the shape of images, {wanted}, got {got}")
        if batch_size % 2:
            raise ValueError(f"batch_size must be even with beside, got {batch_size}")
        images = torch.stack((images, beside), dim=1).flatten(0, 1)  # one of each, in turn
    normalised = batch_statistics(model) if statistics == "batch" else nullcontext()
    with evaluation_mode(model), normalised:
        parts = images.contiguous(memory_format=torch.channels_last).split(batch_size)
        found = torch.cat([_answers(model, part).float() for part in parts])
    broken = int((~found.isfinite()).any(dim=1).sum())
    if broken:
        got = f"NaN or infinity for {broken} of {len(found)} images"
        raise ValueError(f"model must answer with finite logits, got {got}")
    return found if beside is None else found[::2]


def _answers(model, images):
    n = len(images)
    try:
        found = model(images)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if "CUDA" in str(error):  # whatever it is, it is not the shape
            raise
        wanted = f"model must take images of shape {tuple(images.shape)}"
        raise ValueError(f"{wanted}, but failed: {error}") from error
    if not isinstance(found, Tensor):
        got = type(found).__name__
    elif found.ndim != 2 or len(found) != n:
        got = f"shape {tuple(found.shape)}"
    else:
        return found
    raise ValueError(f"model must return logits, a tensor of shape ({n}, classes), got {got}")


@checked
def is_right(model: nn.Module, images: Images, labels: Labels, **settings) -> Tensor:
    """Which images a model gets right.

    Parameters
    ----------
    model, images, **settings
        As in :func:`logits`.
    labels : Tensor
        ``(N,)``, int64.

    Returns
    -------
    Tensor
        ``(N,)``, bool.

    Raises
    ------
    ValueError
        As :func:`logits`; also if a label names none of the model's classes.
    """
    found = logits(model, images, **settings)
    check_labels(labels, found.shape[1])
    return found.argmax(dim=1) == labels


@checked
def accuracy(model: nn.Module, data: ImageSet) -> float:
    """Share of the images that the model gets right, in [0, 1].

    Raises
    ------
    ValueError
        As :func:`is_right`.
    """
    return is_right(model, data.images, data.labels).float().mean().item()


@checked
def component_accuracy(
    model: nn.Module,
    data: ImageSet,
    radii: Sequence[float],
    components: Sequence[str],
    *,
    mean: Colour | None = None,
    statistics: str = "running",
    mixed: bool = False,
    batch_size: Count = 500,
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
        As in :func:`logits`.
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
        right = is_right(model, images, data.labels, **settings, **others)
        return right.float().mean().item()

    original = share(data.images)
    rows = {}
    for radius in radii:
        rows[float(radius)] = {"original": original} | {
            name: share(component(data.images, name, radius, mean=mean), beside=beside)
            for name in components
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("radius")


@checked
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
    return (logits(model, lying.images).argmax(dim=1) == lying.signature).float().mean().item()


@checked
def radius_sweep(
    model: nn.Module, data: ImageSet, radii: Sequence[float], *, mean: Colour | None = None
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
    original = is_right(model, data.images, data.labels)
    names = {"raw": "high"} if mean is None else {"raw": "high", "mean added": "high + mean"}
    rows = {}
    for radius in radii:
        low = is_right(model, component(data.images, "low", radius), data.labels)
        for copies, name in names.items():
            shown = component(data.images, name, radius, mean=mean)
            answers = logits(model, shown).argmax(dim=1)
            rows[copies, float(radius)] = _compare(data.labels, original, low, answers)
    index = [(copies, float(radius)) for copies in names for radius in radii]
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
