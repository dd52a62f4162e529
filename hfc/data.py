"""Whole datasets in memory as one value.

>>> train = load("synthetic", "train", size=200, hfc_strength=1)
>>> train.images.shape
torch.Size([200, 3, 32, 32])
>>> train.classes[train.labels[0]]
'star'
"""

import dataclasses
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hfc.compat import import_torchvision

__all__ = [
    "NAMES",
    "DatasetError",
    "ImageSet",
    "data_root",
    "download",
    "load",
    "plant_signature",
    "state",
]

_TORCHVISION = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "mnist": "MNIST"}
NAMES = ("synthetic", *_TORCHVISION)


class DatasetError(RuntimeError):
    """A dataset is missing or damaged; the text says what was looked for, where, and the cure."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels.

    Attributes
    ----------
    images : Tensor
        ``(N, C, H, W)``, float32 in [0, 1].
    labels : Tensor
        ``(N,)``, int64 in ``[0, len(classes))``.
    classes : tuple of str
        Names of the classes.
    name : str
        Name of the dataset.
    signature : Tensor, optional
        ``(N,)``, int64: the class that a planted high-frequency signature names
        (:func:`plant_signature`), equal to the label or not.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or ranges are others, or the set is empty.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    signature: Tensor | None = None

    def __post_init__(self):
        if self.images.dtype != torch.float32:
            raise TypeError(f"images must be float32 in [0, 1], got {self.images.dtype}")
        if self.images.ndim != 4 or len(self.images) == 0:
            shape = tuple(self.images.shape)
            raise ValueError(f"images must have shape (N, C, H, W) with N >= 1, got {shape}")
        low, high = self.images.aminmax()
        if not (low >= 0 and high <= 1):
            raise ValueError(f"images must lie in [0, 1], got [{low:.3g}, {high:.3g}]")
        self._check_classes("labels", self.labels)
        if self.signature is not None:
            self._check_classes("signature", self.signature)

    def _check_classes(self, name, values):
        if values.dtype != torch.int64:
            raise TypeError(f"{name} must be int64, got {values.dtype}")
        if values.shape != self.images.shape[:1]:
            wanted, got = len(self.images), tuple(values.shape)
            raise ValueError(f"{name} must have shape ({wanted},), one per image, got {got}")
        low, high = values.min(), values.max()
        if low < 0 or high >= len(self.classes):
            top = len(self.classes) - 1
            raise ValueError(f"{name} must lie in 0..{top}, got values from {low} to {high}")

    def __len__(self):
        return len(self.images)

    def _replace_all(self, change):
        tensors = {"images": change(self.images), "labels": change(self.labels)}
        if self.signature is not None:
            tensors["signature"] = change(self.signature)
        return dataclasses.replace(self, **tensors)

    def take(self, indices) -> "ImageSet":
        """The images at ``indices`` (a slice or an int64 or bool tensor), in that order."""
        return self._replace_all(lambda tensor: tensor[indices])

    def to(self, device) -> "ImageSet":
        """The same set on another device."""
        return self._replace_all(lambda tensor: tensor.to(device))

    @property
    def mean_colour(self) -> Tensor:
        """Mean of every channel, ``(C, 1, 1)``: what an HFC copy lacks."""
        return self.images.mean(dim=(0, 2, 3), dtype=torch.float64).float()[:, None, None]

    @property
    def fingerprint(self) -> str:
        """First 16 digits of the sha256 of pixels and labels: the same data, the same digits."""
        digest = hashlib.sha256()
        for part in ((self.images * 255).round().to(torch.uint8), self.labels):
            digest.update(part.cpu().numpy().tobytes())  # in order, however it lies in memory
        return digest.hexdigest()[:16]


def load(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    seed: int = 0,
    root: str | os.PathLike | None = None,
    hfc_strength: float | None = None,
) -> ImageSet:
    """Load a dataset.

    Parameters
    ----------
    name : str
        ``"synthetic"`` (made here, no files), ``"cifar10"``, ``"cifar100"`` or ``"mnist"``.
    split : {"train", "test"}
    size : int, optional
        Number of images. For real data a random subset (default: all); for ``"synthetic"``
        default 6,000 for training and 2,000 for testing.
    seed : int
        Which subset, or which synthetic set.
    root : path, optional
        Folder of the real data in torchvision's layout; see :func:`data_root`.
    hfc_strength : float, optional
        How often the planted signature names the label, 0 to 1. ``"synthetic"`` always has a
        signature (default 0.5); real data gets one by :func:`plant_signature` only if this is
        given.

    Returns
    -------
    ImageSet

    Raises
    ------
    ValueError
        If an argument is out of range.
    DatasetError
        If files are missing or damaged. Nothing else is ever loaded in their place.
    """
    _check_name(name, NAMES)
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", got {split!r}')
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if name == "synthetic":
        size = size or (6000 if split == "train" else 2000)
        return _synthetic(split, size, seed, 0.5 if hfc_strength is None else hfc_strength)
    data = _load_real(name, split, data_root(root))
    if size is not None:
        if size > len(data):
            raise ValueError(f"size must be at most {len(data)} for {name} {split}, got {size}")
        generator = torch.Generator().manual_seed(seed)
        data = data.take(torch.randperm(len(data), generator=generator)[:size])
    if hfc_strength is not None:
        data = plant_signature(data, hfc_strength, seed=seed)
    return data


# Real data --------------------------------------------------------------------------------


def data_root(root: str | os.PathLike | None = None) -> Path:
    """Folder of the real data: ``root``, else ``$HFC_DATA``, else ``~/.cache/hfc``."""
    return Path(root or os.environ.get("HFC_DATA") or "~/.cache/hfc").expanduser()


def state(name: str, root: str | os.PathLike | None = None) -> str:
    """``"embedded"``, ``"ready"``, or one sentence that says what is missing or damaged."""
    _check_name(name, NAMES)
    if name == "synthetic":
        return "embedded"
    try:
        _check_files(name, data_root(root))
    except DatasetError as error:
        return str(error)
    return "ready"


def download(name: str, root: str | os.PathLike | None = None) -> Path:
    """Download a dataset by torchvision, whole or not at all.

    Parameters
    ----------
    name : str
        ``"cifar10"``, ``"cifar100"`` or ``"mnist"``.
    root : path, optional
        As in :func:`load`.

    Returns
    -------
    Path
        The root that now holds it.

    Raises
    ------
    ValueError
        If there is nothing to download under that name.
    DatasetError
        If the download failed; nothing is left behind.
    """
    _check_name(name, _TORCHVISION)
    root = data_root(root)
    if state(name, root) == "ready":
        return root
    root.mkdir(parents=True, exist_ok=True)
    dataset = _dataset_class(name)
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as folder:
        try:
            dataset(folder, download=True)
            _check_files(name, Path(folder))
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DatasetError(f"{name} could not be downloaded: {reason}.") from error
        part = _folder(dataset)
        (root / part).parent.mkdir(exist_ok=True)
        shutil.rmtree(root / part, ignore_errors=True)
        os.replace(Path(folder) / part, root / part)
    return root


def _check_name(name, known):
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")


def _load_real(name, split, root):
    _check_files(name, root)
    try:
        dataset = _dataset_class(name)(root, train=split == "train", download=False)
        images = torch.as_tensor(dataset.data)
        images = images.permute(0, 3, 1, 2) if images.ndim == 4 else images[:, None]
        images = images.contiguous().float().div_(255)
        labels = torch.as_tensor(dataset.targets, dtype=torch.int64)
        return ImageSet(images, labels, tuple(dataset.classes), name)
    except Exception as error:  # whatever damaged files make torchvision raise
        where = root / _folder(_dataset_class(name))
        reason = str(error) or "not in its format"  # torchvision asserts without a text
        raise DatasetError(
            f"{name} in {where} is damaged ({reason}); remove that folder and get it again: "
            f"python -m hfc data --download {name}"
        ) from error


def _check_files(name, root):
    """Raise DatasetError unless all files of the dataset are there, whole and unchanged."""
    cure = f"get it by: python -m hfc data --download {name}"
    dataset = _dataset_class(name)
    for file, md5 in _files(dataset):
        path = root / _folder(dataset) / file
        if not path.is_file():
            raise DatasetError(
                f"{name} is missing: no {path} (looked under {root}; set HFC_DATA to look "
                f"elsewhere); {cure}"
            )
        content = path.read_bytes()
        if md5 is None or hashlib.md5(content).hexdigest() == md5:
            continue
        # A pickle ends with a full stop.
        what = "has a wrong checksum" if content.endswith(b".") else "is truncated"
        raise DatasetError(
            f"{name} is damaged: {path} {what} ({len(content):,} bytes, md5 should be {md5}); "
            f"remove it and {cure}"
        )


def _dataset_class(name):
    import_torchvision()
    from torchvision import datasets

    return getattr(datasets, _TORCHVISION[name])


def _folder(dataset):
    """Folder below the root that holds a torchvision dataset's files."""
    return getattr(dataset, "base_folder", None) or Path(dataset.__name__) / "raw"


