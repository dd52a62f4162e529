"""The measures of all rooms on small networks: identities that hold whatever was learned."""

import copy
import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from hfc import batchnorm, data, frequency, kernels, models
from hfc.data import ImageSet
from hfc.evaluation import radius_sweep
from hfc.machine import autocast
from hfc.robustness import Flag, joint_bound, low_pass_bound, robust_accuracy
from hfc.study import catalogue
from hfc.study.heuristics import measure as heuristics
from hfc.study.low_and_high import measure as low_and_high
from hfc.study.robustness import measure as robustness
from hfc.study.run import run
from hfc.study.settings import Scale
from hfc.training import Recipe, fit

SEED = 3
ATTACKS = ("naive", "adaptive", "low", "rounded")
EXPERIMENTS = catalogue.experiments()


@pytest.fixture(scope="module")
def sets():
    train_set = data.load("synthetic", "train", size=60, seed=SEED)
    return train_set, data.load("synthetic", "test", size=24, seed=SEED)


def settings(name, *, seed=SEED, **changes):
    recipe = Recipe(epochs=1, batch_size=20, seed=seed)
    base = catalogue.scale(name, "quick").base
    return base.changed(recipe=recipe, epochs=None, **changes)


def network(norm=None, kernel_size=3):
    torch.manual_seed(SEED)
    model = models.build("small", num_classes=10, norm=norm, width=8, kernel_size=kernel_size)
    return model.eval()


def table(records, *index):
    return pd.DataFrame(records).set_index(list(index))


# Low and high ------------------------------------------------------------------------------


class Brightest(nn.Module):
    """Names the fifth of the rows that is brightest: an answer without rounding to speak of."""

    def forward(self, x):
        rows = x.double().sum(dim=(1, 3)).unfold(1, 3, 3).sum(dim=2)
        return rows[:, :10].float()


def test_accuracy_on_copies_is_that_of_a_count(sets):
    train_set, test_set = sets
    chosen = settings("heuristics", radii=(4, 8), images=("train", "test"))
    found = table(low_and_high.on_copies(Brightest(), *sets, chosen), "images", "radius")
    assert list(found.index) == [(images, r) for images in ("train", "test") for r in (4, 8)]
    mean = train_set.images.mean(dim=(0, 2, 3))[:, None, None]
    for images, made in (("train", train_set.take(slice(24))), ("test", test_set)):
        for radius in (4, 8):
            low, high = frequency.split(made.images, radius)
            copies = {"original": made.images, "low": low, "high": high, "high + mean": high + mean}
            for name, pixels in copies.items():
                right = (Brightest()(pixels).argmax(dim=1) == made.labels).double().mean().item()
                assert found.loc[(images, radius), name] == pytest.approx(right, abs=1e-6)


def test_chosen_images_and_components_alone_are_measured(sets):
    chosen = settings("heuristics", radii=(8,), images=("test",), components=("low",))
    (record,) = low_and_high.on_copies(Brightest(), *sets, chosen)
    assert record.keys() == {"images", "radius", "original", "low"}


def test_what_is_observed_is_the_sweep(sets):
    model, chosen = network("batch"), settings("observation", radii=(0, 4, 16))
    found = table(low_and_high.observe(model, *sets, chosen), "copies", "radius")
    with autocast("cpu"):
        wanted = radius_sweep(model, sets[1], (0, 4, 16), mean=sets[0].mean_colour)
    pd.testing.assert_frame_equal(found, wanted, check_index_type=False)
    four = found[["only_low", "only_high", "both", "neither"]].sum(axis=1)
    assert (four == found["n"]).all()
    assert (found["n"] == 24).all()


# Memorisation --------------------------------------------------------------------------------


class Knows(nn.Module):
    """Right on bright images."""

    def forward(self, x):
        return nn.functional.one_hot((x.mean(dim=(1, 2, 3)) > 0.5).long(), 10).float()


