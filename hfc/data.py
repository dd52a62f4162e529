"""Whole datasets in memory as one value.

>>> train = load("synthetic", "train", size=200, hfc_strength=1)
>>> train.images.shape
torch.Size([200, 3, 32, 32])
>>> train.classes[train.labels[0]]
'square'
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

from hfc import synthetic
from hfc.arguments import Seed, check_fields, checked
from hfc.compat import import_torchvision

__all__ = [
    "CHECKSUMS",
    "NAMES",
    "DatasetError",
    "ImageSet",
    "content_digest",
    "data_root",
    "download",
    "human_votes",
    "load",
    "plant_signature",
    "shuffle_labels",
    "state",
]

_TORCHVISION = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "mnist": "MNIST"}
NAMES = ("synthetic", *_TORCHVISION)
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    "cifar10h-counts.npy": "e3a314fdecb1f8aeb680f50fde8682d83065d5191d8fc76f0bdc86333bd7fefe",
}
"""Of the files that torchvision does not check: md5 of MNIST's, and sha256 of the counts of
CIFAR-10H as int64, little endian, however the file stores them."""


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
        if isinstance(self.classes, list):
            object.__setattr__(self, "classes", tuple(self.classes))
        check_fields(self)
        if self.images.dtype != torch.float32:
            raise TypeError(f"images must be float32 in [0, 1], got {self.images.dtype}")
        if self.images.ndim != 4 or self.images.numel() == 0:
            shape = tuple(self.images.shape)
            raise ValueError(f"images must have shape (N, C, H, W), none of them 0, got {shape}")
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


@checked
def load(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    seed: Seed = 0,
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


@checked
def data_root(root: str | os.PathLike | None = None) -> Path:
    """Folder of the real data: ``root``, else ``$HFC_DATA``, else ``~/.cache/hfc``."""
    return Path(root or os.environ.get("HFC_DATA") or "~/.cache/hfc").expanduser()


@checked
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


@checked
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
    dataset = _dataset_class(name)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _fetch(name, dataset, root)
    except OSError as error:
        raise DatasetError(f"{name} could not be stored in {root}: {error.strerror}.") from error
    return root


def _fetch(name, dataset, root):
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


@checked
def content_digest(name: str, root: str | os.PathLike | None = None) -> str:
    """First 16 digits of the sha256 of a dataset's files; empty for what is made by code.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    root : path, optional
        As in :func:`load`.

    Raises
    ------
    DatasetError
        If files are missing or damaged.
    """
    _check_name(name, NAMES)
    if name == "synthetic":
        return ""
    root = data_root(root)
    _check_files(name, root)
    dataset, digest = _dataset_class(name), hashlib.sha256()
    for file, _ in _files(dataset):
        digest.update(_content(name, root / _folder(dataset) / file))
    return digest.hexdigest()[:16]


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
        if not os.path.isfile(path):
            raise DatasetError(
                f"{name} is missing: no {path} (looked under {root}; set HFC_DATA to look "
                f"elsewhere); {cure}"
            )
        content = _content(name, path)
        if hashlib.md5(content).hexdigest() == md5:
            continue
        # A pickle ends with a full stop.
        whole = content.endswith(b".") or hasattr(dataset, "resources")
        what = "has a wrong checksum" if whole else "is truncated"
        raise DatasetError(
            f"{name} is damaged: {path} {what} ({len(content):,} bytes, md5 should be {md5}); "
            f"remove it and {cure}"
        )


def _content(name, path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{name} cannot be read: {path}: {error.strerror}") from error


def _dataset_class(name):
    import_torchvision()
    from torchvision import datasets

    return getattr(datasets, _TORCHVISION[name])


def _folder(dataset):
    """Folder below the root that holds a torchvision dataset's files."""
    return getattr(dataset, "base_folder", None) or Path(dataset.__name__) / "raw"


def _files(dataset):
    """Names and md5 of a torchvision dataset's files."""
    if hasattr(dataset, "train_list"):
        meta = (dataset.meta["filename"], dataset.meta["md5"])
        return [*dataset.train_list, *dataset.test_list, meta]
    names = [Path(archive).stem for archive, _ in dataset.resources]
    return [(name, CHECKSUMS[name]) for name in names]


# Made data --------------------------------------------------------------------------------


