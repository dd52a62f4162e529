"""Chapter 5, adversarial robustness: its experiments, and what it shows of them."""

from hfc.study.robustness.show import (
    attack_explorer,
    attacks_tried,
    bound_table,
    bounds,
    defence_table,
    filter_defence,
    spectra,
    under_attack,
    what_passes,
)
from hfc.study.robustness.show_kernels import (
    beside_paper,
    kernel_sheets,
    kernel_table,
    remedies,
    remedy_table,
    smooth_or_robust,
    smoothing_attacks,
)

__all__ = [
    "attack_explorer",
    "attacks_tried",
    "beside_paper",
    "bound_table",
    "bounds",
    "defence_table",
    "filter_defence",
    "kernel_sheets",
    "kernel_table",
    "remedies",
    "remedy_table",
    "smooth_or_robust",
    "smoothing_attacks",
    "spectra",
    "under_attack",
    "what_passes",
]
