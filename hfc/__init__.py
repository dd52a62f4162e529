"""What convolutional networks do with the high-frequency component of images.

The house, ground floor first; a room imports only rooms named before it.

* :mod:`hfc.arguments`, :mod:`hfc.frequency`, :mod:`hfc.intervals`, :mod:`hfc.flags`,
  :mod:`hfc.files`, :mod:`hfc.machine`, :mod:`hfc.compat`
* :mod:`hfc.synthetic`, :mod:`hfc.data`, :mod:`hfc.models`, :mod:`hfc.wrappers`,
  :mod:`hfc.batchnorm`, :mod:`hfc.kernels`, :mod:`hfc.augment`, :mod:`hfc.checkpoints`
* :mod:`hfc.training`, :mod:`hfc.evaluation`, :mod:`hfc.attacks`, :mod:`hfc.robustness`
* :mod:`hfc.display`, which shows arrays and numbers
* :mod:`hfc.study`, the book's own experiments, results and verdicts

The names below come from these rooms when they are first used:

>>> import hfc
>>> train_set = hfc.load("synthetic", "train", size=100)
>>> low, high = hfc.split(train_set.images, radius=8)
"""

from importlib import import_module

__version__ = "0.1.0"

_FACE = {
    "ImageSet": "data",
    "Recipe": "training",
    "build": "models",
    "fit": "training",
    "load": "data",
    "robust_accuracy": "robustness",
    "split": "frequency",
}

__all__ = [*_FACE]


def __getattr__(name):
    if name in _FACE:
        return getattr(import_module(f"hfc.{_FACE[name]}"), name)
    raise AttributeError(f"module 'hfc' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_FACE})
