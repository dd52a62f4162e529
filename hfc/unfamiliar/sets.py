"""Images of what a classifier was not trained on: any folder of pictures, and some by name."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from hfc.arguments import Count, Seed, checked
from hfc.data import DatasetError, data_root, load, state
from hfc.detection.scenes import SIDE, make_scenes

__all__ = ["UNFAMILIAR", "load_pictures", "load_unfamiliar"]

UNFAMILIAR = ("crops", "scenes", "cifar100", "gtsrb", "textures")
_FOLDERS = {  # below the root, as torchvision lays them out
    "cifar100": "cifar100/test",
    "gtsrb": "gtsrb/GTSRB/Final_Test/Images",
    "textures": "dtd/dtd/images",
}
_ENDINGS = (".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".webp")


@checked
def load_unfamiliar(
    name: str,
    *,
    size: Count = 1000,
    seed: Seed = 0,
    root: str | os.PathLike | None = None,
) -> Tensor:
    """Images of 32x32 pixels that no classifier of this book was trained on.

    Parameters
    ----------
    name : str
        Made here: ``"scenes"``, whole scenes (:func:`hfc.detection.scenes.make_scenes`) shrunk to
        32 pixels, and ``"crops"``, pieces of scenes. Real: ``"cifar100"``, its test images, other
        objects photographed in the same way; ``"gtsrb"``, traffic signs; ``"textures"``, the
        Describable Textures Dataset.
    size : int
        Number of images: a random subset, or all where there are fewer.
    seed : int
        Which subset, or which scenes.
    root : path, optional
        As in :func:`hfc.data.load`. Looked for, in torchvision's layout, are ``cifar-100-python``,
        else pictures in ``cifar100/test``; ``gtsrb/GTSRB/Final_Test/Images``; ``dtd/dtd/images``.

    Returns
    -------
    Tensor
        ``(N, 3, 32, 32)``, float32 in [0, 1].

    Raises
    ------
    ValueError
        If there is no such set.
    DatasetError
        If files are missing or damaged.

    Notes
    -----
    Stallkamp et al. 2011 (GTSRB); Cimpoi et al. 2014 (DTD).
    """
    if name not in UNFAMILIAR:
        raise ValueError(f"name must be one of {', '.join(UNFAMILIAR)}, got {name!r}")
    if name in ("crops", "scenes"):
        return _from_scenes(name, size, seed)
    if name == "cifar100" and state(name, root) == "ready":
        images = load(name, "test", root=root).images
        return images[_subset(len(images), size, seed)]
    return load_pictures(data_root(root) / _FOLDERS[name], size=size, seed=seed)


@checked
def load_pictures(
    folder: str | os.PathLike, *, side: Count = 32, size: Count | None = None, seed: Seed = 0
) -> Tensor:
    """Load the pictures of a folder and all folders below it as small squares.

    Parameters
    ----------
    folder : path
    side : int
        Pictures are shrunk, or enlarged, until their shorter side has so many pixels, and cut to
        a square around their middle.
    size : int, optional
        At most so many: a random subset; default all.
    seed : int
        Which subset.

    Returns
    -------
    Tensor
        ``(N, 3, side, side)``, float32 in [0, 1], in the order of their paths.

    Raises
    ------
    DatasetError
        If the folder is missing or holds no picture, or one of them cannot be read.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    if not paths:
        kinds = ", ".join(_ENDINGS)
        raise DatasetError(f"{folder} is missing or holds no pictures ({kinds})")
    chosen = _subset(len(paths), size or len(paths), seed).sort().values.tolist()
    pixels = np.stack([_square(paths[k], side) for k in chosen])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float().div_(255)


def fingerprint(images: Tensor) -> str:
    """First 16 digits of the sha256 of pixels in 256 levels."""
    pixels = (images * 255).round().to(torch.uint8).cpu().contiguous()
    return hashlib.sha256(pixels.numpy().tobytes()).hexdigest()[:16]


def _subset(count, size, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=generator)[:size]


def _square(path, side):
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path} is damaged or no picture: {error}") from error
    shorter = min(picture.size)
    if shorter != side:
        size = [max(side, round(n * side / shorter)) for n in picture.size]
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = ((n - side) // 2 for n in picture.size)
    return np.array(picture.crop((left, top, left + side, top + side)))


def _from_scenes(name, size, seed):
    images = torch.stack(make_scenes("test", size=size, seed=seed).images)
    if name == "scenes":
        return functional.avg_pool2d(images, SIDE // 32)
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(SIDE - 32 + 1, (size, 2), generator=generator).tolist()
    return torch.stack(
        [
            image[:, row : row + 32, column : column + 32]
            for image, (row, column) in zip(images, corners, strict=True)
        ]
    )
