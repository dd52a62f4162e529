"""What chapter 3 shows of networks trained on one component, and of images hard for people."""

from collections.abc import Sequence

import pandas as pd

from hfc import display
from hfc.display import Picture, Table
from hfc.study.measured import Measured
from hfc.study.memorisation.show import line_ends
from hfc.study.results import Result
from hfc.study.settings import RADII
from hfc.study.verdict import claims

__all__ = [
    "by_agreement",
    "by_agreement_table",
    "full_and_matching",
    "on_one_component",
    "scaled_copies",
    "table_1",
]

KINDS = {
    "low": "LFC",
    "low, scaled": "LFC, scaled",
    "high": "HFC",
    "high, scaled": "HFC, scaled",
    "high + mean": "HFC + mean",
}
TESTS = ("training copies", "full test images", "test copies")


# Train on one component ----------------------------------------------------------------------


def _tested(result, trained_on, component, radius):
    """Accuracy of networks that saw one component, by what they are tested on."""
    own = result.at(trained_on=trained_on, train_radius=radius, radius=radius)
    train, test = own.at(images="train"), own.at(images="test")
    return dict(zip(TESTS, (train[component], test.original, test[component]), strict=True))


def on_one_component(live: Result, radius: float = 8) -> Table:
    """Networks that saw one component, on full test images and on matching copies.

    Parameters
    ----------
    live : Result
        Of the experiment "lfc-hfc-training" at scale quick.
    radius : float
        Of the copies, in training and in testing.

    Returns
    -------
    Table
        A row for each condition.
    """
    rows = {
        "LFC": _tested(live, "low", "low", radius),
        "HFC": _tested(live, "high", "high", radius),
        "HFC, useless wave": _tested(live, "high, useless wave", "high", radius),
    }
    return display.table(
        pd.DataFrame.from_dict(rows, orient="index").rename_axis("trained on"),
        "Percentage right, by what a network was trained on and what it is tested on",
    )


def table_1(ours: Result) -> Table:
    """The paper's table 1 (C06), the blog's run of it, and ours on two kinds of test images.

    Parameters
    ----------
    ours : Result
        Of the experiment "lfc-hfc-training", at several radii.

    Returns
    -------
    Table
        Rows by component and radius; columns by what is tested and who measured.
    """
    theirs = {who: claims()["C06"][who] for who in ("paper", "blog")}
    rows = {}
    for kind in ("low", "high"):
        for k, radius in enumerate(RADII):
            tested = _tested(ours, kind, kind, radius)
            row = {}
            for test, column in (("training copies", "train"), ("full test images", "test")):
                for who, numbers in theirs.items():
                    row[test, who] = f"{100 * numbers[f'{column}_{kind}'][k]:.0f}"
                row[test, "ours"] = tested[test]
            row["test copies", "ours"] = tested["test copies"]
            rows[KINDS[kind], radius] = row
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["trained on", "r"])
    return display.table(frame, "Percentage right of networks trained on one component")


def full_and_matching(ours: Result) -> Picture:
    """Networks that saw one component, against the radius, on full images and on their copies.

    Parameters
    ----------
    ours : Result
        Of the experiment "lfc-hfc-training", at several radii.

    Returns
    -------
    Picture
    """
    kinds = {"low": "low", "high": "high", "high + mean": "both"}
    names = {kind: f"trained on {KINDS[kind]}" for kind in kinds}
    plots = {
        test: {
            names[kind]: _over_radii([_tested(ours, kind, kind, r)[test] for r in RADII])
            for kind in kinds
        }
        for test in TESTS[1:]
    }
    return display.small_multiples(
        plots,
        roles={names[kind]: role for kind, role in kinds.items()},
        ylim=(0, 80),
        xticks=list(RADII),
        height=3,
        xlabel="radius r of the copies (waves per image)",
        ylabel="right (%)",
        alt="Test accuracy of networks trained on one component against the radius. Networks "
        "trained on the LFC lead on full test images; on matching copies those trained on the HFC "
        f"come near them at small radii. In percent, at the largest radius: {line_ends(plots)}",
    )


def _over_radii(numbers):
    """A line with a band from one number for each radius."""
    rows = [(100 * n.mean, 100 * n.low, 100 * n.high) for n in numbers]
    return (RADII, *zip(*rows, strict=True))


def scaled_copies(ours: Result, radii: Sequence[float] = (4, 12)) -> Table:
    """What scaling every copy to its own maximum does to networks that see one component.

    Parameters
    ----------
    ours : Result
        Of the experiment "lfc-hfc-training", at several radii.
    radii : sequence of float

    Returns
    -------
    Table
        A row for each kind of copies; columns by what is tested and by radius.
    """
    columns = {
        (test, f"r = {radius}"): [_tested(ours, kind, kind, radius)[test] for kind in KINDS]
        for test in TESTS[1:]
        for radius in radii
    }
    return display.table(
        pd.DataFrame(columns, index=pd.Index(KINDS.values(), name="trained on")),
        "Percentage right of networks trained on copies as they are and on scaled ones",
    )


# People --------------------------------------------------------------------------------------

AGREEMENT = {
    "all agree": "all",
    "0.95 to 1": "≥ 0.95",
    "0.8 to 0.95": "≥ 0.8",
    "below 0.8": "< 0.8",
}


def by_agreement(
    needs_low: Measured, needs_high: Measured, radii: Sequence[float] = (4, 8)
) -> Picture:
    """Shares of the images that need one component, by how far people agree on them.

    Parameters
    ----------
    needs_low, needs_high : Measured
        The shares, by agreement and radius.
    radii : sequence of float
        One plot each.

    Returns
    -------
    Picture
    """
    numbers = {"needs the LFC": needs_low, "needs the HFC": needs_high}
    places = range(len(AGREEMENT))
    plots = {
        f"r = {radius}": {
            name: (places, *share.at(radius=radius).curve()[1:]) for name, share in numbers.items()
        }
        for radius in radii
    }
    return display.small_multiples(
        plots,
        roles={"needs the LFC": "low", "needs the HFC": "high"},
        xticks=places,
        xticklabels=list(AGREEMENT.values()),
        ylim=(0, 50),
        height=2.8,
        xlabel="share of the votes for the label",
        ylabel="test images (%)",
        alt="Share of test images that a network reads on one component only, against how far "
        f"people agree on them. In percent, from full agreement to the least: {_from_to(plots)}",
    )


def _from_to(plots):
    return "; ".join(
        f"{title}: "
        + ", ".join(f"{name} from {y[0]:.0f} to {y[-1]:.0f}" for name, (_, y, *_) in lines.items())
        for title, lines in plots.items()
    )


def by_agreement_table(people: Result, radius: float = 8) -> Table:
    """What networks say to images on which people agree, and to others.

    Parameters
    ----------
    people : Result
        Of the experiment "people".
    radius : float
        Of the raw copies.

    Returns
    -------
    Table
        A row for each group of images.
    """
    raw = people.at(copies="raw", radius=radius)
    counts = {
        "image right": raw.original,
        "LFC right": raw.only_low + raw.both,
        "HFC right": raw.only_high + raw.both,
        "needs LFC": raw.only_low_and_original,
        "needs HFC": raw.only_high_and_original,
    }
    rows = {
        group: {"images": f"{raw.n.at(agreement=group).mean:,.0f}"}
        | {name: (count / raw.n).at(agreement=group) for name, count in counts.items()}
        for group in AGREEMENT
    }
    return display.table(
        pd.DataFrame.from_dict(rows, orient="index").rename_axis("votes for the label"),
        "Percentage of images, by how far people agree on them",
    )
