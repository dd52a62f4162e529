"""Networks matched by accuracy, row by row with loops; and results whose truth is known."""

import dataclasses
import itertools
import math
import zlib
from functools import cache

from hfc.study import catalogue
from hfc.study.results import Result, Unit

ROUNDING = 1e-6  # accuracies are stored from single precision


def with_match(rows, keys):
    """Rows with a column ``match``: the accuracy by which networks are matched."""
    rows = rows.assign(match=rows["original"])
    if "statistics" not in keys:
        return rows
    same = ["seed", *(k for k in keys if k not in ("statistics", "company"))]
    plain = rows[(rows["statistics"] == "running") & (rows["company"] == "alone")]
    by_weights = plain.set_index(same)["original"].to_dict()
    rows["match"] = [by_weights[tuple(labels)] for labels in rows[same].itertuples(index=False)]
    return rows


def networks(rows, keys):
    """Labels (seed first) and the rows of each network, epoch by epoch."""
    others = ["seed", *(k for k in keys if k != "epoch")]
    for labels, group in with_match(rows, keys).groupby(others, sort=False):
        yield labels, group.sort_values("epoch").to_dict("records")


def common_accuracy(rows, keys):
    """Highest accuracy, in whole percent, that every network reached."""
    best = [max(row["match"] for row in measured) for _, measured in networks(rows, keys)]
    return math.floor(100 * (min(best) + ROUNDING)) / 100


def at_accuracy(rows, keys, level, column):
    """For each network, by its labels: the column when the level was reached, or NaN."""
    found = {}
    for labels, measured in networks(rows, keys):
        found[labels] = math.nan
        for k, row in enumerate(measured):
            if row["match"] >= level - ROUNDING:
                if k > 0:
                    before = measured[k - 1]
                    share = (level - before["match"]) / (row["match"] - before["match"])
                    found[labels] = before[column] + share * (row[column] - before[column])
                break
    return found


# Results whose truth is known ---------------------------------------------------------------

SEEDS = (3, 4, 8)
WAYS = [("running", "alone"), ("recalibrated", "alone"), ("batch", "alone"), ("batch", "mixed")]


def chance(*where):
    """A number between 0 and 1 that is always the same there."""
    return zlib.crc32(repr(where).encode()) / 2**32


def made(experiment, places, value, *, seeds=SEEDS):
    """A result in the shape that an experiment gives at scale ``cpu``.

    ``places`` yields the labels of one seed's records; ``value(place, seed)`` gives their numbers.
    """
    units, labels = [], next(catalogue.scale(experiment, "cpu").each()).label
    for seed in seeds:
        by_label = {}
        for place in places:
            label = tuple((key, place[key]) for key in labels)
            by_label.setdefault(label, []).append(place | value(place, seed))
        units += [Unit(seed, dict(k), rows, {}, {}) for k, rows in by_label.items()]
    settings = {"test_size": 1000, "few": 100}
    keys = catalogue.experiment(experiment).keys
    return Result(experiment, "cpu", "cifar10", settings, keys, units)


@cache
def places_of_copies(experiment):
    """Labels of every record of one seed, where accuracy on copies is measured."""
    keys, found = catalogue.experiment(experiment).keys, []
    for condition in catalogue.scale(experiment, "cpu").each():
        own = condition.settings
        axes = {"radius": map(float, own.radii)}
        axes |= {"epoch": own.epochs or (), "images": own.images}
        axes["way"] = WAYS if own.norm == "batch" else WAYS[:1]
        axes = {k: v for k, v in axes.items() if k in keys or (k == "way" and "company" in keys)}
        for values in itertools.product(*axes.values()):
            place = condition.label | dict(zip(axes, values, strict=True))
            if "way" in place:
                place["statistics"], place["company"] = place.pop("way")
            found.append({key: place[key] for key in keys})
    return found


def copies(experiment, **how):
    """Accuracy on images, which rises with the epochs, and on copies, which is all chance."""
    base = catalogue.scale(experiment, "cpu").base
    columns = (*base.components, "high + mean")
    last = max(base.epochs or (1,))

    def value(place, seed):
        where = {k: v for k, v in place.items() if k not in ("radius", "epoch")}
        risen = place.get("epoch", last) / last
        original = 0.1 + risen * (0.5 + 0.3 * chance(seed, where))
        return {"original": original} | {name: chance(seed, name, place) for name in columns}

    return made(experiment, places_of_copies(experiment), value, **how)


def pick(result, column, **labels):
    """The numbers of a column where all labels are as said, by seed, row by row."""
    found = {}
    for unit in result.units:
        for row in unit.records:
            if all(row[key] == wanted for key, wanted in labels.items()):
                assert unit.seed not in found, f"{labels} names several records"
                found[unit.seed] = row[column]
    return found


def minus(first, second):
    """First minus second, for the seeds that both have."""
    return {seed: first[seed] - second[seed] for seed in first if seed in second}


def altered(result, change):
    """The same with records that ``change`` makes of each unit's."""
    units = [dataclasses.replace(unit, records=change(unit.records)) for unit in result.units]
    return dataclasses.replace(result, units=units)