def test_people_by_agreement(monkeypatch):
    """Bounds as they are written: 1; from 0.95; from 0.8; below."""
    agreed = [100, 100, 99, 95, 94, 80, 79, 0]
    votes = torch.zeros(8, 10, dtype=torch.int64)
    votes[:, 1], votes[:, 4] = torch.tensor(agreed), 100 - torch.tensor(agreed)
    monkeypatch.setattr(data, "human_votes", lambda: votes)
    images = torch.tensor([0.2, 0.8, 0.8, 0.8, 0.8, 0.2, 0.8, 0.8])
    made = ImageSet(
        images[:, None, None, None].expand(8, 3, 8, 8).clone(),
        torch.ones(8, dtype=torch.int64),
        tuple("abcdefghij"),
        "cifar10",
    )
    chosen = settings("people", dataset="cifar10", radii=(2,))
    records = EXPERIMENTS["people"].measure(Knows(), made, made, chosen)
    found = [(r["agreement"], r["n"], r["original"]) for r in records if r["copies"] == "raw"]
    assert found == [
        ("all agree", 2, 1),
        ("0.95 to 1", 2, 2),
        ("0.8 to 0.95", 2, 1),
        ("below 0.8", 2, 2),
    ]
    assert len(records) == 8  # and with the mean added


@pytest.mark.parametrize("changes", [{}, {"dataset": "cifar10", "test_size": 1000}])
def test_people_looked_at_the_test_images_of_cifar10_only(changes):
    text = 'people needs dataset "cifar10" with all its test images'
    for use in (EXPERIMENTS["people"].check, lambda own: EXPERIMENTS["people"].measure(*[own] * 4)):
        with pytest.raises(ValueError, match=text):
            use(settings("people", **changes))


# Heuristics --------------------------------------------------------------------------------


WAYS = [("running", "alone"), ("recalibrated", "alone"), ("batch", "alone"), ("batch", "mixed")]


def test_batchnorm_is_tested_in_every_way():
    records = {}
    for norm in (None, "batch"):
        chosen = settings("batchnorm", radii=(2,), components=("low",))
        made = data.load("synthetic", "test", size=200)
        model = models.build("small", num_classes=10, norm=norm, width=8).eval()
        records[norm] = heuristics.by_statistics(model, made, made, chosen)
    ways = [[(r["statistics"], r["company"]) for r in rows] for rows in records.values()]
    assert ways == [WAYS[:1], WAYS]
    *_, third, fourth = records["batch"]
    assert third["original"] == fourth["original"]


def test_averages_that_were_spoilt_on_purpose_are_found_out():
    train, test = (data.load("synthetic", split, size=1000) for split in ("train", "test"))
    torch.manual_seed(0)
    model = models.build("small", num_classes=10)
    fit(model, train, Recipe(epochs=8, batch_size=25, lr=0.05), progress=False)
    chosen = settings("batchnorm", radii=(8,), components=("low",))

    def right():
        records = heuristics.by_statistics(model.eval(), train, test, chosen)
        return {(r["statistics"], r["company"]): r["original"] for r in records}

    before = right()
    for layer in batchnorm.layers(model):
        layer.running_mean += 3 * layer.running_var.sqrt()
        layer.running_var *= 9
    spoilt = right()
    assert before["running", "alone"] > 0.5
    assert spoilt["running", "alone"] < before["running", "alone"] - 0.2
    for way in WAYS[1:]:  # these never look at the averages
        assert spoilt[way] == pytest.approx(before[way], abs=1e-6)
    assert spoilt["recalibrated", "alone"] > spoilt["running", "alone"] + 0.2


def test_one_copy_among_others_by_hand():
    made = data.load("synthetic", "test", size=120)
    torch.manual_seed(0)
    model = models.build("small", num_classes=10, width=8)
    fit(model, made, Recipe(epochs=2, batch_size=20, lr=0.05), progress=False)
    model.eval()
    chosen = settings("batch-company", radii=(4,), company=(0, 50, 99))
    records = heuristics.in_company(model, made, made, chosen)
    assert [(r["radius"], r["company"]) for r in records] == [(4, 0), (4, 50), (4, 99)]
    copies = frequency.split(made.images, 4)[1]
    wanted = {}
    for others in (0, 50, 99):
        own, found = 100 - others, []
        for k in range(0, len(copies), own):
            start = k // own * others
            company = [made.images[j % len(made)] for j in range(start, start + others)]
            batch = torch.stack([*copies[k : k + own], *company])
            with torch.no_grad(), autocast("cpu"):
                answers = copy.deepcopy(model).train()(batch)
            found += answers[: len(copies[k : k + own])].argmax(dim=1).tolist()
        wanted[others] = np.mean(np.array(found) == made.labels.numpy())
    for record in records:
        assert record["high"] == pytest.approx(wanted[record["company"]], abs=1e-6)


