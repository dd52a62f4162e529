"""What a classifier was not made for: images of other things, and images that were attacked.

>>> import torch
>>> from hfc.unfamiliar import separation
>>> found = separation(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.25, 0.8]))
>>> f"{found['AUROC']:.2f}"
'0.83'
"""

from hfc.unfamiliar.attacked import AgreedAnswer, SpectralDetector, disagreement
from hfc.unfamiliar.scores import (
    SCORES,
    calibration_error,
    features,
    outlier_scores,
    separation,
)
from hfc.unfamiliar.sets import UNFAMILIAR, load_pictures, load_unfamiliar

__all__ = [
    "SCORES",
    "UNFAMILIAR",
    "AgreedAnswer",
    "SpectralDetector",
    "calibration_error",
    "disagreement",
    "features",
    "load_pictures",
    "load_unfamiliar",
    "outlier_scores",
    "separation",
]
