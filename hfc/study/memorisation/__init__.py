"""Chapter 3: what a network memorises, and what it learns from one component alone.

Settings stand in ``experiments``, what is measured besides accuracy on copies in ``measure``,
the rules of C04 to C06 in ``rules``, tables and figures in ``show`` and ``show_components``.
"""

from hfc.study.memorisation.show import (
    against_paper,
    epoch_slider,
    half_learned,
    kept_on_copies,
    low_while_learning,
    running_mean,
    two_labels,
    waves_while_learning,
    which_is_which,
    while_learning,
)
from hfc.study.memorisation.show_components import (
    by_agreement,
    by_agreement_table,
    full_and_matching,
    on_one_component,
    scaled_copies,
    table_1,
)

__all__ = [
    "against_paper",
    "by_agreement",
    "by_agreement_table",
    "epoch_slider",
    "full_and_matching",
    "half_learned",
    "kept_on_copies",
    "low_while_learning",
    "on_one_component",
    "running_mean",
    "scaled_copies",
    "table_1",
    "two_labels",
    "waves_while_learning",
    "which_is_which",
    "while_learning",
]
