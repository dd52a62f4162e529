"""``hfc.attacks``: against formulas where they exist, and against foolbox."""

import copy
import math
import re

import foolbox
import numpy as np
import pytest
import torch
from foolbox import attacks as fa
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from hfc import augment
from hfc.attacks import ATTACKS, make, perturb
from hfc.evaluation import logits
from hfc.frequency import fourier_basis
from hfc.robustness import robust_accuracy
from tests.oracles import attacks as oracle
from tests.targets import (
    Linear,
    Random,
    answers,
    healthy,
    image_set,
    linear,
    network,
    noise,
    norms,
    seeded,
    two_classes,
)

pytestmark = pytest.mark.usefixtures("one_thread")

ENSEMBLES = ("apgd", "autoattack")  # test_autoattack


# Against formulas -------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    st.integers(0, 99), st.sampled_from([1 / 255, 8 / 255, 0.2]), st.sampled_from(["fgsm", "pgd"])
)
def test_two_classes_end_in_the_corner(seed, epsilon, name):
    """The gradient of a linear two-class model has one sign everywhere."""
    model, made, towards, _ = two_classes(9, seed=seed)
    changed = perturb(model, made.images, made.labels, name, epsilon, seed=seed)
    corner = made.images + epsilon * towards.sign()
    torch.testing.assert_close(changed, corner, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "p"), [("deepfool", "linf"), ("deepfool-l2", "l2")])
def test_smallest_perturbations(name, p):
    model, made, towards, margin = two_classes(wrong=0)
    distance = margin / norms(towards, p)
    change = (perturb(model, made.images, made.labels, name, 1) - made.images).flatten(1)
    size = np.linalg.norm(change.numpy(), {"linf": np.inf, "l2": 2}[p], axis=1)
    np.testing.assert_allclose(size, 1.02 * (distance + 1e-4), rtol=1e-3)  # foolbox overshoots


def test_smallest_perturbations_are_cut():
    model, made, towards, margin = two_classes(wrong=0)
    distance = margin / norms(towards, "linf")
    epsilon = np.median(distance)
    changed = perturb(model, made.images, made.labels, "deepfool", epsilon)
    assert (changed - made.images).abs().max() <= epsilon + 1e-6
    broken = (answers(model, changed) != made.labels).numpy()
    np.testing.assert_array_equal(broken, distance < epsilon)


def test_hopskipjump_comes_near():
    model, made, towards, margin = two_classes(40, wrong=0)
    wanted = margin / norms(towards, "linf")
    attack = make("hopskipjump", steps=20)
    changed = perturb(model, made.images, made.labels, attack, 1)
    assert (answers(model, changed) != made.labels).all()
    size = (changed - made.images).abs().amax(dim=(1, 2, 3)).numpy()
    assert (size > 0.99 * wanted).all()
    assert np.median(size / wanted) < 2
    fewer = perturb(model, made.images, made.labels, make("hopskipjump", steps=1), 1)
    assert (fewer - made.images).abs().mean() > (changed - made.images).abs().mean()


def test_hopskipjump_at_usual_sizes():
    """Steps that foolbox's defaults take there are too small for float32."""
    model, made, _, _ = two_classes(12, 3, 32, wrong=0)
    first, last = (
        perturb(model, made.images, made.labels, make("hopskipjump", steps=k), 1) for k in (1, 10)
    )
    start, end = ((x - made.images).abs().amax(dim=(1, 2, 3)) for x in (first, last))
    assert (end / start).median() < 0.45


def test_repeated_hopskipjump_keeps_the_nearest():
    model, made, _, _ = two_classes(20, wrong=0)
    once, often = (
        perturb(model, made.images, made.labels, make("hopskipjump", steps=2, restarts=k), 1)
        for k in (1, 3)
    )
    far, near = ((x - made.images).abs().amax(dim=(1, 2, 3)) for x in (once, often))
    assert (near <= far).all()
    assert near.mean() < 0.95 * far.mean()


def test_hopskipjump_reads_no_gradients():
    class Answers(Linear):
        @torch.no_grad()
        def forward(self, x):
            return nn.functional.one_hot(super().forward(x).argmax(dim=1), 2).float()

    _, made, _, _ = two_classes(20, wrong=0)
    model = Answers(linear().weight.detach())
    changed = perturb(model, made.images, made.labels, "hopskipjump", 1)
    assert (answers(model, changed) != made.labels).all()


def test_hopskipjump_of_a_random_model():
    _, made, _, _ = two_classes()
    wanted = "model must answer the same twice for hopskipjump, got a random one"
    with pytest.raises(ValueError, match=wanted):
        perturb(Random(linear().weight.detach()), made.images, made.labels, "hopskipjump", 1)


