"""``hfc.prose``: numbers as sentences and tables give them."""

import myst_nb
import pandas as pd
import pytest

from hfc import prose, verdicts
from hfc.results import Result, mean_interval


def result():
    units = [
        {
            "seed": seed,
            "records": [
                {"net": net, "epoch": epoch, "right": share + seed / 100, "note": "text"}
                for net, share in (("a", 0.2), ("b", 0.6))
                for epoch in (1, 2)
            ],
        }
        for seed in range(3)
    ]
    return Result("made", "quick", "synthetic", {}, ["net", "epoch"], units)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1, "100 %"), (0.554, "55 %"), (-0.03, "-3 %")]
)
def test_percent(share, text):
    assert prose.percent(share) == text


def test_over_seeds_is_mean_and_half_the_interval():
    values = [0.1, 0.3, 0.41]
    mean, low, high = mean_interval(values)
    assert prose.over_seeds(values) == f"{100 * mean:.0f} ± {50 * (high - low):.0f}"


def test_one_seed_has_no_interval():
    assert prose.over_seeds([0.5]) == "50 ± nan"


def test_pm():
    row = pd.Series({"mean": 3.14, "low": 2.0, "high": 4.5})
    assert prose.pm(row) == "3 ± 1"
    assert prose.pm(row, 2) == "3.14 ± 1.25"


def test_part_keeps_the_other_keys():
    table = prose.part(result(), "right", net="b")
    assert table.index.name == "epoch"
    assert table.loc[2, "mean"] == pytest.approx(61)
    assert table.loc[2, "low"] == pytest.approx(100 * mean_interval([0.6, 0.61, 0.62])[1])


def test_curve_is_a_line_with_a_band():
    x, mean, low, high = prose.curve(result(), "right", net="a")
    assert list(x) == [1, 2]
    assert (low < mean).all()
    assert (mean < high).all()


def test_say_keeps_texts_and_shows_nothing(monkeypatch):
    kept = {}

    def glue(name, text, *, display):
        assert not display
        kept[name] = text

    monkeypatch.setattr(myst_nb, "glue", glue)
    prose.say(one="1", two="zwei")
    assert kept == {"one": "1", "two": "zwei"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("reproduced", "reproduced"),
        ("partly", "partly reproduced"),
        ("not", "not reproduced"),
        ("not tested", "not tested"),
    ],
)
def test_verdict_in_words(found, words, monkeypatch):
    board = pd.DataFrame({"verdict": [found]}, index=["C99"])
    monkeypatch.setattr(verdicts, "scoreboard", lambda: board)
    prose._board.cache_clear()
    assert prose.verdict("C99") == words
    prose._board.cache_clear()


def test_summary_leaves_texts_out():
    assert list(result().summary.columns.unique(level=0)) == ["right"]


def test_a_flag_stands_beside_its_number():
    rows = pd.DataFrame({"accuracy": [0.1, 0.2, 0.3], "flags": ["", "", ""]})
    assert prose.flagged(rows) == prose.over_seeds([0.1, 0.2, 0.3])
    rows["flags"] = ["", "the model came in training mode", ""]
    assert prose.flagged(rows) == prose.over_seeds([0.1, 0.2, 0.3]) + " ⚑"


def test_flags_are_counted_whatever_their_percentages():
    texts = [
        "",
        "13 % of images stay right though epsilon reaches grey",
        "gradients vanish for 4 % of images; 7 % of images stay right though epsilon reaches grey",
    ]
    said = prose.flags(texts)
    assert said.startswith("Flags in 2 of 3 numbers")
    assert "“gradients vanish for … % of images” (1)" in said
    assert "“… % of images stay right though epsilon reaches grey” (2)" in said


def test_no_flags_are_said_as_well():
    assert prose.flags(["", ""]) == "No flag in 2 numbers."
