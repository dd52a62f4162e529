"""Figure of claim N1: a dot for every network of the book."""

from collections.abc import Iterable

from hfc import display
from hfc.display import Picture
from hfc.study.biases.table import networks
from hfc.study.criteria import Estimate
from hfc.study.results import Result

__all__ = ["biases_and_accuracy"]

_HIGH = "high + mean, r = 8"
_PLOTS = {"accuracy": "test images right (%)", "robust": "right under PGD 4/255 (%)"}
_ROLES = ("low", "high", "both", "neither", "original")
_MARKERS = "os^Dv*P"


def biases_and_accuracy(results: Iterable[Result]) -> Picture:
    """Accuracy, and robust accuracy, against the share that is kept on HFC copies.

    Parameters
    ----------
    results : iterable of Result
        As in :func:`hfc.study.biases.networks`.

    Returns
    -------
    Picture
        A dot for each network, a mark for each experiment.
    """
    table, told = networks(results), []
    with display.style():
        figure, plots = display.subplots(1, 2, height=3.8)
        for axes, (column, label) in zip(plots, _PLOTS.items(), strict=True):
            known = table[table[column].notna()]
            for k, (experiment, part) in enumerate(known.groupby("experiment", sort=False)):
                axes.plot(
                    100 * part[_HIGH],
                    100 * part[column],
                    _MARKERS[k % len(_MARKERS)],
                    color=display.COLOURS[_ROLES[k % len(_ROLES)]],
                    label=experiment if column == "accuracy" else None,
                )
            rank = Estimate.correlation(known[_HIGH], known[column]).value
            axes.set(title=f"rank correlation {rank:+.2f}".replace("-", "−"), ylabel=label)
            told.append(f"{len(known)} networks, {label}: rank correlation {rank:+.2f}")
        figure.supxlabel("kept on HFC copies, r = 8 (% of accuracy)", fontsize=12)
        figure.legend(loc="outside upper left", ncols=2, handlelength=1)
    return display.show(
        figure,
        "Accuracy against the share that is kept on HFC copies, a dot for each network. "
        + "; ".join(told),
    )
