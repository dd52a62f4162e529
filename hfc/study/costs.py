"""What experiments cost: seconds of the stored runs, and image passes."""

import pandas as pd

from hfc import display
from hfc.study import catalogue
from hfc.study.catalogue import image_passes
from hfc.study.kinds import embedded
from hfc.study.results import load

__all__ = ["table"]


def table() -> display.Table:
    """Seconds and minutes of one core, and million image passes, at every scale.

    Three seeds of every condition, or as many as are stored; a dash where no run is.

    Returns
    -------
    display.Table
    """
    rows = {name: _row(name) for name in catalogue.experiments()}
    return display.table(pd.DataFrame.from_dict(rows, orient="index"), "Costs of experiments")


def _row(name):
    quick = _seconds(name, "quick", embedded(catalogue.scale(name, "quick").base))
    cpu = _seconds(name, "cpu", catalogue.reference_data(name))
    passes = {scale: 3 * image_passes(name, scale) / 1e6 for scale in ("quick", "cpu", "paper")}
    return {
        ("quick", "seconds"): "–" if quick is None else f"{quick:.0f}",
        ("quick", "million passes"): f"{passes['quick']:.2f}",
        ("cpu", "minutes"): "–" if cpu is None else f"{cpu / 60:.0f}",
        ("cpu", "million passes"): f"{passes['cpu']:.1f}",
        ("paper", "million passes"): f"{passes['paper']:.0f}",
    }


def _seconds(name, scale, dataset):
    """Of one core; None where nothing is stored."""
    try:
        units = load(name, scale=scale, dataset=dataset).units
    except FileNotFoundError:
        return None
    return sum(u.provenance["seconds"] * u.provenance["threads"] for u in units)
