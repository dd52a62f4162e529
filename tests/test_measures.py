"""Chapter 5's measures on small networks: identities that hold whatever was learned."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from hfc import data, experiments, frequency, kernels, measures, models
from hfc.attacks import joint_bound, low_pass_bound, robust_accuracy
from hfc.training import Recipe

SEED = 3
ATTACKS = ("naive", "adaptive", "adaptive, restarts", "low", "transferred", "rounded")


@pytest.fixture(scope="module")
def sets():
    train_set = data.load("synthetic", "train", size=60, seed=SEED)
    return train_set, data.load("synthetic", "test", size=24, seed=SEED)


def settings(name, **changes):
    chosen = experiments.settings(name, "quick") | {"dataset": "synthetic", "seed": SEED}
    return chosen | {"recipe": Recipe(epochs=1, batch_size=20)} | changes


def network(norm=None, kernel_size=3):
    torch.manual_seed(SEED)
    model = models.build("small", num_classes=10, norm=norm, width=8, kernel_size=kernel_size)
    return model.eval()


def table(records, *index):
    return pd.DataFrame(records).set_index(list(index))


def test_first_layer_measures_all_filters_by_their_energy(sets):
    model = network()
    chosen = settings("kernels", radii=(4, 8), epsilons=(0.0, 4 / 255))
    records = table(measures.first_layer(model, *sets, chosen), "radius")
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
        measures.first_layer(network(norm), *sets, chosen)[0]["drawn roughness"]
        for norm in (None, "batch")
    )
    assert first == second
    other = measures.first_layer(network(), *sets, chosen | {"seed": SEED + 1})[0]
    assert other["drawn roughness"] != first
    assert other["roughness"] == measures.first_layer(network(), *sets, chosen)[0]["roughness"]


@pytest.fixture(scope="module")
def smoothed(sets):
    chosen = settings("smoothing", rhos=(0, 0.5), epsilons=(0.0, 4 / 255))
    records = measures.smoothed(network(), *sets, chosen)
    return table(records, "rho", "form", "attack", "protocol", "epsilon")


def test_without_smoothing_a_transferred_attack_is_the_attack(smoothed):
    at = smoothed.xs((0, "as published", "fixed"), level=("rho", "form", "protocol"))
    own, transferred = (at.xs(name, level="attack") for name in ("pgd", "pgd, transferred"))
    assert own["accuracy"].equals(transferred["accuracy"])


def test_without_attack_the_attacks_agree(smoothed):
    clean = smoothed.xs(0.0, level="epsilon")["accuracy"]
    assert (clean.groupby(level=["rho", "form"]).nunique() == 1).all()


def test_the_minimum_protocol_never_leaves_more(smoothed):
    fixed, minimum = (smoothed.xs(name, level="protocol") for name in ("fixed", "minimum"))
    assert (minimum["accuracy"] <= fixed["accuracy"].reindex(minimum.index)).all()


def test_published_smoothing_makes_logits_larger_than_normalised(smoothed):
    logits = smoothed["logits"].groupby(level=["rho", "form"]).first()
    assert logits[0.5, "as published"] > 2 * logits[0.5, "normalised"]


def test_behind_batch_norm_both_forms_are_one(sets):
    chosen = settings("smoothing", rhos=(1,), epsilons=(0.0, 4 / 255))
    records = measures.smoothed(network("batch"), *sets, chosen)
    found = table(records, "form", "attack", "protocol", "epsilon")
    published, normalised = (found.loc[form] for form in ("as published", "normalised"))
    assert np.allclose(published["logits"], normalised["logits"], rtol=1e-2)
    assert np.allclose(published["accuracy"], normalised["accuracy"], atol=1 / 24 + 1e-9)


def test_kernels_that_keep_all_frequencies_are_the_network_itself(sets):
    model = network(kernel_size=5)
    chosen = settings("kernel-remedies", kernel_radii=(1, 3), epsilons=(0.0, 4 / 255))
    found = table(measures.with_remedies(model, *sets, chosen), "kernel_radius", "epsilon")
    plain = robust_accuracy(model, sets[1], "pgd", chosen["epsilons"])
    assert found.loc[3, "accuracy"].tolist() == plain["accuracy"].tolist()
    assert (found.loc[1, "roughness"] < found.loc[3, "roughness"]).all()


@pytest.fixture(scope="module")
def filtered(sets):
    chosen = settings(
        "filter-defence", radii=(4, 32), few=24, attacks=ATTACKS, epsilons=(0.0, 4 / 255)
    )
    return table(
        measures.behind_filter(network("batch"), *sets, chosen), "radius", "attack", "epsilon"
    )


def test_a_filter_that_lets_all_pass_is_no_filter(filtered):
    open_filter = filtered.loc[32]
    assert open_filter.loc["naive", "accuracy"].tolist() == pytest.approx(
        open_filter.loc["adaptive", "accuracy"].tolist(), abs=1 / 24 + 1e-9
    )


def test_a_filter_costs_the_same_whatever_attacks_it(filtered):
    clean = filtered.xs(0.0, level="epsilon")["accuracy"]
    exact = clean[[("rounded" not in name) for _, name in clean.index]]
    assert (exact.groupby(level="radius").nunique() == 1).all()


def test_rounding_hides_the_gradient_and_a_flag_says_so(filtered):
    assert "gradients vanish" in filtered.loc[(4, "rounded", 4 / 255), "flags"]
    assert "gradients vanish" not in filtered.loc[(4, "adaptive", 4 / 255), "flags"]


def test_bounds_and_attacks_stand_side_by_side(sets):
    model, test_set = network("batch"), sets[1]
    epsilons, radii = (0.0, 8 / 255, 64 / 255), (2, 8)
    chosen = settings("tradeoff", radii=radii, epsilons=epsilons)
    found = table(measures.bound(model, *sets, chosen), "radius", "epsilon")
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
    found = table(measures.perturbations(OneWave(0, 9).eval(), train_set, two, chosen), "distance")
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
