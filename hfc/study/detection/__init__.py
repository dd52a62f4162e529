"""Chapter 6: objects, and what is unfamiliar, found in components of images."""

from hfc.study.detection.photograph import cells
from hfc.study.detection.show import (
    ap_by_size,
    average_precision,
    box_explorer,
    boxed,
    detected_better,
    tuned_further,
)
from hfc.study.detection.show_unfamiliar import (
    by_score,
    caught,
    confidence,
    separated_on_copies,
    what_differs,
)

__all__ = [
    "ap_by_size",
    "average_precision",
    "box_explorer",
    "boxed",
    "by_score",
    "caught",
    "cells",
    "confidence",
    "detected_better",
    "separated_on_copies",
    "tuned_further",
    "what_differs",
]
