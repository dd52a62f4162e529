"""What N4 and N5 are measured by, on small networks."""

import dataclasses

import pytest
import torch
from torch import nn

from hfc import data
from hfc.evaluation import accuracy
from hfc.frequency import radial_spectrum
from hfc.pooling import BlurPool, LowPassPool
from hfc.robustness import robust_accuracy
from hfc.study import catalogue
from hfc.study.heuristics import measure_shortcuts as shortcuts
from hfc.study.robustness import measure_pooling as pooling
from hfc.study.unit import network
from hfc.training import Recipe

SEED = 3
BANDS = (4, 8, 12)


@pytest.fixture(scope="module")
def sets():
    """Images in which there is little else than a signature to learn from."""
    found = []
    for split, size in (("train", 600), ("test", 300)):
        made = data.load("synthetic", split, size=size, seed=SEED, hfc_strength=0)
        found.append(dataclasses.replace(made, images=0.45 + made.images / 10, signature=None))
    return found


def chosen(name, epochs=1, **changes):
    recipe = Recipe(epochs=epochs, batch_size=20, lr=0.1, weight_decay=0.0, seed=SEED)
    return catalogue.scale(name, "quick").base.changed(recipe=recipe, width=8, **changes)


def untrained(own):
    return network(own, classes=10, channels=3).eval()


# Signatures in bands -----------------------------------------------------------------------


def test_at_twelve_waves_the_signature_is_the_libraries(sets):
    for told in (0, 0.5, 1):
        wanted = data.plant_signature(sets[0], told, seed=SEED)
        found = shortcuts.planted(sets[0], 12, told, seed=SEED)
        assert found.images.equal(wanted.images)
        assert found.signature.equal(wanted.signature)
        assert found.labels.equal(sets[0].labels)


@pytest.mark.parametrize("band", [*BANDS, 15])
def test_a_signature_lies_in_its_band_and_names_ten_classes(band):
    grey = data.ImageSet(
        torch.full((400, 3, 32, 32), 0.5), torch.arange(400) % 10, tuple("abcdefghij"), "grey"
    )
    signed = shortcuts.planted(grey, band, 1, seed=0)
    assert signed.signature.equal(grey.labels)
    energy = radial_spectrum(signed.images - 0.5).energy.sum(dim=(0, 1))
    assert energy[band - 1 : band + 2].sum() > 0.97 * energy.sum()  # the rest is rounding
    removed = shortcuts._around(signed.images, band)
    assert (signed.images - 0.5 - removed).square().sum() < 0.03 * energy.sum()
    spectra = torch.fft.rfft2(signed.images[:, 0] - 0.5).abs().flatten(1)
    strong = spectra.amax(dim=1) > 8  # an amplitude of about 4/255
    places = {
        label: set(spectra[strong & (grey.labels == label)].argmax(dim=1).tolist())
        for label in range(10)
    }
    assert all(places.values())
    # A wave of frequency (u, 0) stands there twice, as (u, 0) and (-u, 0).
    assert sum(len(found) > 1 for found in places.values()) <= 1
    assert len(set().union(*places.values())) == sum(map(len, places.values()))


def test_signatures_that_tell_as_often_as_is_said(sets):
    for told, low, high in ((0, 0.05, 0.15), (0.9, 0.87, 0.95), (1, 1, 1)):
        signed = shortcuts.planted(sets[0], 8, told, seed=SEED)
        right = (signed.signature == signed.labels).float().mean()
        assert low <= right <= high


# Shortcuts ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(sets, one_thread):
    found = {}
    for told in (1.0, 0.0):
        own = chosen("shortcuts", 8, bands=BANDS, band_epochs=(1, 8), told=told)
        found[told] = shortcuts.in_bands(untrained(own), *sets, own)
    return found


def last(records):
    return {record["band"]: record for record in records if record["epoch"] == 8}


@pytest.mark.slow
def test_a_strong_shortcut_is_followed_and_a_random_signature_is_not(learned):
    telling, random = (last(learned[told]) for told in (1.0, 0.0))
    for band in (8, 12):
        assert telling[band]["follows"] > 0.3
        assert telling[band]["as trained"] > telling[band]["random"] + 0.2
        assert random[band]["follows"] < 0.2


@pytest.mark.slow
def test_a_shortcut_goes_with_its_band(learned):
    for band, record in last(learned[1.0]).items():
        lost = {other: record["as trained"] - record[f"without {other}"] for other in BANDS}
        if band != 4:
            assert lost[band] > 0.2
            assert lost[band] == max(lost.values())


