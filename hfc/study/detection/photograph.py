"""One photograph of blood cells with the boxes of a trained detector, kept as a result.

``python -m hfc.study.detection.photograph FOLDER`` makes it anew from the networks that a run of
the experiment ``detection`` left in a folder.
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hfc.detection import Detections, best_match, detect
from hfc.files import write_whole
from hfc.machine import default_device, threads, using_threads
from hfc.study import catalogue
from hfc.study.detection.show import SURE, explorer_of
from hfc.study.detectors import train
from hfc.study.identity import network_file, unit_code
from hfc.study.kinds import content_digest
from hfc.study.provenance import provenance
from hfc.study.unit import seeded

__all__ = ["cells", "make"]

FILE = Path(__file__).with_name("cells.json")
_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)


def cells():
    """Slider over the radius: the photograph, its LFC and its HFC, with boxes.

    Returns
    -------
    ipywidgets.VBox
        See :func:`hfc.display.slideshow`. The photograph is one of BCCD's (MIT licence, Shenggan
        and Cheng), at half of its size.
    """
    kept = json.loads(FILE.read_bytes())
    with Image.open(io.BytesIO(base64.b64decode(kept["photograph"]))) as picture:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    original, *copies = ([_detections(one) for one in part] for part in kept["found"])
    found = {None: original[0]} | dict(zip(kept["shares"], copies, strict=True))
    return explorer_of(pixels, found, kept["classes"], start=1)


def make(folder: Path, seed: int = 10) -> None:
    """Choose the photograph and store it with what the detector of a seed finds.

    Of the test pictures that show every class it is the one with the middle share of objects found
    (the first of those with the lower middle one, if two are equally near).

    Parameters
    ----------
    folder : path
        Of the run; a network that is not there is trained.
    seed : int
    """
    experiment = catalogue.experiment("detection")
    (condition,) = experiment.scales["cpu"].each()
    settings = seeded(condition.settings, seed)
    with using_threads(threads()):
        kept = network_file(folder, settings, content_digest(settings.dataset))
        model, _, data, _ = train(settings, resume=kept)
        scores = best_match(detect(model, data.images), data)
        every = [k for k, labels in enumerate(data.labels) if len(labels.unique()) == 3]
        shares = {k: (scores[k] >= SURE).float().mean().item() for k in every}
        chosen = sorted(every, key=lambda k: (shares[k], k))[(len(every) - 1) // 2]
        photograph, image = _as_jpeg(data.images[chosen])
        shown = [[image]]
        for share in _SHARES:
            (low,) = _low(image, share)
            shown.append([low, image - low])
        found = [detect(model, part) for part in shown]
    write_whole(
        FILE,
        json.dumps(
            {
                "rule": make.__doc__.split("\n\n")[1].replace("\n    ", " ").strip(),
                "picture": chosen,
                "seed": seed,
                "provenance": provenance(
                    default_device(), threads(), unit_code(experiment.measure, settings)
                ),
                "classes": list(data.classes),
                "shares": list(_SHARES),
                "photograph": photograph,
                "found": [[_as_lists(one) for one in part] for part in found],
            },
            indent=1,
        ).encode(),
    )


def _low(image, share):
    from hfc.detection import components

    return components([image], "low", share, of_nyquist=True)


def _as_jpeg(image):
    """The picture as JPEG in base64, and its pixels as they are read again."""
    pixels = (255 * image).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    with Image.open(file) as picture:
        read = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    return base64.b64encode(file.getvalue()).decode(), read


def _as_lists(found):
    sure = found.above(SURE)
    boxes = [[round(v, 1) for v in box] for box in sure.boxes.tolist()]
    scores = [round(score, 3) for score in sure.scores.tolist()]
    return {"boxes": boxes, "scores": scores, "labels": sure.labels.tolist()}


def _detections(kept):
    boxes = torch.tensor(kept["boxes"]).reshape(-1, 4)
    return Detections(boxes, torch.tensor(kept["scores"]), torch.tensor(kept["labels"]).long())


if __name__ == "__main__":
    make(Path(sys.argv[1]))
