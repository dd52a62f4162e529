import copy

import numpy as np
import pytest
import torch

from hfc import batchnorm, evaluation, study
from hfc.frequency import split
from hfc.study import heuristics

HEURISTICS = ["vanilla", "dropout", "mixup", "BatchNorm", "adversarial"]


@pytest.fixture(scope="module")
def stored():
    return {
        name: study.load(name)
        for name in (
            "heuristics",
            "batch-size",
            "architectures",
            "optimizers",
            "batchnorm",
            "batchnorm-resnet32",
            "batchnorm-lfc",
            "planted",
        )
    }


def records(result, **where):
    """What the records hold, seed by seed, found with pandas alone."""
    rows = result.table
    for key, value in where.items():
        rows = rows[rows[key] == value]
    return rows.sort_values("seed")


# Stored results -----------------------------------------------------------------------------


def test_paper_and_ours_stand_in_the_table(stored):
    result = stored["heuristics"]
    frame = heuristics.against_paper(result).frame
    assert frame.index.tolist() == HEURISTICS
    for name in HEURISTICS:
        rows = records(result, heuristic=name, images="test", epoch=10, radius=4)
        assert frame.loc[name, ("HFC, r = 4", "ours")].values == rows["high"].tolist()
        assert frame.loc[name, ("LFC, r = 4", "ours")].values == rows["low"].tolist()
        assert frame.loc[name, ("test images", "ours")].values == rows["original"].tolist()
    assert frame["HFC, r = 4", "paper"].tolist() == ["10 %", "21 %", "48 %", "65 %", "18 %"]


def test_paper_is_read_by_heuristic_copies_and_radius():
    assert heuristics.what_paper_read("BatchNorm", "high", 12) == 0.39
    assert heuristics.what_paper_read("adversarial", "low", 4) == 0.54


def test_networks_are_matched_before_they_are_compared(stored):
    frame = heuristics.at_the_same_accuracy(stored["heuristics"]).frame
    compared = stored["heuristics"].at(images="test").without(heuristic="adversarial")
    level = compared.common_accuracy()
    assert frame.index.name == f"at {100 * level:.0f} %"
    assert "adversarial" not in frame.index
    for cell in frame["test images"]:
        assert np.allclose(cell.values, level)
    there = compared.at_accuracy(level).at(heuristic="BatchNorm", radius=4).high_mean
    assert str(frame.loc["BatchNorm", "HFC + mean, r = 4"]) == str(there)


def test_what_batchnorm_adds_is_interpolated_by_hand(stored):
    """One seed of the authors' network: the straight line between two epochs."""
    result = stored["batchnorm-resnet32"]
    level = result.common_accuracy()

    def at_level(norm, statistics):
        way = {"norm": norm, "company": "alone", "radius": 4, "seed": 1}
        right = records(result, statistics="running", **way).set_index("epoch")["original"]
        high = records(result, statistics=statistics, **way).set_index("epoch")["high"]
        after = int(np.argmax(right.to_numpy() >= level))
        return np.interp(level, right.iloc[after - 1 : after + 1], high.iloc[after - 1 : after + 1])

    for statistics in ("running", "batch"):
        added = heuristics.added(result.measured, statistics, "high").at(radius=4)
        wanted = at_level("BatchNorm", statistics) - at_level("none", "running")
        assert added.values[1] == pytest.approx(wanted, abs=1e-5)


def test_brief_table_counts_the_cells_of_the_long_one(stored):
    cells = heuristics.added_by_recipe(stored["batchnorm"]).frame
    brief = heuristics.added_in_brief(stored["batchnorm"]).frame
    assert cells.shape == (8, 6)
    for statistics in ("running", "batch"):
        for copies in ("HFC", "HFC + mean", "LFC"):
            rows = cells[cells.index.get_level_values("statistics") == statistics]
            gains = [gain for _, column in rows[copies].items() for gain in column]
            clear = sum(gain.low > 0 or gain.high < 0 for gain in gains)
            said = brief.loc[f"{statistics} statistics", copies]
            assert said.endswith(f"clear in {clear} of 8")


def test_test_batch_makes_the_panel_and_running_statistics_do_not(stored):
    result = stored["batchnorm-resnet32"]
    frame = heuristics.authors_network(result).frame
    paper = heuristics.what_paper_read("BatchNorm", "high", 4)
    assert abs(frame.loc["BatchNorm, batch statistics", ("HFC", 4)].mean - paper) < 0.05
    assert frame.loc["BatchNorm, running statistics", ("HFC", 4)].mean < paper - 0.1
    assert frame.loc["paper, BatchNorm", ("HFC", 4)] == "65"
    batch, running = (heuristics.added(result.measured, s, "high") for s in ("batch", "running"))
    assert batch.at(radius=4).clearly_above(0)
    assert not running.at(radius=4).clearly_above(0)


