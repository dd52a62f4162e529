"""Chapter 5: what it draws and tabulates, and what it says about its live numbers."""

import re

import pandas as pd
import pytest
import torch

from hfc import attacks, data, models, study
from hfc.evaluation import is_right, logits
from hfc.flags import Flag
from hfc.frequency import split
from hfc.robustness import low_pass_bound, robust_accuracy
from hfc.study import robustness
from hfc.wrappers import FilteredInput, ScaledLogits

EPSILON = 4 / 255


def shown(table):
    """Cells of a table as a reader sees them."""
    return table.frame.map(str)


def share(right):
    return right.float().mean().item()


# Tables of stored results -----------------------------------------------------------------------


def test_kernel_table_holds_the_stored_numbers():
    layers = study.load("kernels")
    cells = shown(robustness.kernel_table(layers))
    at = layers.at(kernel="5", training="LFC only", radius=8)
    assert len(cells) == 10
    assert cells.loc[("5 × 5", "LFC only"), "roughness"] == str(at.roughness.number(2))
    assert cells.loc[("5 × 5", "LFC only"), "HFC share (%)"] == str(at.high_share)
    assert cells.loc[("5 × 5", "LFC only"), "PGD 4/255 (%)"] == str(at["robust at 4/255"])
    assert cells.loc[("3 × 3", "adversarial"), "roughness"] == "1.55 ± 0.54"


def test_untrained_kernels_have_no_accuracy():
    frame = robustness.kernel_table(study.load("kernels")).frame
    assert pd.isna(frame.loc[("3 × 3", "untrained"), "test (%)"])
    rough = frame.loc[("3 × 3", "untrained"), "roughness"]
    assert rough.low < 2.67 < rough.high  # white noise


@pytest.mark.parametrize("attack", ["pgd", "fgsm"])
def test_beside_paper_quotes_the_paper(attack):
    smoothing = study.load("smoothing")
    cells = shown(robustness.beside_paper(smoothing, attack))
    rows = study.claims()["C18a"]["paper"]["rows"]
    assert len(cells) == len(rows)
    for row in rows:
        line = cells.loc[row["training"], f"ρ = {row['rho']:g}"]
        assert float(line["no attack", "paper"]) == pytest.approx(100 * row["clean"])
        assert float(line["ε = 0.09", "paper"]) == pytest.approx(100 * row[attack][2])
        ours = smoothing.at(
            training=row["training"],
            rho=row["rho"],
            form="as published",
            attack=attack,
            protocol="minimum",
            epsilon=0.09,
        )
        assert line["ε = 0.09", "ours"] == str(ours.accuracy)


def test_no_flag_beside_accuracy_without_attack():
    tables = (
        robustness.beside_paper(study.load("smoothing"), "fgsm").frame["no attack", "ours"],
        robustness.remedy_table(study.load("kernel-remedies")).frame["no attack (%)"],
        robustness.defence_table(study.load("filter-defence")).frame.loc["no attack"],
    )
    assert not any("⚑" in str(cell) for cells in tables for cell in cells)


def test_remedies_are_all_there():
    remedies = study.load("kernel-remedies")
    cells = shown(robustness.remedy_table(remedies))
    assert list(cells.index) == [
        "none",
        *(f"low-pass, r = {r}" for r in ("2.3", "2", "1.5", "1")),
        *(f"penalty {p}" for p in ("0.003", "0.03", "0.3")),
    ]
    own = remedies.at(penalty="0.03", kernel_radius=3, epsilon=2 / 255).accuracy
    assert cells.loc["penalty 0.03", "PGD 2/255 (%)"] == str(own)


def test_rounding_is_flagged_and_its_bpda_is_not():
    defence = study.load("filter-defence")
    cells = shown(robustness.defence_table(defence))
    assert list(cells.columns)[-1] == "r = 32, no filter"
    assert all("⚑" in cell for cell in cells.loc["PGD, filter rounds to 8 bits"])
    assert not any("⚑" in cell for cell in cells.loc["the same, BPDA"])
    own = defence.at(radius=8, attack="low", epsilon=EPSILON).accuracy
    assert cells.loc["the same, confined to the LFC", "r = 8"] == str(own)


def test_bound_table_gives_distances_in_pixel_units():
    tradeoff = study.load("tradeoff")
    cells = shown(robustness.bound_table(tradeoff))
    at = tradeoff.at(training="natural", radius=8, epsilon=8 / 255)
    line = cells.loc["natural", "r = 8"]
    assert float(line["median distance (in 1/255)"].split()[0]) == pytest.approx(
        255 * at.distance.mean, abs=0.05
    )
    assert line["broken at 8/255 (%)"] == str(at.broken)