# Against foolbox and the attack for training --------------------------------------------


@pytest.mark.slow
def test_fgsm_is_that_of_foolbox():
    model, test = healthy()
    target = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    wanted, _, _ = fa.LinfFastGradientAttack()(target, test.images, test.labels, epsilons=8 / 255)
    changed = perturb(model, test.images, test.labels, "fgsm", 8 / 255)
    torch.testing.assert_close(changed, wanted, atol=1e-6, rtol=0)
    for p in model.parameters():
        p.grad = None  # foolbox leaves some


@pytest.mark.slow
def test_pgd_is_that_of_training():
    model, test = healthy()
    epsilon = 1.5 / 255
    other = augment.pgd(
        model, test.images, test.labels, epsilon=epsilon, steps=20, generator=seeded(0)
    )
    changed = perturb(model, test.images, test.labels, "pgd", epsilon)
    loss, other_loss, clean = (
        nn.functional.cross_entropy(logits(model, x), test.labels).item()
        for x in (changed, other, test.images)
    )
    assert loss > 2 * clean
    assert loss == pytest.approx(other_loss, rel=0.05)


# Confined to a component ----------------------------------------------------------------


@settings(max_examples=25)
@given(
    st.sampled_from(["low", "high"]),
    st.sampled_from(["pgd", "pgd-l2"]),
    st.one_of(st.sampled_from([0, 2, 4]), st.floats(1, 6)),
    st.sampled_from([1 / 255, 8 / 255, 0.2]),
    st.integers(4, 9),
    st.integers(0, 99),
)
def test_perturbations_lie_in_the_component(component, name, radius, epsilon, size, seed):
    model, images = linear(3, 2, size, seed), noise(5, size=size, seed=seed)
    attack = make(name, steps=3, component=component, radius=radius)
    changed = perturb(model, images, torch.arange(5) % 3, attack, epsilon, seed=seed)
    change = (changed - images).numpy()
    assert oracle.leak(change, component, radius) < 1e-6
    norm = np.linalg.norm(change.reshape(5, -1), {"pgd": np.inf, "pgd-l2": 2}[name], axis=1)
    assert (norm <= epsilon * (1 + 1e-4) + 1e-6).all()


def test_the_clip_comes_last():
    model, images = linear(3, 2, 8), noise(20, size=8, lowest=0, highest=1)
    attack = make("pgd", component="low", radius=2)
    changed = perturb(model, images, torch.arange(20) % 3, attack, 0.2)
    change = changed - images
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert change.abs().max() <= 0.2 + 1e-6
    assert oracle.leak(change.numpy(), "low", 2) > 0.01


@pytest.mark.parametrize("component", ["low", "high"])
@pytest.mark.parametrize("radius", [1.5, 3])
def test_confined_attack_goes_almost_as_far_as_can_be(component, radius):
    model, made, towards, _ = two_classes(6, channels=1, size=8)
    attack = make("pgd", component=component, radius=radius)
    changed = perturb(model, made.images, made.labels, attack, 0.1)
    gained = ((changed - made.images) * towards).sum(dim=(1, 2, 3))
    for found, direction in zip(gained.tolist(), towards[:, 0].numpy(), strict=True):
        best = oracle.farthest(direction, 0.1, component, radius)
        assert 0.85 * best < found <= best * 1.001


# Without gradients ----------------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(4, 11), st.sampled_from([1 / 255, 0.2]), st.integers(0, 99))
def test_fourier_is_one_wave(channels, size, epsilon, seed):
    model, images = linear(3, channels, size, seed), noise(4, channels, size, seed=seed)
    changed = perturb(model, images, torch.arange(4) % 3, "fourier", epsilon, seed=seed)
    for change in (changed - images).numpy():
        found = [oracle.waves(channel) for channel in change]
        assert all(len(waves) == 1 and waves == found[0] for waves in found)
        np.testing.assert_allclose(np.abs(change).max(axis=(1, 2)), epsilon, atol=1e-6)


@pytest.mark.parametrize("wave", [(0, 5), (3, 0), (6, -6), (1, 1), (8, 0)])
def test_fourier_finds_the_wave_that_is_read(wave):
    basis = fourier_basis(16, 16, *wave)
    model = Linear(torch.stack((basis, -basis))[:, None])
    images = noise(8, 1, 16)
    labels = torch.arange(8) % 2
    changed = perturb(model, images, labels, "fourier", 0.1)
    for change, label in zip(changed - images, labels, strict=True):
        assert oracle.waves(change[0].numpy()) == oracle.waves(basis.numpy())
        assert ((change * basis).sum() < 0) == (label == 0)