@pytest.mark.parametrize("company", [(100,), (-1,)])
def test_company_is_a_part_of_a_hundred(company):
    text = f"company must be 0 to 99 originals of 100, got {company[0]}"
    with pytest.raises(ValueError, match=text):
        settings("batch-company", company=company)


def test_what_is_planted_is_tested_where_it_tells_nothing():
    made = data.load("synthetic", "test", size=300, seed=4, hfc_strength=0.9)
    at_random = data.load("synthetic", "test", size=300, seed=4, hfc_strength=0)
    asked = []

    class Reads(nn.Module):
        """Looks images up: gives the class that their signature names."""

        def forward(self, x):
            asked.append(x)
            known = torch.cat((made.images, at_random.images)).flatten(1)
            names = torch.cat((made.signature, at_random.signature))
            nearest = torch.cdist(x.flatten(1), known).argmin(dim=1)
            return nn.functional.one_hot(names[nearest], 10).float()

    chosen = settings("planted", seed=4, test_size=300, radii=(8,), components=("low",))
    (record,) = heuristics.with_signature(Reads(), made, made, chosen)
    assert record["follows"] == 1
    right = (at_random.signature == at_random.labels).float().mean().item()
    assert record["random_signature"] == pytest.approx(right)
    assert record["original"] == pytest.approx(
        (made.signature == made.labels).float().mean().item()
    )


# Robustness --------------------------------------------------------------------------------


def test_first_layer_measures_all_filters_by_their_energy(sets):
    model = network()
    chosen = settings("kernels", radii=(4, 8), epsilons=(0.0, 4 / 255))
    records = table(robustness.first_layer(model, *sets, chosen), "radius")
    weight = kernels.first_kernels(model).detach().double().numpy()
    across = np.diff(weight, axis=3) ** 2
    down = np.diff(weight, axis=2) ** 2
    wanted = (across.sum() + down.sum()) / (weight**2).sum()
    assert records["roughness"].to_numpy() == pytest.approx(wanted, rel=1e-5)
    assert records["norm"].to_numpy() == pytest.approx(np.sqrt((weight**2).sum()), rel=1e-5)
    spectrum = np.abs(np.fft.fftshift(np.fft.fft2(weight, s=(32, 32)), axes=(2, 3))) ** 2
    v, u = np.mgrid[-16:16, -16:16]
    for radius in (4, 8):
        outside = spectrum[:, :, u**2 + v**2 > radius**2].sum() / spectrum.sum()
        assert records.loc[radius, "high_share"] == pytest.approx(outside, rel=1e-4)
    assert np.allclose(records["robust at 0/255"], records["original"], atol=1e-6)
    assert (records["robust at 4/255"] <= records["robust at 0/255"]).all()


def test_drawn_kernels_depend_on_the_seed_alone(sets):
    chosen = settings("kernels", epsilons=(0.0,))
    first, second = (
        robustness.first_layer(network(norm), *sets, chosen)[0]["drawn roughness"]
        for norm in (None, "batch")
    )
    assert first == second
    other = settings("kernels", seed=SEED + 1, epsilons=(0.0,))
    other = robustness.first_layer(network(), *sets, other)[0]
    assert other["drawn roughness"] != first
    assert other["roughness"] == robustness.first_layer(network(), *sets, chosen)[0]["roughness"]


@pytest.fixture(scope="module")
def smoothed(sets):
    chosen = settings("smoothing", rhos=(0, 0.5), epsilons=(0.0, 4 / 255))
    records = robustness.smoothed(network(), sets[0], sets[1].take(slice(12)), chosen)
    return table(records, "rho", "form", "attack", "protocol", "epsilon")