@pytest.mark.slow
def test_records_of_bands(learned):
    names = {"band", "epoch", "original", "random", "as trained", "follows", "untouched"}
    names |= {"distinct", *(f"without {band}" for band in BANDS)}
    for records in learned.values():
        assert [(r["band"], r["epoch"]) for r in records] == [(b, e) for b in BANDS for e in (1, 8)]
        for record in records:
            assert record.keys() == names
            assert all(0 <= record[name] <= 1 for name in names - {"band", "epoch", "distinct"})
        distinct = [last(records)[band]["distinct"] for band in BANDS]
        assert distinct[0] < distinct[1]


@pytest.mark.parametrize("name", ["shortcuts", "pooling"])
def test_measures_depend_on_the_seed_alone(name, sets, one_thread):
    few = [part.take(slice(40)) for part in sets]
    own = chosen(name, **({"bands": (8,)} if name == "shortcuts" else {"few": 10}))
    measure = catalogue.experiment(name).measure
    first, second = (measure(untrained(own), *few, own) for _ in range(2))
    assert first == second
    with torch.random.fork_rng():
        torch.manual_seed(77)
        assert measure(untrained(own), *few, own) == first


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bands": (3,)}, "bands must be 4 to 15 waves per image, got 3"),
        ({"bands": (4, 16)}, "bands must be 4 to 15 waves per image, got 16"),
        ({"band_epochs": (2,)}, r"band_epochs must name one from 1 to 1, got \(2,\)"),
        ({"told": 1.1}, "told must be between 0 and 1, got 1.1"),
    ],
)
def test_bad_settings(changes, text):
    with pytest.raises(ValueError, match=text):
        chosen("shortcuts", **changes)


# Pooling -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_networks_differ_in_their_pooling_only(sets, monkeypatch, one_thread):
    few, trained = [part.take(slice(60)) for part in sets], []

    def fit(model, train_set, recipe, **how):
        trained.append((model, copied(model), recipe))

    monkeypatch.setattr(pooling, "fit", fit)
    own = chosen("pooling", few=20)
    records = pooling.by_pooling(untrained(own), *few, own)
    assert [record["pooling"] for record in records] == ["max", "blur", "low-pass"]
    for (model, weights, recipe), kind in zip(trained, (BlurPool, LowPassPool), strict=True):
        assert sum(isinstance(layer, kind) for layer in model.modules()) == 2
        assert not any(isinstance(layer, nn.MaxPool2d) for layer in model.modules())
        assert all(value.equal(copied(untrained(own))[key]) for key, value in weights.items())
        assert recipe == own.recipe


def copied(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_records_of_pooling(sets, one_thread):
    few = [part.take(slice(60)) for part in sets]
    own = chosen("pooling", few=20, epsilons=(4 / 255, 8 / 255))
    model = untrained(own)
    records = pooling.by_pooling(model, *few, own)
    for record in records:
        names = ["pooling", "original", "consistency", "robust, fgsm", "robust, pgd", "flags"]
        assert list(record) == names
        assert 0 <= record["robust, pgd"] <= record["robust, fgsm"] + 0.1
    assert records[0]["original"] == pytest.approx(accuracy(model, few[1]), abs=0.02)
    first = few[1].take(slice(20))
    wanted = robust_accuracy(model, first, "pgd", (4 / 255,))["accuracy"].item()
    assert records[0]["robust, pgd"] == wanted


class Corner(nn.Module):
    """Names the tenth of grey levels that one pixel has, or, if ``blind``, always the first."""

    def __init__(self, blind):
        super().__init__()
        self.blind, self.weight = blind, nn.Parameter(torch.zeros(()))

    def forward(self, x):
        level = (10 * x[:, :1, 9, 9]).clamp(0, 9.99).floor().long()[:, 0]
        answers = nn.functional.one_hot(0 * level if self.blind else level, 10).float()
        return answers + self.weight + 0 * x.sum(dim=(1, 2, 3))[:, None]


@pytest.mark.parametrize("blind", [True, False])
def test_consistency_counts_answers_that_stay(blind, sets, monkeypatch):
    monkeypatch.setattr(pooling, "KINDS", {"max": None})
    noise = torch.rand(300, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    made = data.ImageSet(noise, torch.arange(300) % 10, tuple("abcdefghij"), "noise")
    (record,) = pooling.by_pooling(Corner(blind).eval(), made, made, chosen("pooling", few=5))
    if blind:
        assert record["consistency"] == 1
    else:  # by chance one in ten, and one in 81 has the same shift twice
        assert 0.05 < record["consistency"] < 0.2