# Figures of stored results ----------------------------------------------------------------------


def test_spectra_tell_their_message():
    spectra = study.load("perturbation-spectrum")
    picture = robustness.spectra(spectra, {"first": "natural", "second": "adversarial"})
    inside = spectra.at(training="natural").perturbation
    beyond = 1 - inside.apply(lambda energy: energy.cumsum("distance")).at(distance=8)
    assert f"first, {100 * beyond.mean:.0f} percent" in picture.alt
    assert "second, 22 percent" in picture.alt


def test_dots_stand_for_networks():
    layers = study.load("kernels")
    picture = robustness.smooth_or_robust(layers)
    at = layers.at(kernel="5", training="LFC only", radius=8)
    told = (
        f"LFC only, 5 by 5: roughness {at.roughness.mean:.2f}, {100 * at.robust_at_4_255.mean:.0f}"
    )
    assert told in picture.alt


def test_smoothing_without_smoothing_is_the_same_in_both_forms():
    alt = robustness.smoothing_attacks(study.load("smoothing")).alt
    assert "natural, as published, from 73 to 51 percent without attack, from 0 to 0" in alt
    assert "natural, normalised, from 73 to 67 percent without attack, from 0 to 0" in alt


def test_remedies_figure_tells_every_line():
    alt = robustness.remedies(study.load("kernel-remedies")).alt
    assert "at 0, 2, 4 and 8 in 1/255" in alt
    assert "none: 72, 24, 5, 0" in alt
    assert "penalty 0.03: 69, 32, 10, 1" in alt


def test_filter_defence_tells_what_each_attack_leaves():
    defence = study.load("filter-defence")
    alt = robustness.filter_defence(defence).alt
    for text, attack in (("bare network", "naive"), ("through the filter", "adaptive")):
        left = defence.at(radius=8, attack=attack, epsilon=EPSILON).accuracy
        assert f"attack {'on the ' if attack == 'naive' else ''}{text}, {left.mean_text}" in alt


def test_bounds_tell_bound_and_attack():
    alt = robustness.bounds(study.load("tradeoff")).alt
    assert "trained naturally, at 8/255 the bound allows 74 percent, PGD leaves 0" in alt


# Figures of what is computed live ---------------------------------------------------------------


def attacked(accuracy, flags=(), epsilons=(EPSILON,)):
    row = {"accuracy": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1, "flags": flags}
    return pd.DataFrame([row] * len(epsilons), index=pd.Index(epsilons, name="epsilon"))


def test_flags_in_words():
    flags = (Flag("rising-accuracy"), Flag("vanishing-gradients", 0.45))
    frame = robustness.attacks_tried({"a": attacked(0.5, flags), "b": attacked(0.25)}).frame
    assert frame.loc["a", "flags"] == (
        "accuracy rises with epsilon; gradients vanish for 45 % of images"
    )
    assert frame.loc["b"].tolist() == ["25", "15 to 35", "none"]


def test_under_attack_tells_both_ends():
    tables = {"natural": attacked(0.5, epsilons=(0, EPSILON)), "robust": attacked(0.4)}
    alt = robustness.under_attack(tables).alt
    assert "natural, 50 percent right without attack, 50 at the largest" in alt


def test_kernel_sheets_measure_what_they_show():
    flat, half = torch.ones(6, 3, 5, 5), torch.ones(6, 3, 3, 3)
    half[..., 0] = -1  # in every kernel 3 of 12 pairs of neighbours differ, by 2
    picture = robustness.kernel_sheets({"flat": flat, "half": half})
    assert f"6 first-layer filters, flat, roughness 0.00, norm {flat.norm():.1f}" in picture.alt
    assert f"half, roughness {3 * 4 / 9:.2f}" in picture.alt


def test_what_passes():
    low, high = split(torch.rand(2, 3, 32, 32), 5)
    picture = robustness.what_passes({"low": low, "high": high}, radius=5, which=1)
    first, second = picture.alt.split("A change made high")
    assert "A change made low, 16 times enlarged" in first
    assert re.search(r"blotches, 100(\.00)? % of the energy", first)
    assert "blotches, 0 % of the energy" in second


def test_attack_explorer(one_thread):
    torch.manual_seed(0)
    model = models.build("small", num_classes=10, width=8).eval()
    test_set = data.load("synthetic", "test", size=4)
    answer = test_set.classes[logits(model, test_set.images).argmax(1)[2]]
    explorer = robustness.attack_explorer(model, test_set, 2, sizes=(0, 4, 8), start=4)
    slider, stack, _ = explorer.children
    assert [label for label, _ in slider.options] == ["0/255", "4/255", "8/255"]
    assert slider.index == stack.selected_index == 1
    assert f"ε = 0/255:</b> shown the changed image, the network says “{answer}”" in (
        stack.children[0].value
    )