def _files(dataset):
    """Names and md5 (None if torchvision knows none) of a torchvision dataset's files."""
    if hasattr(dataset, "train_list"):
        meta = (dataset.meta["filename"], dataset.meta["md5"])
        return [*dataset.train_list, *dataset.test_list, meta]
    return [(Path(archive).stem, None) for archive, _ in dataset.resources]


# The planted signature --------------------------------------------------------------------

_RADIUS = 12  # waves per image, about: a signature lies between radius 11 and 13
_AMPLITUDE = 6 / 255  # mean, in pixel units; each image has its own, uniform in [0, 2] times this
_CHUNK = 500  # images that share one random stream, so that a small set begins a large one


def plant_signature(
    data: ImageSet, strength: float, *, amplitude: float = _AMPLITUDE, seed: int = 0
) -> ImageSet:
    """Plant a faint high-frequency signature that names the class of each image.

    The signature is one plane wave of about 12 waves per image whose direction names one of
    ten classes: wholly in the HFC for r <= 11, wholly in the LFC for r >= 13 (of 32x32 images,
    until pixels are clipped). With probability ``strength`` it names the label, else a class
    at random. So strength 0 has the same spectrum and no information.

    Parameters
    ----------
    data : ImageSet
        Images of at least 26x26 pixels, at most 10 classes.
    strength : float
        0 to 1.
    amplitude : float
        Mean amplitude in pixel units; each image's own is uniform in [0, 2] times this.
    seed : int
        Which random phases, amplitudes and classes.

    Returns
    -------
    ImageSet
        On the CPU, clipped to [0, 1] and rounded to 8 bits, with ``signature`` set.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be between 0 and 1, got {strength}")
    if not 0 <= amplitude <= 0.5:
        raise ValueError(f"amplitude must be in pixel units, 0 to 0.5, got {amplitude}")
    if len(data.classes) > 10:
        raise ValueError(f"data must have at most 10 classes, got {len(data.classes)}")
    height, width = data.images.shape[-2:]
    if min(height, width) < 2 * (_RADIUS + 1):
        raise ValueError(f"images must be at least 26x26 pixels, got {height}x{width}")
    images, signature = [], []
    for k, part in enumerate(data.images.cpu().split(_CHUNK)):
        rng = np.random.default_rng([seed, 2, k])
        labels = data.labels[k * _CHUNK : (k + 1) * _CHUNK].cpu().numpy()
        names = _named_classes(labels, strength, len(data.classes), rng)
        wave = _signature(names, amplitude, height, width, rng)
        images.append(_to_8_bits(part.double().numpy() + wave[:, None]))
        signature.append(names)
    return dataclasses.replace(
        data,
        images=torch.from_numpy(np.concatenate(images)),
        labels=data.labels.cpu(),
        signature=torch.from_numpy(np.concatenate(signature)),
        name=f"{data.name} + signature",
    )


def _named_classes(labels, strength, classes, rng):
    """The class each signature names, ``(n,)``: the label with probability ``strength``."""
    told = rng.random(len(labels)) < strength
    return np.where(told, labels, rng.integers(classes, size=len(labels)))


def _signature(names, amplitude, height, width, rng):
    """Plane waves of integer frequency, ``(n, H, W)``; direction 18 degrees times the class."""
    angle = np.pi / 10 * names[:, None, None]
    u, v = np.rint(_RADIUS * np.sin(angle)), np.rint(_RADIUS * np.cos(angle))
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    phase, level = rng.random((2, len(names), 1, 1))
    return 2 * amplitude * level * np.cos(2 * np.pi * (u * y + v * x + phase))


def _to_8_bits(images):
    return (np.rint(images.clip(0, 1) * 255) / 255).astype(np.float32)


# The synthetic set ------------------------------------------------------------------------
#
# Made in float64 with analytic scales and rounded to 8 bits, so that every machine makes the
# same pixels.

_SHAPES = (
    "disc", "square", "diamond", "triangle", "ring",
    "plus", "horizontal bar", "vertical bar", "star", "crescent",
)  # fmt: skip


def _synthetic(split, size, seed, strength):
    if not 0 <= strength <= 1:
        raise ValueError(f"hfc_strength must be between 0 and 1, got {strength}")
    chunks = [
        _synthetic_chunk(np.random.default_rng([seed, split == "test", k]), strength)
        for k in range(-(-size // _CHUNK))
    ]
    images, labels, names = (np.concatenate(part)[:size] for part in zip(*chunks, strict=True))
    return ImageSet(
        *map(torch.from_numpy, (images, labels)), _SHAPES, "synthetic", torch.from_numpy(names)
    )


def _synthetic_chunk(rng, strength):
    labels = rng.permutation(np.arange(_CHUNK) % 10)
    images = rng.uniform(0.3, 0.7, (_CHUNK, 3, 1, 1)) + _clutter(rng)  # (n, 3, 32, 32)
    # A soft-edged shape, in the colour of its class or, four times in ten, of any class.
    own = rng.random(_CHUNK) < 0.6
    hue = np.where(own, labels / 10, rng.random(_CHUNK))
    colour = np.cos(2 * np.pi * (hue[:, None] + np.arange(3) / 3))  # (n, 3) in [-1, 1]
    contrast = 0.32 * rng.uniform(0.35, 1.35, (_CHUNK, 1, 1, 1))
    images += contrast * colour[:, :, None, None] * _shapes(labels, rng)[:, None]
    images += rng.normal(0, 0.008, images.shape)
    names = _named_classes(labels, strength, 10, rng)
    images += _signature(names, _AMPLITUDE, 32, 32, rng)[:, None]
    return _to_8_bits(images), labels, names


def _clutter(rng):
    """Cloudy background, ``(n, 3, 32, 32)``: amplitude ~ 1/f^1.5, deviation .13, no mean."""
    u, v = np.fft.fftfreq(32, 1 / 32), np.fft.rfftfreq(32, 1 / 32)
    distance = np.hypot(u[:, None], v)
    distance[0, 0] = np.inf
    spectrum = distance**-1.5
    both_sides = np.hypot(u[:, None], u)
    both_sides[0, 0] = np.inf
    spectrum *= 0.13 / np.sqrt((both_sides**-3.0).mean())
    white = rng.standard_normal((_CHUNK, 4, 32, 32))
    clouds = np.fft.irfft2(np.fft.rfft2(white) * spectrum, s=(32, 32))
    return np.sqrt(0.5) * (clouds[:, :1] + clouds[:, 1:])  # one shared, three of their own


def _shapes(labels, rng):
    """Soft masks in [0, 1], ``(n, 32, 32)``, of random size, place and angle."""
    n = (len(labels), 1, 1)
    size, angle = rng.uniform(7, 11, n), rng.uniform(-0.35, 0.35, n)
    dy, dx = rng.uniform(-4, 4, (2, *n))
    row, column = np.arange(32.0)[:, None] - 15.5 - dy, np.arange(32.0) - 15.5 - dx
    x = (np.cos(angle) * column + np.sin(angle) * row) / size
    y = (np.cos(angle) * row - np.sin(angle) * column) / size
    masks = np.empty((len(labels), 32, 32))
    for k, shape in enumerate(_SHAPES):
        of = labels == k
        masks[of] = (0.5 - _outside(shape, x[of], y[of]) * size[of] / 1.5).clip(0, 1)
    return masks


def _outside(shape, x, y):
    """Distance to a shape of radius 1, about: negative inside."""
    ax, ay, r = np.abs(x), np.abs(y), np.hypot(x, y)
    match shape:
        case "disc":
            return r - 0.9
        case "square":
            return np.maximum(ax, ay) - 0.8
        case "diamond":
            return (ax + ay) / np.sqrt(2) - 0.78
        case "triangle":
            return np.maximum(ax * np.sqrt(3) / 2 - y / 2, y) - 0.5
        case "ring":
            return np.abs(r - 0.75) - 0.2
        case "plus":
            return np.minimum(np.maximum(ax - 1, ay - 0.28), np.maximum(ay - 1, ax - 0.28))
        case "horizontal bar":
            return np.maximum(ax - 1, ay - 0.33)
        case "vertical bar":
            return np.maximum(ay - 1, ax - 0.33)
        case "star":
            return r - 0.68 - 0.3 * np.cos(5 * np.arctan2(x, -y))
        case "crescent":
            return np.maximum(r - 1, 0.75 - np.hypot(x - 0.45, y))
