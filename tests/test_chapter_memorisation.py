"""Chapter 3: what its figures and tables show, and what its text says of live numbers."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

from hfc import data, display, study
from hfc.evaluation import component_accuracy
from hfc.frequency import low_pass
from hfc.study import memorisation

CHAPTER = Path(__file__).parents[1] / "book" / "03_generalization_paradox.ipynb"
RADII = [4, 8, 12, 16]


@pytest.fixture(scope="module")
def memory():
    return study.load("memorisation")


@pytest.fixture(scope="module")
def table1():
    return study.load("lfc-hfc-training")


@pytest.fixture(scope="module")
def people():
    return study.load("people")


def run(beginning, **names):
    """The names that a code cell of the chapter makes, which begins so."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (source,) = [
        c.source for c in cells if c.cell_type == "code" and c.source.startswith(beginning)
    ]
    exec(source, names)
    return names


# Stored results --------------------------------------------------------------------------------


def test_half_learned_holds_every_number(memory):
    frame = memorisation.half_learned(memory).frame
    assert list(frame.index) == RADII
    half = memory.at(images="train").at_accuracy(0.5)
    stored = half.at(labels="all shuffled", radius=4)
    assert frame.loc[4, ("LFC", "shuffled labels")].values == stored.low.values
    assert frame.loc[4, ("HFC + mean", "shuffled labels")].values == stored.high_mean.values
    true = half.at(labels="true", radius=4)
    assert frame.loc[4, ("LFC", "true labels")].values == true.low.values
    assert frame.loc[4, ("HFC + mean", "true labels")].values == true.high_mean.values


def test_against_paper_holds_the_papers_numbers_beside_ours(memory):
    frame = memorisation.against_paper(memory).frame
    texts = {row: [str(cell) for cell in frame.loc[row]] for row in frame.index}
    assert texts["true labels", "LFC, paper"] == ["27", "62", "90", "96"]
    assert texts["shuffled labels", "LFC, paper"] == ["14", "53", "90", "97"]
    ours = memory.at(images="train").last
    for labels, shown in (("true", "true labels"), ("all shuffled", "shuffled labels")):
        stored = [str(ours.at(labels=labels, radius=r).low) for r in RADII]
        assert texts[shown, "LFC, ours"] == stored
    copies = [str(ours.at(labels="all shuffled", radius=r).high_mean) for r in RADII]
    assert texts["shuffled labels", "HFC + mean, ours"] == copies


def test_table_1_holds_paper_blog_and_ours(table1):
    frame = memorisation.table_1(table1).frame
    assert list(frame.index) == [(kind, r) for kind in ("LFC", "HFC") for r in RADII]
    own = table1.at(trained_on="high", train_radius=12, radius=12)
    row = frame.loc["HFC", 12]
    assert row["training copies", "ours"].values == own.at(images="train").high.values
    assert row["full test images", "ours"].values == own.at(images="test").original.values
    assert row["test copies", "ours"].values == own.at(images="test").high.values
    assert [str(row[of, "paper"]) for of in ("training copies", "full test images")] == ["98", "10"]
    assert [str(row[of, "blog"]) for of in ("training copies", "full test images")] == ["99", "10"]


def test_scaled_copies_are_tested_as_they_were_trained_on(table1):
    frame = memorisation.scaled_copies(table1).frame
    own = table1.at(trained_on="high, scaled", train_radius=12, radius=12, images="test")
    row = frame.loc["HFC, scaled"]
    assert row["test copies", "r = 12"].values == own.high_scaled.values
    assert row["full test images", "r = 12"].values == own.original.values


def test_votes_table_counts_and_shares(people):
    frame = memorisation.by_agreement_table(people).frame
    assert list(frame["images"]) == ["4,392", "3,372", "1,627", "609"]
    group = people.at(copies="raw", radius=8, agreement="below 0.8")
    assert frame.loc["below 0.8", "HFC right"].values == [
        (only + both) / 609
        for only, both in zip(group.only_high.values, group.both.values, strict=True)
    ]
    assert [str(cell) for cell in frame.loc["all agree"][1:]] == [
        "89 ± 0",
        "64 ± 6",
        "39 ± 2",
        "38 ± 4",
        "14 ± 2",
    ]


def test_figures_say_what_they_show(memory, table1, people):
    raw = people.at(copies="raw")
    low, high = raw.only_low_and_original / raw.n, raw.only_high_and_original / raw.n
    train = memory.at(images="train")
    figures = {
        memorisation.low_while_learning(memory): "25 % shuffled: original 100, LFC, r = 12 100",
        memorisation.kept_on_copies(train.low / train.original): "r = 4: true labels 42, "
        "shuffled labels 41",
        memorisation.running_mean(memory): "true labels: end of the epoch 100, running mean 100",
        memorisation.full_and_matching(table1): "test copies: trained on LFC 64, trained on HFC 10",
        memorisation.by_agreement(low, high): "r = 8: needs the LFC from 38 to 20, "
        "needs the HFC from 14 to 11",
    }
    for picture, said in figures.items():
        assert said in picture.alt
        assert "<svg" in picture.markup