# What the chapter says about live numbers -------------------------------------------------------


@pytest.fixture(scope="module")
def live():
    """The two live networks, test images and what PGD makes of them."""
    natural, _, test_set, _ = study.live_network("kernels", training="natural", progress=False)
    robust, *_ = study.live_network("kernels", training="adversarial", progress=False)
    changed = attacks.perturb(natural, test_set.images, test_set.labels, "pgd", EPSILON)
    return natural, robust, test_set, changed


@pytest.mark.slow
def test_a_network_is_fooled(live):
    natural, _, test_set, changed = live
    assert share(is_right(natural, test_set.images, test_set.labels)) > 0.75
    assert share(is_right(natural, changed, test_set.labels)) < 0.15


@pytest.mark.slow
def test_direction_matters_not_size(live):
    natural, _, test_set, _ = live
    few = test_set.take(slice(100))
    noise, waves, fgsm, pgd = (
        robust_accuracy(natural, few, name, [EPSILON], checked=0)["accuracy"].item()
        for name in ("noise", "fourier", "fgsm", "pgd")
    )
    assert noise > waves > fgsm + 0.2
    assert fgsm > pgd


@pytest.mark.slow
def test_perturbations_follow_the_wave():
    result = study.live("perturbation-spectrum", seeds=3)
    inside = result.perturbation.apply(lambda energy: energy.cumsum("distance"))
    beyond = 1 - inside.at(distance=8)
    wave, useless, adversarial = (
        beyond.at(training=name) for name in ("natural", "natural, useless wave", "adversarial")
    )
    assert wave.mean > useless.mean > adversarial.mean
    assert useless.mean > 0.2
    assert max(wave.values) > useless.mean + 0.15


@pytest.mark.slow
def test_adversarial_training_helps_and_costs(live):
    natural, robust, test_set, _ = live
    some = test_set.take(slice(200))
    one, two = (
        robust_accuracy(model, some, "pgd", [0, EPSILON], checked=0)["accuracy"]
        for model in (natural, robust)
    )
    assert two[EPSILON] > one[EPSILON] + 0.2
    assert two[0] < one[0] - 0.1


@pytest.mark.slow
def test_trained_kernels_are_about_equally_smooth(live):
    natural, robust, _, _ = live
    untrained = models.build("small", num_classes=10, kernel_size=5)
    rough = []
    for model in (natural, robust, untrained):
        weight = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d)).weight
        differences = weight.diff(dim=2).square().sum() + weight.diff(dim=3).square().sum()
        rough.append((differences / weight.square().sum()).item())
    assert abs(rough[0] - rough[1]) < 0.3 < rough[2] - rough[0]


@pytest.mark.slow
def test_the_filter_makes_an_attack_miss(live):
    natural, _, test_set, changed = live
    images, labels = test_set.images, test_set.labels
    defended = FilteredInput(natural, 5)
    through = attacks.perturb(defended, images, labels, "pgd", EPSILON)
    clean, naive, adaptive = (
        share(is_right(defended, pixels, labels)) for pixels in (images, changed, through)
    )
    assert clean / 2 < naive
    assert adaptive < naive / 2

    def passed(pixels):
        low, high = (part.square().sum() for part in split(pixels - images, 5))
        return low / (low + high)

    assert passed(changed) < 0.5 < passed(through)


@pytest.mark.slow
def test_low_frequencies_are_the_weak_spot(live):
    _, robust, test_set, _ = live
    low, high = (
        robust_accuracy(
            robust,
            test_set.take(slice(100)),
            attacks.make("pgd", component=component, radius=8),
            [8 / 255],
            checked=0,
        )["accuracy"].item()
        for component in ("low", "high")
    )
    assert low < high - 0.05


@pytest.mark.slow
def test_loud_logits_are_noticed(live):
    natural, _, test_set, _ = live
    few = test_set.take(slice(100))
    row = robust_accuracy(ScaledLogits(natural, 1000), few, "pgd", [EPSILON]).iloc[0]
    assert row["accuracy"] > 0.5
    assert "vanishing-gradients" in {flag.kind for flag in row["flags"]}


@pytest.mark.slow
def test_the_bound_begins_to_bind_at_large_sizes(live):
    natural, robust, test_set, _ = live
    for model, at_least in ((natural, 0.1), (robust, 0)):  # copies change few robust answers
        table = low_pass_bound(model, test_set, (4,), [0, 32 / 255, 64 / 255])["bound"]
        clean, usual, large = table
        assert usual > clean - 0.02
        assert large < clean - at_least