def test_noise_is_uniform():
    model, images = linear(), noise(400)
    changed = perturb(model, images, torch.zeros(400).long(), "noise", 0.2)
    offsets = ((changed - images) / 0.2).flatten().double().numpy()
    assert stats.kstest(offsets, stats.uniform(-1, 2).cdf).pvalue > 0.001


# What an attack leaves alone ------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in ENSEMBLES])
@pytest.mark.parametrize("mode", [True, False])
def test_attacks_leave_everything_as_it_was(name, mode):
    model, images = network().train(mode), noise(6, 3, 8, 0, 1)
    model[-2].training = not mode
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    model[-1].weight.grad = torch.ones_like(model[-1].weight)
    modes = [module.training for module in model.modules()]
    before, pixels = copy.deepcopy(model.state_dict()), images.clone()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    attack = make(name, steps=2) if name in ("pgd", "hopskipjump") else name
    changed = perturb(model, images, labels, attack, 0.1)
    made = image_set(images, labels, 3)
    robust_accuracy(model, made, attack, [0.1], protocol="minimum", checked=3)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not changed.requires_grad
    assert (changed - images).flatten(1).norm(dim=1).max() <= 0.1 + 1e-5 or "l2" not in name
    assert (changed - images).abs().max() <= 0.1 + 1e-6
    assert images.equal(pixels)
    assert [module.training for module in model.modules()] == modes
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert not frozen.requires_grad
    assert model[-1].weight.grad.equal(torch.ones_like(model[-1].weight))
    assert sum(p.grad is not None for p in model.parameters()) == 1
    assert torch.get_rng_state().equal(state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_a_failed_attack_leaves_the_model_as_it_was():
    class Breaks(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model, state = nn.Sequential(network(), Breaks()).train(), torch.get_rng_state()
    with pytest.raises(ValueError, match=r"model must take images of shape .*: broken"):
        perturb(model, noise(2, 3, 8), torch.tensor([0, 1]), "pgd", 0.1)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert torch.get_rng_state().equal(state)


def test_surroundings_do_not_matter():
    model, test = healthy()
    few = test.take(slice(20))

    def attacked():
        return perturb(model, few.images, few.labels, make("pgd", steps=3), 4 / 255)

    wanted = attacked()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert attacked().equal(wanted)
    images = few.images.clone().requires_grad_()
    assert perturb(model, images, few.labels, make("pgd", steps=3), 4 / 255).equal(wanted)
    assert images.grad is None


def test_the_seed_decides():
    model, (images, labels) = linear(5), (noise(9), torch.arange(9) % 5)

    def attacked(name, seed):
        torch.rand(7)  # the global state has no say
        return perturb(model, images, labels, name, 0.1, seed=seed)

    for name in ("noise", "pgd-l2", make("pgd", steps=1), make("pgd", steps=1, restarts=2)):
        assert attacked(name, 3).equal(attacked(name, 3))
        assert not attacked(name, 3).equal(attacked(name, 4))
    assert attacked("fgsm", 3).equal(attacked("fgsm", 4))


def too_far(changed, images, epsilon, p):
    """By how much the perturbations leave the ball, as float64 sees it."""
    change = (changed.double() - images.double()).flatten(1)
    return (torch.linalg.vector_norm(change, p, dim=1) - epsilon).max().item()


@given(
    st.sampled_from([torch.bfloat16, torch.float16]),
    st.sampled_from(
        [("fgsm", math.inf), ("noise", math.inf), ("pgd-l2", 2), ("fourier", math.inf)]
    ),
    st.one_of(st.sampled_from([1 / 255, 8 / 255]), st.floats(1e-4, 1)),
    st.integers(0, 99),
)
def test_images_of_low_precision(dtype, attack, epsilon, seed):
    """Rounding leads neither out of the ball nor out of [0, 1]."""
    name, p = attack
    model, images = linear(seed=seed), noise(5, 2, 4, 0, 1, seed=seed).to(dtype)
    changed = perturb(model, images, torch.arange(5) % 2, name, epsilon, seed=seed)
    assert (changed.dtype, changed.shape) == (dtype, images.shape)
    assert 0 <= changed.min() <= changed.max() <= 1
    assert too_far(changed, images, epsilon, p) < 1e-6
    # And it is rounding alone: the step to a neighbouring number is all that is lost.
    exact = perturb(model, images.float(), torch.arange(5) % 2, name, epsilon, seed=seed)
    step = torch.finfo(dtype).eps
    assert (changed.float() - exact).abs().max() <= step * exact.max()


def test_an_attack_is_not_lost_in_rounding():
    model, made, towards, _ = two_classes(40, lowest=0.2, highest=0.8)
    images = made.images.bfloat16()
    changed = perturb(model, images, made.labels, "fgsm", 8 / 255).float() - images.float()
    assert (changed * towards.sign() > 4 / 255).all()


def test_float64_images():
    model, images = linear(), noise(5).double()
    changed = perturb(model, images, torch.zeros(5).long(), "fgsm", 0.1)
    assert changed.dtype == torch.float64
    torch.testing.assert_close((changed - images).abs(), torch.full_like(images, 0.1))


# Errors ---------------------------------------------------------------------------------


KNOWN = "fgsm, pgd, pgd-l2, apgd, autoattack, deepfool, deepfool-l2, hopskipjump, fourier, noise"


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("PGD", {}, f"attack must be one of {KNOWN}, got 'PGD'"),
        ("7", {}, f"attack must be one of {KNOWN}, got '7'"),
        ("pgd", {"steps": 0}, "steps must be at least 1, got 0"),
        ("pgd", {"restarts": 0}, "restarts must be at least 1, got 0"),
        ("fgsm", {"steps": 3}, "steps must be left out for 'fgsm', got 3"),
        ("noise", {"steps": 3}, "steps must be left out for 'noise', got 3"),
        ("pgd", {"radius": 3}, "given together, got component=None and radius=3"),
        ("pgd", {"component": "low"}, "given together, got component='low' and radius=None"),
        ("pgd", {"component": "mid", "radius": 3}, 'must be "low" or "high", got \'mid\''),
        ("fgsm", {"component": "low", "radius": 3}, "component must be left out for 'fgsm', got"),
        ("pgd", {"component": "low", "radius": -1}, "radius must be a number >= 0"),
        ("pgd", {"component": "low", "radius": float("nan")}, "radius must be a number >= 0"),
    ],
)
def test_make_refuses(name, settings, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make(name, **settings)


def test_names():
    assert ", ".join(ATTACKS) == KNOWN
    assert all(isinstance(make(name), fa.Attack) for name in ATTACKS)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epsilon": 8}, "epsilon must be in pixel units, 0 to 1 (8/255, not 8), got 8"),
        ({"epsilon": -0.1}, "epsilon must be in pixel units, 0 to 1 (8/255, not 8), got -0.1"),
        ({"epsilon": float("nan")}, "(8/255, not 8), got nan"),
        (
            {"epsilon": 6, "attack": "pgd-l2"},
            "epsilon must be in pixel units, 0 to 5.657, an image's diagonal, got 6",
        ),
        ({"attack": "magic"}, f"attack must be one of {KNOWN}, got 'magic'"),
        ({"images": torch.rand(0, 2, 4, 4)}, "images must hold at least one image, got none"),
        ({"images": 255 * noise(3)}, "images must hold pixels in [0, 1], got ["),
        ({"images": noise(3) - 0.5}, "images must hold pixels in [0, 1], got [-0."),
        ({"images": noise(3) * float("nan")}, "images must hold pixels in [0, 1], got [nan, nan]"),
        ({"labels": torch.zeros(2).long()}, "labels must have shape (3,), one per image, got (2,)"),
        ({"attack": "pgd", "labels": torch.full((3,), 8)}, "labels must name classes of model, fr"),
    ],
)
def test_perturb_refuses(changes, text):
    model = linear()
    values = {"images": noise(3), "labels": torch.zeros(3).long(), "attack": "pgd", "epsilon": 0.1}
    with pytest.raises(ValueError, match=re.escape(text)):
        perturb(model, **values | changes)
    assert len(model.shown) <= 1  # the number of classes must be asked of the model


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("label", [-100, -1, 2])
def test_labels_that_are_no_classes_are_refused(name, label):
    """PyTorch's loss skips -100, so that an attack would do nothing."""
    labels = torch.tensor([0, 1, label])
    got = f"got values from {labels.min()} to {labels.max()}"
    with pytest.raises(ValueError, match=f"labels must name classes of model, from 0 to 1, {got}"):
        perturb(linear(), noise(3), labels, name, 0.1)


class Strange(nn.Module):
    """Answers in whatever way it is told to."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda x: x.flatten(1) * torch.nan, "model must answer with finite logits, got NaN or in"),
        (lambda x: x.flatten(1) / 0, "model must answer with finite logits, got NaN or infinity"),
        (lambda x: x, "model must return logits, a tensor of shape (1, classes), got shape (1, 2,"),
    ],
)
def test_models_that_give_no_logits_are_refused(answer, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        perturb(Strange(answer), noise(3), torch.zeros(3).long(), "fgsm", 0.1)


def test_epsilons_up_to_the_diagonal():
    model, images = linear(), noise(3)
    perturb(model, images, torch.zeros(3).long(), "pgd-l2", 32**0.5)
    perturb(model, images, torch.zeros(3).long(), "pgd", 1)
