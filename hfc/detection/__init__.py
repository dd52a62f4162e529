"""Find objects: sets of images with boxes, RetinaNet, average precision.

>>> from hfc.detection import build_detector, detect, make_scenes
>>> scenes = make_scenes("test", size=2)
>>> model = build_detector("small", num_classes=len(scenes.classes))
>>> len(detect(model, scenes.images))
2
"""

from hfc.detection.coco import load_coco
from hfc.detection.controls import brightened, mirrored, recompressed
from hfc.detection.networks import build_detector
from hfc.detection.scenes import make_scenes
from hfc.detection.scores import best_match, detect, mean_average_precision
from hfc.detection.sets import Detections, DetectionSet, components
from hfc.detection.sources import load_detection
from hfc.detection.training import fit_detector, mirror

__all__ = [
    "DetectionSet",
    "Detections",
    "best_match",
    "brightened",
    "build_detector",
    "components",
    "detect",
    "fit_detector",
    "load_coco",
    "load_detection",
    "make_scenes",
    "mean_average_precision",
    "mirror",
    "mirrored",
    "recompressed",
]
