"""Chapter 4: what dropout, mixup, BatchNorm, batch sizes and other tricks do to frequencies."""

from hfc.study.heuristics.show import (
    against_paper,
    at_the_same_accuracy,
    changes,
    copies_by_epoch,
    high_by_radius,
    what_is_left,
    what_paper_read,
)
from hfc.study.heuristics.show_batchnorm import (
    added,
    added_by_recipe,
    added_in_brief,
    authors_network,
    by_statistics,
    raw_and_scaled,
    statistics_by_epoch,
    suspects,
    trained_on_low,
    trained_on_low_table,
)
from hfc.study.heuristics.show_controls import company, stale_averages
from hfc.study.heuristics.show_training import (
    architectures,
    batch_sizes,
    batch_sizes_table,
    optimizers,
    optimizers_table,
)
from hfc.study.heuristics.show_wave import (
    wave_at_the_same_accuracy,
    wave_believed,
    wave_table,
)

__all__ = [
    "added",
    "added_by_recipe",
    "added_in_brief",
    "against_paper",
    "architectures",
    "at_the_same_accuracy",
    "authors_network",
    "batch_sizes",
    "batch_sizes_table",
    "by_statistics",
    "changes",
    "company",
    "copies_by_epoch",
    "high_by_radius",
    "optimizers",
    "optimizers_table",
    "raw_and_scaled",
    "stale_averages",
    "statistics_by_epoch",
    "suspects",
    "trained_on_low",
    "trained_on_low_table",
    "wave_at_the_same_accuracy",
    "wave_believed",
    "wave_table",
    "what_is_left",
    "what_paper_read",
]