def test_small_network_has_a_row_for_every_way_to_test(stored):
    frame = heuristics.suspects(stored["batchnorm"]).frame
    assert frame.index.name == "at 62 %"
    assert len(frame) == 5
    assert str(frame.loc["BatchNorm, batch statistics", ("HFC", "r = 4")]) == "45 ± 4"


def test_averages_gathered_anew_stand_beside_running_ones_and_the_batch_s(stored):
    frame = heuristics.stale_averages(stored["batchnorm"]).frame
    rows = records(
        stored["batchnorm"],
        norm="BatchNorm",
        inputs="normalised",
        optimizer="SGD",
        company="alone",
        epoch=12,
        radius=8,
    )
    for text, statistics in (
        ("running averages", "running"),
        ("averages gathered anew", "recalibrated"),
        ("the test batch's own", "batch"),
    ):
        of = rows[rows.statistics == statistics]
        assert frame.loc[text, ("raw HFC copies", "r = 8")].values == of["high"].tolist()
        assert frame.loc[text, ("test images", "")].values == of["original"].tolist()


def test_gap_of_batches_is_gone_after_the_same_steps(stored):
    frame = heuristics.batch_sizes_table(stored["batch-size"]).frame
    epochs, steps = frame.loc["same epochs"], frame.loc["same steps"]
    assert list(epochs.index) == [10, 32, 100, 320, 1000]
    gap = epochs.loc[10, "training images"].mean - epochs.loc[10, "test images"].mean
    assert epochs.loc[10, "gap"].mean == pytest.approx(gap)
    assert (epochs.loc[10, "test images"] - epochs.loc[1000, "test images"]).clearly_above(0)
    assert (steps.loc[1000, "test images"] - epochs.loc[100, "test images"]).mean > 0


def test_networks_and_optimisers_have_their_rows(stored):
    nets = heuristics.architectures(stored["architectures"]).frame
    assert nets.loc["LeNet", "parameters"] == "45,678"
    assert str(nets.loc["ResNet", "gap"]) == "7 ± 2"
    five = heuristics.optimizers_table(stored["optimizers"]).frame
    raced = stored["optimizers"].at(images="test", radius=4)
    last = raced.last.at(optimizer="SGD").high
    assert str(five.loc["SGD", ("last epoch", "HFC, r = 4")]) == str(last)
    level = next(iter(raced.at_three_levels()))
    same = [cell.mean for cell in five[f"at {level}", "HFC, r = 4"]]
    assert max(same) - min(same) < last.mean - raced.last.at(optimizer="RMSprop").high.mean


def test_wave_is_compared_at_a_level_for_each_strength(stored):
    result = stored["planted"]
    last = heuristics.wave_table(result).frame["follows the wave (%), strength"]
    matched = heuristics.wave_at_the_same_accuracy(result).frame
    rows = records(result, heuristic="mixup", strength=0.9, epoch=10)
    assert last.loc["mixup", "0.9"].values == rows["follows"].tolist()
    assert list(matched.columns) == [
        "strength 0, at 58 %",
        "strength 0.5, at 58 %",
        "strength 0.9, at 65 %",
        "strength 1, at 68 %",
    ]
    strong = matched["strength 0.9, at 65 %"]
    assert (strong["BatchNorm"] - strong["vanilla"]).clearly_above(0)


def test_gain_by_training_radius_grows(stored):
    frame = heuristics.trained_on_low_table(stored["batchnorm-lfc"]).frame
    for text in ("full test images", "LFC test copies"):
        difference = frame[text, "BatchNorm"] - frame[text, "none"]
        assert [gain.mean for gain in difference] == pytest.approx(
            [gain.mean for gain in frame[text, "gain"]]
        )
        assert frame.loc["16", (text, "gain")].mean > frame.loc["4", (text, "gain")].mean