@pytest.mark.slow
def test_without_smoothing_a_transferred_attack_is_the_attack(smoothed):
    at = smoothed.xs((0, "as published", "fixed"), level=("rho", "form", "protocol"))
    own, transferred = (at.xs(name, level="attack") for name in ("pgd", "pgd, transferred"))
    assert own["accuracy"].equals(transferred["accuracy"])


@pytest.mark.slow
def test_without_attack_the_attacks_agree(smoothed):
    clean = smoothed.xs(0.0, level="epsilon")["accuracy"]
    assert (clean.groupby(level=["rho", "form"]).nunique() == 1).all()


@pytest.mark.slow
def test_the_minimum_protocol_never_leaves_more(smoothed):
    fixed, minimum = (smoothed.xs(name, level="protocol") for name in ("fixed", "minimum"))
    assert (minimum["accuracy"] <= fixed["accuracy"].reindex(minimum.index)).all()


@pytest.mark.slow
def test_published_smoothing_makes_logits_larger_than_normalised(smoothed):
    logits = smoothed["logits"].groupby(level=["rho", "form"]).first()
    assert logits[0.5, "as published"] > 2 * logits[0.5, "normalised"]


@pytest.mark.slow
def test_behind_batch_norm_both_forms_are_one(sets):
    chosen = settings("smoothing", rhos=(1,), epsilons=(0.0, 4 / 255))
    records = robustness.smoothed(network("batch"), sets[0], sets[1].take(slice(12)), chosen)
    found = table(records, "form", "attack", "protocol", "epsilon")
    both = found[found.index.get_level_values("attack") != "apgd"]  # which one form only has
    published, normalised = (both.xs(form) for form in ("as published", "normalised"))
    assert np.allclose(published["logits"], normalised["logits"], rtol=1e-2)
    assert np.allclose(published["accuracy"], normalised["accuracy"], atol=1 / 12 + 1e-9)


def test_kernels_that_keep_all_frequencies_are_the_network_itself(sets):
    model = network(kernel_size=5)
    chosen = settings("kernel-remedies", kernel_radii=(1, 3), epsilons=(0.0, 4 / 255))
    records = robustness.with_remedies(model, *sets, chosen)
    found = table(records, "attack", "kernel_radius", "epsilon")
    for attack in ("pgd", "apgd"):
        plain = robust_accuracy(model, sets[1], attack, chosen.epsilons)
        kept = found.xs((attack, 3), level=("attack", "kernel_radius"))
        assert kept["accuracy"].tolist() == plain["accuracy"].tolist()
    assert (found.xs(1, level="kernel_radius") < found.xs(3, level="kernel_radius"))[
        "roughness"
    ].all()


@pytest.fixture(scope="module")
def filtered(sets):
    chosen = settings(
        "filter-defence", radii=(4, 32), few=24, attacks=ATTACKS, epsilons=(0.0, 4 / 255)
    )
    return table(
        robustness.behind_filter(network("batch"), *sets, chosen), "radius", "attack", "epsilon"
    )


@pytest.mark.slow
def test_a_filter_that_lets_all_pass_is_no_filter(filtered):
    open_filter = filtered.loc[32]
    assert open_filter.loc["naive", "accuracy"].tolist() == pytest.approx(
        open_filter.loc["adaptive", "accuracy"].tolist(), abs=1 / 24 + 1e-9
    )


@pytest.mark.slow
def test_a_filter_costs_the_same_whatever_attacks_it(filtered):
    clean = filtered.xs(0.0, level="epsilon")["accuracy"]
    exact = clean[[("rounded" not in name) for _, name in clean.index]]
    assert (exact.groupby(level="radius").nunique() == 1).all()


@pytest.mark.slow
def test_rounding_hides_the_gradient_and_a_flag_says_so(filtered):
    rounded, adaptive = (
        [
            Flag.decode(part)
            for part in filtered.loc[(4, name, 4 / 255), "flags"].split("; ")
            if part
        ]
        for name in ("rounded", "adaptive")
    )
    assert Flag("vanishing-gradients", 1.0) in rounded
    assert "vanishing-gradients" not in {flag.kind for flag in adaptive}