@pytest.mark.slow
def test_epoch_slider_starts_where_half_is_learned(memory):
    slider, stack, _ = memorisation.epoch_slider(memory).children
    labels = [label for label, _ in slider.options]
    assert labels == [str(epoch) for epoch in memory.measured.labels("epoch")]
    train = memory.at(images="train", labels="true", radius=8).original
    before, start = (train.at(epoch=int(labels[slider.index - k])).mean for k in (1, 0))
    assert before < 0.5 <= start
    assert "After epoch 60" in stack.children[-1].value
    end = memory.at(images="train", radius=4).last.low
    true, shuffled = (round(100 * end.at(labels=k).mean) for k in ("true", "all shuffled"))
    said = f"at the smallest: LFC copies, true labels {true}; shuffled labels {shuffled}"
    assert said in stack.children[-1].value


# Single pictures -------------------------------------------------------------------------------


def test_two_labels_shows_images_whose_class_changed():
    true = data.load("synthetic", "train", size=40, hfc_strength=1)
    shuffled = data.shuffle_labels(true, 1, seed=0)
    picture = memorisation.two_labels(true, shuffled, count=3)
    assert picture.markup.count("<img") == 3
    changed = (true.labels != shuffled.labels).nonzero()[0].item()
    own, other = (s.classes[s.labels[changed]] for s in (true, shuffled))
    assert f"The class of this picture is {own}; shuffled, it is called {other}" in picture.alt


def test_which_is_which_shows_copies_in_the_order_asked_for():
    images = torch.rand(3, 3, 16, 16)
    picture = memorisation.which_is_which(images, 2, order=(2, 0, 1))
    copies = display.panels(low_pass(images, 2)[[2, 0, 1]], ["a", "b", "c"])
    shown, wanted = (re.findall('src="(.*?)"', p.markup) for p in (picture, copies))
    assert shown[3:] == wanted
    assert "LFC copy c of one of them, at r = 2" in picture.alt


def test_waves_say_which_comes_first():
    learned = torch.linspace(0, 1, 101)[:, None] * torch.tensor([1.0, 0.8, 0.6])
    picture = memorisation.waves_while_learning(learned, (1, 2, 3))
    assert "After 10 steps: 1 wave 0.10, 2 waves 0.08, 3 waves 0.06" in picture.alt


# What the text says of live numbers --------------------------------------------------------------


@pytest.fixture(scope="module")
def live():
    return study.live("memorisation", seeds=3)


@pytest.fixture(scope="module")
def one():
    return study.live("lfc-hfc-training", seeds=3)


@pytest.mark.slow
def test_all_three_networks_learn_their_training_images(live):
    train, test = (live.at(images=images, radius=8) for images in ("train", "test"))
    for labels in ("true", "true, useless wave", "all shuffled"):
        assert train.last.at(labels=labels).original.mean > 0.9
    assert test.last.at(labels="true").original.mean > 0.6
    assert test.last.at(labels="all shuffled").original.mean < 0.2


@pytest.mark.slow
def test_low_frequencies_come_first_and_the_wave_later(live):
    train = live.at(images="train", radius=8)
    early, end = train.at(epoch=3, labels="true"), train.last
    assert abs((early.low - early.original).mean) < 0.1
    assert early.high_mean.mean < end.at(labels="true").high_mean.mean - 0.05
    useful, useless = (end.at(labels=k).high_mean for k in ("true", "true, useless wave"))
    assert useful.mean > useless.mean + 0.1
    assert end.at(labels="all shuffled").high_mean.mean < 0.2


@pytest.mark.slow
def test_three_kinds_of_labels_make_three_plots(live):
    alt = memorisation.while_learning(live).alt
    for title in ("true labels", "true labels, useless wave", "shuffled labels"):
        assert f"{title}: original " in alt


@pytest.mark.slow
def test_hfc_trained_networks_generalise_to_hfc_copies_only(one):
    on_low, on_high, on_edges = (
        one.at(trained_on=kind, images="test") for kind in ("low", "high", "high, useless wave")
    )
    assert on_high.original.mean < 0.25
    assert on_high.high.mean > 0.5
    assert abs(on_high.high.mean - on_low.low.mean) < 0.2  # "about as well"
    assert on_high.high.mean > on_edges.high.mean + 0.1
    frame = memorisation.on_one_component(one).frame
    assert frame.loc["HFC", "test copies"].values == on_high.high.values
    assert frame.loc["LFC", "full test images"].values == on_low.original.values


@pytest.mark.slow
def test_slow_waves_of_the_function_come_first():
    made = run("x = torch", torch=torch, nn=torch.nn)
    reached = run("optimizer = torch", **made)["reached"]
    assert reached[0] < reached[1] < reached[2]


@pytest.mark.slow
def test_hfc_can_be_memorised_and_says_nothing_of_full_images():
    answers = run("from hfc.evaluation", study=study, display=display)["answers"]
    assert answers.high[8] > 0.9
    assert answers.original[8] < 0.3


@pytest.mark.slow
def test_without_clouds_high_frequencies_carry_what_is_memorised(one_thread):
    true = data.load("synthetic", "train", size=1000, hfc_strength=1)
    given = {"shuffled": data.shuffle_labels(true, 1), "torch": torch, "display": display}
    given["study"] = study
    on_grey = run("import dataclasses", **given, component_accuracy=component_accuracy)["on_grey"]
    assert on_grey.original[8] > 0.9
    assert on_grey.low[4] < 0.4
    assert on_grey["high + mean"][4] > on_grey.low[4] + 0.3
