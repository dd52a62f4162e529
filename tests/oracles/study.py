"""Networks matched by accuracy, written again: row by row, with pandas and loops."""

import math

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