def test_bounds_and_attacks_stand_side_by_side(sets):
    model, test_set = network("batch"), sets[1]
    epsilons, radii = (0.0, 8 / 255, 64 / 255), (2, 8)
    chosen = settings("tradeoff", radii=radii, epsilons=epsilons)
    found = table(robustness.bound(model, *sets, chosen), "radius", "epsilon")
    single = low_pass_bound(model, test_set, radii, epsilons)
    assert np.allclose(found[single.columns], single.loc[found.index])
    assert np.allclose(found.loc[2, "joint_bound"], joint_bound(model, test_set, radii, epsilons))
    assert (found["joint_bound"] <= found["bound"] + 1e-12).all()
    assert found.loc[(2, 0.0), "robust"] == found.loc[(2, 0.0), "bound"]
    measured = robust_accuracy(model, test_set, "pgd", epsilons)["accuracy"]
    assert found.loc[8, "robust"].tolist() == measured.tolist()


class OneWave(nn.Module):
    """A linear model of two classes that reads one wave only."""

    def __init__(self, u, v):
        super().__init__()
        wave = frequency.fourier_basis(32, 32, u, v)
        self.register_buffer("wave", wave.float())
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        score = self.scale * (x * self.wave).sum(dim=(1, 2, 3))
        return torch.stack([score, -score], dim=1)


def test_perturbations_live_where_the_network_looks(sets):
    train_set, test_set = sets
    two = data.ImageSet(test_set.images, test_set.labels % 2, ("a", "b"), test_set.name)
    chosen = settings("perturbation-spectrum", epsilons=(4 / 255,))
    found = table(
        robustness.perturbations(OneWave(0, 9).eval(), train_set, two, chosen), "distance"
    )
    for column in ("perturbation", "gradient", "images", "noise"):
        assert found[column].sum() == pytest.approx(1, abs=1e-5)
        assert (found[column] >= 0).all()
    assert found["gradient"].idxmax() == 9
    assert found.loc[9, "gradient"] > 0.99
    assert found["perturbation"].idxmax() == 9
    v, u = np.mgrid[-16:16, -16:16]
    rings = np.bincount(np.round(np.hypot(u, v)).astype(int).ravel())
    assert found["noise"].to_numpy() == pytest.approx(rings / 1024, abs=1e-6)
    assert found.loc[0, "images"] == pytest.approx(0, abs=1e-6)


# Every experiment ----------------------------------------------------------------------------


ELSEWHERE = ("people", "detection", "attacked")  # the last two in test_study_detection


def tiny(name):
    """An experiment's first and last condition, on few images and for an epoch."""
    experiment = EXPERIMENTS[name]
    quick = experiment.scales["quick"]
    recipe = {"epochs": 1, "batch_size": 20, "attack_steps": 1}
    own = {"train_size": 50, "test_size": 20, "width": 8, "epochs": quick.base.epochs and (1,)}
    if hasattr(quick.base, "epsilons"):
        own["epsilons"] = quick.base.epsilons[:2]
    if hasattr(quick.base, "few"):
        own["few"] = 10
    base = quick.base.changed(recipe=recipe, **own)
    ends = quick.conditions[:1] + quick.conditions[1:][-1:]
    conditions = tuple(
        (label, changes | {"recipe": changes.get("recipe", {}) | recipe}) for label, changes in ends
    )
    return dataclasses.replace(experiment, scales={"quick": Scale(base, conditions)})


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in ELSEWHERE])
def test_every_experiment_runs(name, monkeypatch, tmp_path):
    monkeypatch.setitem(EXPERIMENTS, name, tiny(name))
    result = run(name, seeds=1, jobs=1, progress=False, folder=tmp_path)  # and can be stored
    labels = [condition.label for condition in tiny(name).scales["quick"].each()]
    assert [unit.label for unit in result.units] == labels
    columns = {"seed", *result.keys, *result.columns}
    for unit in result.units:
        assert unit.records
        for record in unit.records:
            assert {"seed": 0} | record == {"seed": 0} | record | unit.label
            assert {"seed", *record} == columns
            numbers = [value for value in record.values() if not isinstance(value, str)]
            assert all(math.isfinite(number) for number in numbers)
    assert not result.table.duplicated(["seed", *result.keys]).any()
    assert result[result.columns[0]].keys is not None
