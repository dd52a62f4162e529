"""``hfc.unfamiliar``: scores against scikit-learn, pictures, detectors of attacks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from hfc import data, models
from hfc.attacks import perturb
from hfc.data import DatasetError
from hfc.evaluation import is_right, logits
from hfc.frequency import low_pass
from hfc.unfamiliar import (
    SCORES,
    UNFAMILIAR,
    AgreedAnswer,
    SpectralDetector,
    calibration_error,
    disagreement,
    features,
    load_pictures,
    load_unfamiliar,
    outlier_scores,
    separation,
)


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.build("small", num_classes=10, width=8).eval()


@pytest.fixture(scope="module")
def images():
    return data.load("synthetic", "test", size=80).images


# Scores -------------------------------------------------------------------------------------

numbers = hnp.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.integers(-5, 5).map(float) | st.floats(0, 1, width=32),
)


@given(numbers, numbers)
def test_auroc_is_that_of_scikit_learn(familiar, unfamiliar):
    truth = np.repeat([0, 1], [len(familiar), len(unfamiliar)])
    wanted = roc_auc_score(truth, np.concatenate([familiar, unfamiliar]))
    found = separation(torch.from_numpy(familiar), torch.from_numpy(unfamiliar))
    assert found["AUROC"] == pytest.approx(wanted)


@given(numbers, numbers)
def test_fpr95_is_what_passes_where_95_percent_of_the_familiar_do(familiar, unfamiliar):
    truth = np.repeat([1, 0], [len(familiar), len(unfamiliar)])
    passed, caught, _ = roc_curve(
        truth, -np.concatenate([familiar, unfamiliar]), drop_intermediate=False
    )
    wanted = passed[np.argmax(caught >= 0.95)]
    found = separation(torch.from_numpy(familiar), torch.from_numpy(unfamiliar))
    assert found["FPR95"] == pytest.approx(wanted)


def test_scores_that_separate_and_scores_that_do_not():
    low, high = torch.arange(20.0), torch.arange(20.0) + 100
    assert separation(low, high) == {"AUROC": 1, "FPR95": 0}
    assert separation(high, low) == {"AUROC": 0, "FPR95": 1}
    assert separation(low, low)["AUROC"] == 0.5


@pytest.mark.parametrize(
    "broken", [torch.zeros(0), torch.tensor([0.0, float("nan")]), torch.zeros(2, 2)]
)
def test_separation_refuses_what_are_no_scores(broken):
    with pytest.raises(ValueError, match="unfamiliar must be scores of shape"):
        separation(torch.zeros(3), broken)


def test_scores_from_logits_are_what_their_authors_wrote(model, images):
    found = logits(model, images)
    wanted = {
        "max softmax": -found.softmax(dim=1).amax(dim=1),
        "max logit": -found.amax(dim=1),
        "energy": -found.logsumexp(dim=1),
    }
    for score, numbers in wanted.items():
        torch.testing.assert_close(outlier_scores(model, images, score), numbers)


def test_knn_is_the_distance_to_the_50th_nearest_feature(model, images):
    known, asked = images[:70], images[70:]
    first, second = (nn.functional.normalize(features(model, x)) for x in (known, asked))
    wanted = torch.cdist(second.double(), first.double()).sort(dim=1).values[:, 49]
    found = outlier_scores(model, asked, "KNN", familiar=known)
    torch.testing.assert_close(found, wanted.float(), atol=1e-5, rtol=1e-4)


def test_features_times_the_last_weights_are_the_logits(model, images):
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    torch.testing.assert_close(last(features(model, images)), logits(model, images))
    with pytest.raises(ValueError, match="model must have a linear layer"):
        features(nn.Flatten(), images)


def test_scores_say_what_they_need(model, images):
    with pytest.raises(ValueError, match=r"score must be one of max softmax, .*, got .entropy."):
        outlier_scores(model, images, "entropy")
    with pytest.raises(ValueError, match="familiar must be given for 'KNN'"):
        outlier_scores(model, images, "KNN")
    with pytest.raises(ValueError, match="familiar must be left out for 'energy'"):
        outlier_scores(model, images, "energy", familiar=images)
    with pytest.raises(ValueError, match="familiar must hold at least 50 images, got 49"):
        outlier_scores(model, images, "KNN", familiar=images[:49])


def test_what_was_not_trained_on_scores_higher_for_every_score():
    """Two clouds of features; a third far off, where the network is sure of nothing."""
    generator = torch.Generator().manual_seed(0)
    known, other = (
        torch.tensor(middle).view(2, 1, 1) + 0.02 * torch.randn(n, 2, 1, 1, generator=generator)
        for n, middle in ((100, (5.0, 0.0)), (30, (0.5, 0.5)))
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(2))
        model[1].bias.zero_()
    for score in SCORES:
        extra = {"familiar": known[:60]} if score == "KNN" else {}
        inside = outlier_scores(model, known[60:], score, **extra)
        assert separation(inside, outlier_scores(model, other, score, **extra))["AUROC"] > 0.99


def test_calibration_error_of_hand_made_confidences():
    """Ten answers at a confidence of .8, six of them right; ten at .6, all right."""
    first, second = np.log([[0.8, 0.2]] * 10), np.log([[0.6, 0.4]] * 10)
    found = torch.from_numpy(np.concatenate([first, second])).float()
    labels = torch.tensor([0] * 6 + [1] * 4 + [0] * 10)
    assert calibration_error(found, labels) == pytest.approx((0.2 + 0.4) / 2, abs=1e-6)
    with pytest.raises(ValueError, match="labels"):
        calibration_error(found, labels + 1)


# Sets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crops", "scenes"])
def test_made_sets_are_the_same_every_time(name):
    first = load_unfamiliar(name, size=6, seed=3)
    assert first.shape == (6, 3, 32, 32)
    assert first.dtype == torch.float32
    assert 0 <= first.min() <= first.max() <= 1
    assert first.equal(load_unfamiliar(name, size=6, seed=3))
    assert not first.equal(load_unfamiliar(name, size=6, seed=4))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("cifar100", "cifar100/test/a"),
        ("gtsrb", "gtsrb/GTSRB/Final_Test/Images"),
        ("textures", "dtd/dtd/images/a"),
    ],
)
def test_real_sets_stand_where_torchvision_puts_them(name, place, tmp_path):
    with pytest.raises(DatasetError, match=r"is missing or holds no pictures \(.png"):
        load_unfamiliar(name, root=tmp_path)
    folder = tmp_path / place
    folder.mkdir(parents=True)
    for k in range(4):
        Image.new("RGB", (32, 32), (60 * k, 0, 255)).save(folder / f"{k}.ppm")
    (folder / "notes.csv").write_text("no picture")
    found = load_unfamiliar(name, root=tmp_path)
    assert found.shape == (4, 3, 32, 32)
    assert (255 * found[:, 0, 0, 0]).tolist() == pytest.approx([0, 60, 120, 180])
    assert len(load_unfamiliar(name, size=3, root=tmp_path)) == 3


def test_pictures_are_cut_around_their_middle(tmp_path):
    """Left red, middle green, right blue: of a wide picture only green is left."""
    stripes = np.zeros((40, 120, 3), np.uint8)
    for k in range(3):
        stripes[:, 40 * k : 40 * (k + 1), k] = 200
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    (found,) = load_pictures(tmp_path, side=20)
    inner = found[:, :, 2:-2]
    assert inner[1].min() > 0.75
    assert inner[[0, 2]].max() < 0.02


def test_a_damaged_picture_is_named(tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"half\.png is damaged or no picture"):
        load_pictures(tmp_path)


def test_unknown_sets_are_refused():
    with pytest.raises(
        ValueError, match=f"name must be one of {', '.join(UNFAMILIAR)}, got 'svhn'"
    ):
        load_unfamiliar("svhn")


# Detectors of attacks ------------------------------------------------------------------------


class Edges(nn.Module):
    """A network that reads mean and contrast: two classes by the one, two by the other."""

    def forward(self, x):
        mean = 8 * (x.mean(dim=(1, 2, 3)) - 0.5)
        wave = x.new_tensor([1.0, -1.0]).repeat(x.shape[-1] // 2)
        edges = 20 * (x * wave).mean(dim=(1, 2, 3))
        return torch.stack([mean, -mean + edges], dim=1)


@given(st.integers(0, 40), st.integers(0, 1000))
def test_disagreement_is_a_distance_of_probabilities(radius, seed):
    generator = torch.Generator().manual_seed(seed)
    shown = torch.rand(4, 3, 8, 8, generator=generator)
    found = disagreement(Edges(), shown, radius)
    first, second = (Edges()(x).softmax(dim=1) for x in (shown, low_pass(shown, radius)))
    torch.testing.assert_close(found, (first - second).abs().amax(dim=1), atol=1e-6, rtol=1e-4)
    assert ((found >= 0) & (found <= 1)).all()


def test_an_agreed_answer_is_one_that_both_believe_in():
    shown = torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    first, second = (Edges()(x).log_softmax(dim=1) for x in (shown, low_pass(shown, 2)))
    found = AgreedAnswer(Edges(), 2)(shown)
    assert found.equal(torch.minimum(first, second))
    alike = first.argmax(dim=1) == second.argmax(dim=1)
    assert 0 < alike.sum() < 50
    assert found.argmax(dim=1)[alike].equal(first.argmax(dim=1)[alike])


def test_the_adaptive_attack_keeps_both_answers():
    """PGD takes the short way, the edges that the LFC lacks; the adaptive attack does not."""
    generator = torch.Generator().manual_seed(2)
    shown = 0.52 + 0.02 * torch.rand(40, 3, 8, 8, generator=generator)
    labels, radius = torch.zeros(40, dtype=torch.int64), 2
    low = lambda x: logits(Edges(), low_pass(x, radius)).argmax(dim=1)  # noqa: E731
    assert is_right(Edges(), shown, labels).all()
    plain = perturb(Edges(), shown, labels, "pgd", 0.04)
    assert not is_right(Edges(), plain, labels).any()
    assert (low(plain) == 0).all()  # seen by disagreement
    adaptive = perturb(AgreedAnswer(Edges(), radius), shown, labels, "pgd", 0.06)
    wrong = ~is_right(Edges(), adaptive, labels)
    assert wrong.all()
    assert (low(adaptive) == 1).all()
    assert (adaptive - shown).abs().max() <= 0.06 + 1e-6


def test_amplitudes_tell_waves_from_none(images):
    grown = (images + 0.05 * torch.tensor([1.0, -1.0]).repeat(16)).clamp(0, 1)
    detector = SpectralDetector().fit(images[:40], grown[:40])
    found = separation(detector.scores(images[40:]), detector.scores(grown[40:]))
    assert found["AUROC"] > 0.99
    same = SpectralDetector().fit(images[:40], images[:40])
    assert same.scores(images[40:]).tolist() == pytest.approx([0.5] * 40, abs=1e-6)


def test_the_spectral_detector_says_what_is_wrong(images):
    with pytest.raises(ValueError, match="fit must come before scores"):
        SpectralDetector().scores(images)
    with pytest.raises(
        ValueError, match=r"attacked must be images of shape \(3, 32, 32\) as clean"
    ):
        SpectralDetector().fit(images, images[:, :, :16])
    with pytest.raises(ValueError, match=r"images must have shape \(3, 32, 32\) as those fitted"):
        SpectralDetector().fit(images[:40], images[:40]).scores(images[:, :, :16])
