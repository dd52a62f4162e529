"""Networks matched by accuracy, row by row with loops; and results whose truth is known."""

import dataclasses
import itertools
import math
import zlib
from functools import cache

import numpy as np

from hfc.study import catalogue
from hfc.study.results import Result, Unit
from hfc.study.verdict import claims

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
# A *knob* is a number, or a tuple with one for each seed. Places that a rule does not look at hold
# a decoy: the opposite of what the rest shows.

SEEDS = (0, 1, 2)
RADII = (4, 8, 12, 16)
# The right direction with every seed, 0.15 on average, and not clear: the interval holds 0.
UNSURE = (0.02, 0.14, 0.29)
NONE = (-0.01, 0.0, 0.01)  # no difference: the interval is around 0
WIDE = (-0.03, 0.0, 0.06)  # within 5 points on average, the interval is not
NO_NUMBER = "no number"  # the verdict where something that decides is NaN


def at(knob, seed):
    return knob[seed] if isinstance(knob, tuple) else knob


def on(radii, value, elsewhere=0.0):
    """A knob for each radius."""
    return {radius: value if radius in radii else elsewhere for radius in RADII}


def less(knob):
    return tuple(-value for value in knob)


EVERYWHERE = on(RADII, 0.3)
NOWHERE = on((), 0.0)


@cache
def chance(seed, column, where):
    """A number between -1 and 1 that is always the same there."""
    return zlib.crc32(repr((seed, column, where)).encode()) / 2**31 - 1


def made(experiment, places, value, *, seeds=SEEDS, jitter=1e-3, alike=lambda column: ()):
    """A result in the shape that an experiment gives at scale ``cpu``.

    ``places`` yields the labels of one seed's records; ``value(place, seed)`` gives their numbers,
    to which a little is added that differs from seed to seed, and from place to place unless the
    places differ in keys that are ``alike`` for a column.
    """
    units, labels = [], next(catalogue.scale(experiment, "cpu").each()).label
    for seed in seeds:
        by_label = {}
        for place in places:
            record = value(place, seed)
            for column in record:
                where = tuple(v for k, v in place.items() if k not in alike(column))
                record[column] += jitter * chance(seed, column, where)
            if "epsilon" in place:
                record["flags"] = ""
            label = tuple((key, place[key]) for key in labels)
            by_label.setdefault(label, []).append(place | record)
        units += [Unit(seed, dict(k), rows, {}, {}) for k, rows in by_label.items()]
    return Result(experiment, "cpu", "cifar10", {}, catalogue.experiment(experiment).keys, units)


WAYS = [("running", "alone"), ("running", "mixed"), ("batch", "alone"), ("batch", "mixed")]


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


def copies(experiment, value, **how):
    """``made`` where accuracy on copies is measured: 0.5 where ``value`` says nothing."""
    columns = ("original", *catalogue.scale(experiment, "cpu").base.components)
    return made(
        experiment,
        places_of_copies(experiment),
        lambda place, seed: dict.fromkeys(columns, 0.5) | value(place, seed),
        alike=lambda column: ("radius",) if column == "original" else (),
        **how,
    )


def ruled(claim, stored):
    """The verdict on a claim by made-up results, in the order that the claim names them."""
    entry = claims()[claim]
    results = [stored[entry[key]] for key in ("experiment", "also") if key in entry]
    try:
        return catalogue.rules()[claim](entry, *results)
    except ValueError as error:
        if "needs two seeds and no NaN" not in str(error):
            raise
        return NO_NUMBER


def altered(result, change):
    """The same with records that ``change`` makes of each unit's."""
    units = [dataclasses.replace(unit, records=change(unit.records)) for unit in result.units]
    return dataclasses.replace(result, units=units)


def as_numpy(number):
    """Change that turns floats into ``number`` and whole numbers into NumPy's."""

    def change(records):
        return [
            {
                k: number(v) if isinstance(v, float) else np.int64(v) if isinstance(v, int) else v
                for k, v in record.items()
            }
            for record in records
        ]

    return change


# The order of records does not matter, nor do their types.
CHANGES = {
    "float64": as_numpy(np.float64),
    "float32": as_numpy(np.float32),
    "other order": lambda records: records[::-1],
}
