"""Detection sets by name: scenes, blood cells, COCO."""

import hashlib
import json
import os
from pathlib import Path

from hfc.arguments import Count, Seed, checked
from hfc.data import DatasetError, data_root
from hfc.detection.coco import load_coco
from hfc.detection.scenes import make_scenes
from hfc.detection.sets import DetectionSet

__all__ = ["SETS", "detection_digest", "load_detection"]

SETS = ("scenes", "bccd", "coco")
_PLACES = {  # folder of the pictures and file of the boxes, below the root
    ("bccd", "train"): ("bccd", "instances_train.json"),
    ("bccd", "val"): ("bccd", "instances_val.json"),
    ("bccd", "test"): ("bccd", "instances_test.json"),
    ("coco", "train"): ("coco/train2017", "../annotations/instances_train2017.json"),
    ("coco", "test"): ("coco/val2017", "../annotations/instances_val2017.json"),
}


@checked
def load_detection(
    name: str,
    split: str = "train",
    *,
    size: Count | None = None,
    side: Count | None = None,
    seed: Seed = 0,
    hfc_strength: float | None = None,
    root: str | os.PathLike | None = None,
) -> DetectionSet:
    """Load a detection set by its name.

    Parameters
    ----------
    name : str
        ``"scenes"``: made here (:func:`hfc.detection.scenes.make_scenes`). ``"bccd"``: microscope
        photographs of blood cells, three classes, in the COCO format: pictures and
        ``instances_{train,val,test}.json`` in the folder ``bccd``. ``"coco"``: COCO 2017 as it
        is distributed, ``train2017``, ``val2017`` and ``annotations`` in the folder ``coco``.
    split : str
        ``"train"`` or ``"test"``, for ``"bccd"`` also ``"val"``. COCO's test boxes are secret:
        there ``"test"`` is its validation set.
    size, side : int, optional
        As in :func:`hfc.detection.coco.load_coco`; ``side`` not for scenes. Default all, and 600
        scenes for training, 200 for testing.
    seed : int
        Which scenes.
    hfc_strength : float, optional
        As in :func:`hfc.detection.scenes.make_scenes`; for scenes only.
    root : path, optional
        As in :func:`hfc.data.load`.

    Returns
    -------
    DetectionSet
        Labels of ``"coco"`` are the ids of its categories, as torchvision's detectors have them.

    Raises
    ------
    ValueError
        If an argument is unknown or of no meaning for this set.
    DatasetError
        If files are missing or damaged.

    Notes
    -----
    BCCD: Shenggan and Cheng, "BCCD Dataset", MIT licence. COCO: Lin et al. 2014. COCO's
    validation set takes 18 GB of memory.
    """
    _check_name(name)
    if name == "scenes":
        if side is not None:
            raise ValueError(f"side must be left out for scenes, got {side}")
        size = size or (200 if split == "test" else 600)
        strength = 0.5 if hfc_strength is None else hfc_strength
        return make_scenes(split, size=size, seed=seed, hfc_strength=strength)
    if hfc_strength is not None:
        raise ValueError(f"hfc_strength must be left out for {name}, got {hfc_strength}")
    known = [part for own, part in _PLACES if own == name]
    if split not in known:
        raise ValueError(f"split must be one of {', '.join(known)}, got {split!r}")
    folder, instances = _PLACES[name, split]
    found = _explained(name, load_coco)(
        data_root(root) / folder, instances, size=size, side=side, by_id=name == "coco"
    )
    return DetectionSet(found.images, found.boxes, found.labels, found.classes, name)


@checked
def detection_digest(name: str, root: str | os.PathLike | None = None) -> str:
    """First 16 digits of a sha256 that tells a set's files; empty for what is made by code.

    It goes over the boxes of every split that is there, and over name and size of its pictures.

    Raises
    ------
    ValueError
        If there is no such set.
    DatasetError
        If files are missing; the test split must be there.
    """
    _check_name(name)
    if name == "scenes":
        return ""
    digest = hashlib.sha256()
    for (own, split), (folder, instances) in _PLACES.items():
        place = data_root(root) / folder
        if own == name and (split == "test" or (place / instances).is_file()):
            _explained(name, _add_files)(digest, place, instances)
    return digest.hexdigest()[:16]


def _add_files(digest, folder, instances):
    try:
        content = (folder / instances).read_bytes()
        digest.update(content)
        for entry in json.loads(content)["images"]:
            size = (folder / entry["file_name"]).stat().st_size
            digest.update(f"{entry['file_name']} {size}\n".encode())
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{folder / instances} is damaged: {error!r}") from error


def _explained(name, function):
    """The function; what it misses is told with where the set was looked for."""

    def explained(*arguments, **settings):
        try:
            return function(*arguments, **settings)
        except DatasetError as error:
            folder, instances = _PLACES[name, "test"]
            told = f"pictures in {folder}, boxes in {os.path.normpath(Path(folder) / instances)}"
            raise DatasetError(
                f"{name} is missing or damaged: {error} (wanted below $HFC_DATA: {told})"
            ) from error

    return explained


def _check_name(name):
    if name not in SETS:
        raise ValueError(f"name must be one of {', '.join(SETS)}, got {name!r}")
