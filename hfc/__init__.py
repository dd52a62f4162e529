"""What convolutional networks do with the high-frequency component of images.

The rooms, ground floor first: :mod:`hfc.frequency`, :mod:`hfc.synthetic`, :mod:`hfc.data`,
:mod:`hfc.models`, :mod:`hfc.kernels`, :mod:`hfc.augment`, :mod:`hfc.training`,
:mod:`hfc.evaluation`, :mod:`hfc.attacks`, :mod:`hfc.measures`, :mod:`hfc.catalogue`,
:mod:`hfc.results`, :mod:`hfc.verdicts`, :mod:`hfc.experiments`, :mod:`hfc.figures`,
:mod:`hfc.prose`. A room imports only rooms named before it.
"""

__version__ = "0.1.0"
