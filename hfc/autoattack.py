"""The field's yardstick for robustness, AutoAttack, as an attack of foolbox.

Its four attacks need no step size: two find nearly all there is to find (APGD on the cross-entropy,
and aimed at every other class), two look elsewhere (FAB at the smallest perturbation, Square at
answers only). Use it by name through :mod:`hfc.attacks`.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else foolbox needs a git to be installed

import torch
from pyautoattack import AutoAttack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox takes names from where SciPy once had them
    import eagerpy as ep
    from foolbox.attacks.base import FixedEpsilonAttack
    from foolbox.distances import linf

__all__ = ["Ensemble"]

_CLASSES = 4  # the fewest that targeted attacks know what to do with
_TARGETS = 9  # as in the standard ensemble
_APGD = ["apgd-ce", "apgd-t"]


class Ensemble(FixedEpsilonAttack):
    """AutoAttack's ensemble within an L-infinity ball, each attack on what the others left.

    Parameters
    ----------
    standard : bool
        All four attacks, as leader boards want it, in minutes; else the two APGDs, in seconds.

    Notes
    -----
    Croce and Hein 2020; their own code.
    """

    distance = linf

    def __init__(self, *, standard: bool):
        self.standard = standard

    def run(self, model, inputs, criterion, *, epsilon, **kwargs):
        """Images that the model gets wrong, where an attack found some; else as they were."""
        x, restore = ep.astensor_(inputs)
        x, labels = x.raw, criterion.labels.raw
        classes = model(x[:1]).shape[1]
        if classes < _CLASSES:
            raise ValueError(f"model must tell {_CLASSES} classes for AutoAttack, got {classes}")
        seed = int(torch.randint(2**31, ()))
        how = {"eps": epsilon, "norm": "Linf", "seed": seed, "device": x.device}
        with _quiet():
            if self.standard:
                attack = AutoAttack(model, version="standard", **how)
            else:
                attack = AutoAttack(model, version="custom", attacks=_APGD, **how)
                attack.apgd.n_restarts = 1
            attack.apgd_targeted.n_target_classes = min(_TARGETS, classes - 1)
            attack.fab.n_target_classes = min(_TARGETS, classes - 1)
            changed, _ = attack.run_standard_evaluation(x, labels, batch_size=len(x))
        return restore(ep.astensor(changed))


@contextmanager
def _quiet() -> Iterator[None]:
    """What its checks warn of is told by the flags of :mod:`hfc.robustness`; keep a tracer."""
    log, tracer = logging.getLogger("auto-attack"), sys.gettrace()
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        sys.settrace(tracer)