def _synthetic(split, size, seed, strength):
    if not 0 <= strength <= 1:
        raise ValueError(f"hfc_strength must be between 0 and 1, got {strength}")
    chunks = [
        synthetic.chunk(np.random.default_rng([seed, split == "test", k]), strength)
        for k in range(-(-size // synthetic.CHUNK))
    ]
    images, labels, names = (
        torch.from_numpy(np.concatenate(part)[:size]) for part in zip(*chunks, strict=True)
    )
    return ImageSet(images, labels, synthetic.SHAPES, "synthetic", names)


@checked
def plant_signature(
    data: ImageSet, strength: float, *, amplitude: float = synthetic.AMPLITUDE, seed: Seed = 0
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
    if min(height, width) < 2 * (synthetic.RADIUS + 1):
        raise ValueError(f"images must be at least 26x26 pixels, got {height}x{width}")
    images, signature, n = [], [], synthetic.CHUNK
    for k, part in enumerate(data.images.cpu().split(n)):
        rng = np.random.default_rng([seed, 2, k])
        labels = data.labels[k * n : (k + 1) * n].cpu().numpy()
        names = synthetic.named_classes(labels, strength, len(data.classes), rng)
        wave = synthetic.signature(names, amplitude, height, width, rng)
        images.append(synthetic.to_8_bits(part.double().numpy() + wave[:, None]))
        signature.append(names)
    return dataclasses.replace(
        data,
        images=torch.from_numpy(np.concatenate(images)),
        labels=data.labels.cpu(),
        signature=torch.from_numpy(np.concatenate(signature)),
        name=f"{data.name} + signature",
    )


@checked
def shuffle_labels(data: ImageSet, fraction: float, *, seed: Seed = 0) -> ImageSet:
    """Give a fraction of the images one another's labels.

    Parameters
    ----------
    data : ImageSet
    fraction : float
        Share of the images that take part, 0 to 1. None of them keeps its own label (it may
        get the same class from another image), and every class stays as frequent as it was.
    seed : int
        Which images, and which order.

    Returns
    -------
    ImageSet

    Raises
    ------
    ValueError
        If ``fraction`` is out of range, or so small that a single image would take part.

    Notes
    -----
    Zhang et al. 2017, "random labels".
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be between 0 and 1, got {fraction}")
    count = round(fraction * len(data))
    if count == 0 and fraction == 0:
        return data
    if count < 2:
        raise ValueError(f"fraction must select at least 2 of {len(data)} images, got {fraction}")
    generator = torch.Generator().manual_seed(seed)
    circle = torch.randperm(len(data), generator=generator)[:count].to(data.labels.device)
    labels = data.labels.clone()
    labels[circle] = data.labels[circle.roll(1)]
    return dataclasses.replace(data, labels=labels, name=f"{data.name}, labels shuffled")


# People -----------------------------------------------------------------------------------


@checked
def human_votes(root: str | os.PathLike | None = None) -> Tensor:
    """How often people gave each test image of CIFAR-10 each label (CIFAR-10H).

    Parameters
    ----------
    root : path, optional
        Folder that holds ``cifar10h-counts.npy``; see :func:`data_root`.

    Returns
    -------
    Tensor
        ``(10000, 10)``, int64, about 51 votes an image, in the order of the test set.

    Raises
    ------
    DatasetError
        If the file is missing or damaged.

    Notes
    -----
    Peterson et al. 2019, "Human uncertainty makes classification more robust".
    """
    path = data_root(root) / "cifar10h-counts.npy"
    if not path.is_file():
        raise DatasetError(
            f"cifar10h is missing: no {path}; get cifar10h-counts.npy from "
            "https://github.com/jcpeterson/cifar-10h"
        )
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file)
        if found.shape != (10_000, 10):
            raise ValueError(f"counts must have shape (10000, 10), got {found.shape}")
        if (
            not ((found >= 0) & (found < 1000)).all()
            or (found % 1).any()
            or (found == 0).all(1).any()
        ):
            raise ValueError("counts must be whole numbers below 1000, some in each row")
        votes = torch.from_numpy(found.astype(np.int64))
        if hashlib.sha256(found.astype("<i8").tobytes()).hexdigest() != CHECKSUMS[path.name]:
            raise ValueError("its counts are not those of CIFAR-10H")
    except Exception as error:  # whatever a damaged file makes numpy raise
        raise DatasetError(f"cifar10h is damaged: {path}: {error}; get it again") from error
    return votes