@pytest.mark.parametrize(
    ("draw", "experiment", "drawn", "said"),
    [
        (heuristics.copies_by_epoch, "heuristics", HEURISTICS, "BatchNorm 74 % of test images"),
        (heuristics.high_by_radius, "heuristics", HEURISTICS[:4], "steep in the paper only"),
        (heuristics.by_statistics, "batchnorm-resnet32", ["without"], "68 with, 42 without"),
        (
            heuristics.raw_and_scaled,
            "batchnorm",
            ["the paper, BatchNorm"],
            "BatchNorm, batch statistics ",
        ),
        (heuristics.trained_on_low, "batchnorm-lfc", ["LFC copies"], "7 at r = 16"),
        (heuristics.batch_sizes, "batch-size", ["same steps"], "falls from 63 % to 39 %"),
        (heuristics.optimizers, "optimizers", ["RMSprop"], "percent after the last epoch"),
        (heuristics.wave_believed, "planted", ["GroupNorm"], "BatchNorm 31 %"),
    ],
)
def test_figures_draw_every_line_and_say_the_message(stored, draw, experiment, drawn, said):
    picture = draw(stored[experiment])
    for name in drawn:  # text is drawn as paths, with the text as a comment
        assert f"<!-- {name} -->" in picture.markup
    assert said in picture.alt


def test_slider_has_a_picture_for_every_epoch(stored):
    slider, pages, _ = heuristics.statistics_by_epoch(stored["batchnorm-resnet32"]).children
    assert [text for text, _ in slider.options] == ["1", "2", "3", "4", "6", "8", "12", "16", "20"]
    assert len(pages.children) == 9
    assert "batch statistics 70 %" in pages.children[-1].value


def test_photograph_stands_beside_what_is_left_of_it():
    picture = heuristics.what_is_left(torch.rand(3, 32, 32))
    assert picture.markup.count("<img") == 5
    assert "r = 8: in the paper a plain network gets 10 % of such copies right" in picture.alt


# What the chapter says about its live numbers -----------------------------------------------


@pytest.mark.slow
def test_only_batchnorm_finds_the_live_wave():
    end = study.live("heuristics", seeds=3).last.at(radius=8)
    high = {name: end.at(heuristic=name).high_mean.mean for name in HEURISTICS}
    assert high["BatchNorm"] > high["vanilla"] + 0.1
    assert max(share for name, share in high.items() if name != "BatchNorm") < 0.2
    with_it, without = (end.at(heuristic=name) for name in ("BatchNorm", "vanilla"))
    assert with_it.original.mean > without.original.mean + 0.05
    assert (with_it.original - with_it.low).mean > (without.original - without.low).mean + 0.05


@pytest.fixture(scope="module")
def network():
    model, train_set, test_set, _ = study.live_network("batchnorm", norm="BatchNorm")
    return model, train_set, test_set, split(test_set.images, 4)[1]


def share(model, images, labels, **how):
    return evaluation.is_right(model, images, labels, **how).float().mean().item()


@pytest.mark.slow
def test_one_network_gives_two_answers(network):
    model, _, test_set, high = network
    how = {"labels": test_set.labels, "batch_size": 100}
    running = share(model, high, **how)
    batch = share(model, high, **how, statistics="batch")
    company = test_set.images.roll(1, 0)
    mixed = share(model, high, **how, statistics="batch", beside=company)
    assert batch > running + 0.08
    assert mixed > running + 0.04
    plain = share(model, test_set.images, **how)
    assert abs(share(model, test_set.images, **how, statistics="batch") - plain) < 0.1


@pytest.mark.slow
def test_recalibrated_network_reads_copies_and_pays_on_images(network):
    model, train_set, test_set, high = network
    calibrated = copy.deepcopy(model)
    batchnorm.recalibrate(calibrated, split(train_set.images, 4)[1])
    for images, better in ((high, True), (test_set.images, False)):
        before, after = (share(m, images, test_set.labels) for m in (model, calibrated))
        assert (after > before + 0.05) if better else (after < before - 0.05)


@pytest.mark.slow
def test_answers_to_the_exercises_hold(network):
    model, _, test_set, high = network
    labels = test_set.labels
    by_size = {
        size: share(model, high, labels, batch_size=size, statistics="batch")
        for size in (2, 100, 1000)
    }
    assert by_size[2] < by_size[100] - 0.1
    assert abs(by_size[1000] - by_size[100]) < 0.1
    order = labels.argsort()
    sorted_by_class = {
        statistics: share(
            model, test_set.images[order], labels[order], batch_size=100, statistics=statistics
        )
        for statistics in ("running", "batch")
    }
    assert sorted_by_class["batch"] < sorted_by_class["running"] - 0.1
    half = evaluation.component_accuracy(model, test_set, (4, 8), ("low", "low + half high"))
    assert (half["low + half high"] > half["low"]).all()
