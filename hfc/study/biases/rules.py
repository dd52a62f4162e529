"""What claim N1 is judged by: correlations over networks."""

from hfc.study.biases.table import networks
from hfc.study.criteria import Estimate

__all__ = ["RULES"]

_HIGH = "high + mean, r = 8"


def _biases(claim, *results):
    table = networks(results)
    attacked = table[table["robust"].notna()]
    kept = [name for name in table if name not in ("accuracy", "robust")]
    alone = {}
    for name in kept:
        found = Estimate.correlation(table[name], table["accuracy"])
        alone[name] = found if found.value >= 0 else found.negative()
    return {
        "accuracy": {"": Estimate.correlation(table[_HIGH], table["accuracy"])},
        "not robustness": {"": Estimate.correlation(attacked[_HIGH], attacked["robust"])},
        "no single one": alone,
    }


RULES = {"N1": _biases}
