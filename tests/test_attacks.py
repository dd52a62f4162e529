"""``hfc.attacks``: against formulas where they exist, against foolbox, and against bad models."""

import copy
import re

import foolbox
import numpy as np
import pytest
import torch
from foolbox import attacks as fa
from foolbox.attacks.base import FixedEpsilonAttack
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from hfc import attacks, augment, data, models, training
from hfc.attacks import (
    ATTACKS,
    FilteredInput,
    StraightThrough,
    joint_bound,
    low_pass_bound,
    make,
    perturb,
    robust_accuracy,
)
from hfc.data import ImageSet
from hfc.evaluation import accuracy, predict, wilson_interval
from hfc.frequency import fourier_basis, high_pass, low_pass
from tests.oracles import attacks as oracle
from tests.oracles import frequency as slow

pytestmark = pytest.mark.usefixtures("one_thread")

MINIMAL = ("deepfool", "deepfool-l2", "hopskipjump")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noise(n, channels=2, size=4, lowest=0.3, highest=0.7, seed=0):
    images = torch.rand(n, channels, size, size, generator=seeded(seed))
    return lowest + (highest - lowest) * images


def image_set(images, labels, classes=2):
    return ImageSet(images, labels, tuple("abcdefghij"[:classes]), "made")


class Linear(nn.Module):
    """Logits by one matrix, all 0 for a grey image; it keeps what it was shown."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.shown, self.modes = [], []

    def forward(self, x):
        self.shown.append(x.detach().clone())
        self.modes.append(self.training)
        return (x - 0.5).flatten(1) @ self.weight.flatten(1).T


def linear(classes=2, channels=2, size=4, seed=0):
    return Linear(torch.randn(classes, channels, size, size, generator=seeded(seed)))


def answers(model, images):
    return predict(model, images).argmax(dim=1)


def two_classes(n=60, channels=2, size=4, seed=0, wrong=0.1, **changes):
    """A linear model, images with its answers as labels but for a few, and their margins."""
    model = linear(2, channels, size, seed)
    images = noise(n, channels, size, seed=seed, **changes)
    labels = answers(model, images)
    labels[: int(wrong * n)] = 1 - labels[: int(wrong * n)]
    model.eval()
    weight = model.weight.detach()
    towards = weight[1 - labels] - weight[labels]  # (N, C, H, W)
    margin = -((images - 0.5) * towards).flatten(1).sum(dim=1).double().numpy()
    return model, image_set(images, labels), towards, margin


def between(distances, gap=1.05):
    """Epsilons with room to the distances of all images: middles of gaps of 5 % and more."""
    near = np.sort(distances[distances > 0])
    wide = near[1:] / near[:-1] > gap
    assert wide.sum() >= 4
    return ((near[1:] + near[:-1]) / 2)[wide]


@pytest.fixture(scope="module")
def trained():
    """A healthy small network and test images."""
    train = data.load("synthetic", "train", size=1500)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.build("small", num_classes=10, width=8)
    recipe = training.Recipe(epochs=6, batch_size=50)
    training.fit(model, train, recipe, progress=False)
    test = data.load("synthetic", "test", size=80)
    assert accuracy(model, test) > 0.55
    return model.eval(), test


def flags(table):
    """All flags of a table, without their numbers."""
    texts = [text for row in table["flags"] for text in row.split("; ") if text]
    return {re.sub(r"\d+ %", "%", text) for text in texts}


# Against formulas -------------------------------------------------------------------------


def norms(towards, p):
    dual = {"linf": 1, "l2": 2}[p]
    return np.linalg.norm(towards.flatten(1).double().numpy(), dual, axis=1)


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


@pytest.mark.parametrize("batch_size", [7, 250])
@pytest.mark.parametrize(
    ("name", "p", "protocol"),
    [
        ("fgsm", "linf", "fixed"),
        ("pgd", "linf", "fixed"),
        ("pgd", "linf", "minimum"),
        ("pgd-l2", "l2", "fixed"),
        ("deepfool", "linf", "minimum"),
        ("deepfool-l2", "l2", "minimum"),
    ],
)
def test_robust_accuracy_of_two_classes(name, p, protocol, batch_size):
    model, made, towards, margin = two_classes()
    distance = margin / norms(towards, p)
    epsilons = between(distance, 1.1 if name == "pgd-l2" else 1.05)  # which ends 2 % short
    options = {"protocol": protocol, "batch_size": batch_size, "checked": 0}
    table = robust_accuracy(model, made, name, epsilons, **options)
    wanted = [(distance > epsilon).sum() for epsilon in epsilons]
    assert len(set(wanted)) >= 4
    assert table.index.tolist() == epsilons.tolist()
    assert table.index.name == "epsilon"
    for count, row in zip(wanted, table.itertuples(), strict=True):
        assert row.accuracy == pytest.approx(count / 60)
        assert (row.low, row.high) == pytest.approx(wilson_interval(count, 60))


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


def test_hopskipjump_without_a_start():
    model, made, _, _ = two_classes(20, wrong=0)
    alone = made.take(made.labels == 0)  # no image of the other class to start from
    changed = perturb(model, alone.images, alone.labels, "hopskipjump", 1)
    assert changed.equal(alone.images)
    table = robust_accuracy(model, alone, "hopskipjump", [1], protocol="minimum")
    assert table["accuracy"].item() == 1
    assert flags(table) == {"% of images stay right though epsilon reaches grey"}


class Random(Linear):
    """Answers anew each time."""

    def forward(self, x):
        logits = super().forward(x)
        return logits + torch.randn_like(logits)


def test_hopskipjump_of_a_random_model():
    _, made, _, _ = two_classes()
    wanted = "model must answer the same twice for hopskipjump, got a random one"
    with pytest.raises(ValueError, match=wanted):
        perturb(Random(linear().weight.detach()), made.images, made.labels, "hopskipjump", 1)


# Against foolbox and the attack for training ----------------------------------------------


def test_fgsm_is_that_of_foolbox(trained):
    model, test = trained
    target = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    wanted, _, _ = fa.LinfFastGradientAttack()(target, test.images, test.labels, epsilons=8 / 255)
    changed = perturb(model, test.images, test.labels, "fgsm", 8 / 255)
    torch.testing.assert_close(changed, wanted, atol=1e-6, rtol=0)
    for p in model.parameters():
        p.grad = None  # foolbox leaves some


@pytest.mark.parametrize("name", ["pgd", "pgd-l2"])
def test_pgd_is_that_of_foolbox(trained, name):
    model, test = trained
    epsilon = {"pgd": 1.5 / 255, "pgd-l2": 0.15}[name]
    theirs = {"pgd": fa.LinfPGD, "pgd-l2": fa.L2PGD}[name](steps=20, rel_stepsize=0.125)
    ours, other = (
        robust_accuracy(model, test, attack, [epsilon], checked=0)["accuracy"].item()
        for attack in (name, theirs)
    )
    assert 0.1 < ours < accuracy(model, test) - 0.1
    assert ours == pytest.approx(other, abs=0.03)
    few = robust_accuracy(model, test, make(name, steps=1), [epsilon], checked=0)
    assert few["accuracy"].item() > ours  # the steps arrive


def test_pgd_is_that_of_training(trained):
    model, test = trained
    epsilon = 1.5 / 255
    other = augment.pgd(
        model, test.images, test.labels, epsilon=epsilon, steps=20, generator=seeded(0)
    )
    changed = perturb(model, test.images, test.labels, "pgd", epsilon)
    loss, other_loss, clean = (
        nn.functional.cross_entropy(predict(model, x), test.labels).item()
        for x in (changed, other, test.images)
    )
    assert loss > 2 * clean
    assert loss == pytest.approx(other_loss, rel=0.05)


def test_restarts_find_more(trained):
    model, test = trained
    left = [
        robust_accuracy(model, test, make("pgd", steps=2, restarts=k), [1.5 / 255], checked=0)
        for k in (1, 4)
    ]
    assert left[1]["accuracy"].item() <= left[0]["accuracy"].item()
    assert isinstance(make("pgd", restarts=2), foolbox.attacks.base.Repeated)


# Confined to a component ------------------------------------------------------------------


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
def test_confined_l2_attack_of_two_classes(component, radius):
    model, made, towards, margin = two_classes(channels=1, size=8)
    useful = torch.from_numpy(oracle.confined(towards.numpy(), component, radius))
    distance = margin / norms(useful, "l2")
    epsilons = between(distance[distance < 1.5], 1.1)[:6]
    attack = make("pgd-l2", component=component, radius=radius)
    table = robust_accuracy(model, made, attack, epsilons, checked=0)
    wanted = [(distance > epsilon).mean() for epsilon in epsilons]
    assert table["accuracy"].tolist() == pytest.approx(wanted)


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


@pytest.mark.parametrize("name", ["pgd", "pgd-l2"])
def test_with_nothing_to_filter_it_is_plain_pgd(trained, name):
    model, test = trained
    epsilon = {"pgd": 1.5 / 255, "pgd-l2": 0.15}[name]
    plain, whole = (
        robust_accuracy(model, test, attack, [epsilon], checked=0)["accuracy"].item()
        for attack in (name, make(name, component="low", radius=30))
    )
    assert whole == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize(("read", "other"), [("low", "high"), ("high", "low")])
def test_a_component_that_is_not_read_does_not_matter(read, other):
    model, made, _, _ = two_classes(channels=1, size=8)
    with torch.no_grad():
        keep = {"low": low_pass, "high": high_pass}[read]
        model.weight.copy_(keep(model.weight, 2))
    made = image_set(made.images, answers(model, made.images))
    left = {}
    for component in (read, other):
        attack = make("pgd", component=component, radius=2)
        left[component] = robust_accuracy(model, made, attack, [0.25])
    assert left[other]["accuracy"].item() == 1
    assert left[read]["accuracy"].item() < 0.1
    assert flags(left[other]) <= {"gradients vanish for % of images"}


# Without gradients ------------------------------------------------------------------------


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


def test_fourier_needs_colour(trained):
    """Waves that are grey are far weaker than waves whose channels go up and down apart."""
    model, test = trained
    table = robust_accuracy(model, test, "fourier", [16 / 255], checked=0)
    assert table["accuracy"].item() < accuracy(model, test) - 0.3


def test_noise_is_uniform():
    model, images = linear(), noise(400)
    changed = perturb(model, images, torch.zeros(400).long(), "noise", 0.2)
    offsets = ((changed - images) / 0.2).flatten().double().numpy()
    assert stats.kstest(offsets, stats.uniform(-1, 2).cdf).pvalue > 0.001


# What an attack leaves alone --------------------------------------------------------------


def network(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.build("small", **{"num_classes": 3, "width": 8, "dropout": 0.5} | changes)


@pytest.mark.parametrize("name", ATTACKS)
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


def test_attacks_are_on_the_model_in_evaluation_mode():
    model, made, _, _ = two_classes()
    model.train()
    perturb(model, made.images, made.labels, "pgd", 0.1)
    source = linear().train()
    table = robust_accuracy(model, made, "pgd", [0.02], source=source)
    assert not any(model.modes[1:] + source.modes)
    assert model.training
    assert source.training
    calm = robust_accuracy(model.eval(), made, "pgd", [0.02], source=linear())
    assert table["accuracy"].equals(calm["accuracy"])


def test_a_failed_attack_leaves_the_model_as_it_was():
    class Breaks(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model, state = nn.Sequential(network(), Breaks()).train(), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="broken"):
        perturb(model, noise(2, 3, 8), torch.tensor([0, 1]), "pgd", 0.1)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert torch.get_rng_state().equal(state)


def test_surroundings_do_not_matter(trained):
    model, test = trained
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
    made = image_set(images, labels, 5)
    tables = [robust_accuracy(model, made, "pgd", [0.01, 0.02], seed=1) for _ in range(2)]
    assert tables[0].equals(tables[1])


def test_float64_images():
    model, images = linear(), noise(5).double()
    changed = perturb(model, images, torch.zeros(5).long(), "fgsm", 0.1)
    assert changed.dtype == torch.float64
    torch.testing.assert_close((changed - images).abs(), torch.full_like(images, 0.1))


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_a_device(name, device):
    model, made, _, _ = two_classes(20)
    settings = {"protocol": "minimum" if name in MINIMAL else "fixed"}
    here = robust_accuracy(model.to(device), made.to(device), name, [0.02], **settings)
    changed = perturb(model, made.images.to(device), made.labels.to(device), name, 0.02)
    assert changed.device.type == device.type
    there = robust_accuracy(model.cpu(), made, name, [0.02], **settings)
    assert here["accuracy"].item() == pytest.approx(there["accuracy"].item(), abs=0.16)


# Robust accuracy --------------------------------------------------------------------------


def test_epsilon_zero_is_clean_accuracy(trained):
    model, test = trained
    for name in ("fgsm", "pgd-l2", "fourier"):
        table = robust_accuracy(model, test.take(slice(40)), name, [0], checked=0)
        assert table["accuracy"].item() == pytest.approx(accuracy(model, test.take(slice(40))))
    table = robust_accuracy(model, test, "deepfool", [0], protocol="minimum", checked=0)
    assert table["accuracy"].item() == pytest.approx(accuracy(model, test))


def test_epsilons_keep_their_order():
    model, made, _, _ = two_classes()
    epsilons = [0.05, 0, 0.01, 0.05]
    table = robust_accuracy(model, made, "fgsm", epsilons)
    assert table.index.tolist() == epsilons
    assert list(table.columns) == ["accuracy", "low", "high", "flags"]
    ordered = robust_accuracy(model, made, "fgsm", sorted(epsilons))
    assert table["accuracy"].tolist() == ordered["accuracy"].iloc[[2, 0, 1, 3]].tolist()


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_robust_accuracy_counts_what_perturb_makes(trained, name):
    model, test = trained
    other = network(num_classes=10, dropout=0).eval()
    for source in (None, other):
        table = robust_accuracy(model, test, name, [2 / 255], source=source, checked=0)
        changed = perturb(source or model, test.images, test.labels, name, 2 / 255)
        right = (answers(model, test.images) == test.labels) & (
            answers(model, changed) == test.labels
        )
        assert table["accuracy"].item() == pytest.approx(right.double().mean().item())


def test_minimum_protocol_by_hand(trained):
    """FGSM has no luck, so that every try can be repeated."""
    model, test = trained
    epsilons = [4 / 255, 32 / 255, 0.8]
    sizes = sorted(epsilons + [0.8 / 2 ** (k / 2) for k in range(1, 9)])
    outcomes = {
        size: (
            answers(model, perturb(model, test.images, test.labels, "fgsm", size)) == test.labels
        ).tolist()
        for size in sizes
    }
    right = (answers(model, test.images) == test.labels).tolist()
    wanted = oracle.cumulative(right, outcomes)
    table = robust_accuracy(model, test, "fgsm", epsilons, protocol="minimum", checked=0)
    assert table["accuracy"].tolist() == pytest.approx([wanted[size] for size in epsilons])
    fixed = robust_accuracy(model, test, "fgsm", epsilons, checked=0)
    assert (table["accuracy"] <= fixed["accuracy"]).all()
    assert table["accuracy"].iloc[-1] < fixed["accuracy"].iloc[-1] - 0.05


def test_minimum_is_never_above_fixed(trained):
    model, test = trained
    epsilons = [1 / 255, 2 / 255, 3 / 255]
    for attack in (make("pgd", steps=2), "noise"):
        fixed, minimum = (
            robust_accuracy(model, test, attack, epsilons, protocol=protocol, checked=0)
            for protocol in ("fixed", "minimum")
        )
        assert (minimum["accuracy"] <= fixed["accuracy"]).all()
        assert minimum["accuracy"].is_monotonic_decreasing


def test_wrong_images_stay_wrong():
    """Also if the attack, with another's gradients, happens to set them right."""
    model, made, _, _ = two_classes(wrong=0.5)
    against = Linear(-model.weight.detach())
    changed = perturb(against, made.images, made.labels, "fgsm", 0.2)
    assert (answers(model, changed) == made.labels).all()
    for protocol in ("fixed", "minimum"):
        table = robust_accuracy(model, made, "fgsm", [0, 0.2], protocol=protocol, source=against)
        assert table["accuracy"].tolist() == [0.5, 0.5]


def test_all_wrong():
    model, made, _, _ = two_classes(wrong=1)
    for name in ATTACKS:
        table = robust_accuracy(model, made, name, [0.01, 0.1], protocol="minimum")
        assert table["accuracy"].tolist() == [0, 0]
        assert flags(table) == set()


# Flags ------------------------------------------------------------------------------------

MODE = "the model came in training mode"
RANDOM = "the model is random: two passes differ"
PIXELS = "the attack left [0, 1]"
BALL = "the attack left the ball"
VANISH = "gradients vanish for % of images"
RISES = "accuracy rises with epsilon"
NOISE = "noise breaks % more images than gradients"
WAVES = "waves break % more images than gradients"
STEPS = "a quarter of the steps breaks % more images"
REACHES = "% of images stay right though epsilon reaches grey"


@pytest.mark.parametrize(
    ("name", "protocol", "epsilons"),
    [
        ("pgd", "fixed", [0, 1 / 255, 8 / 255]),
        ("pgd-l2", "fixed", [0.1, 0.5]),
        ("deepfool", "minimum", [1 / 255, 8 / 255]),
        ("deepfool-l2", "minimum", [0.5]),
        ("fourier", "fixed", [1 / 255, 8 / 255]),
        ("noise", "fixed", [1 / 255, 8 / 255]),
    ],
)
def test_a_healthy_network_has_no_flags(trained, name, protocol, epsilons):
    table = robust_accuracy(*trained, name, epsilons, protocol=protocol)
    assert table["flags"].tolist() == [""] * len(epsilons)


def test_a_confined_attack_has_no_flags(trained):
    attack = make("pgd", component="high", radius=12)
    table = robust_accuracy(*trained, attack, [2 / 255])
    assert table["accuracy"].item() > 0.3
    assert table["flags"].item() == ""


def test_flag_for_training_mode():
    model, made, _, _ = two_classes()
    for mode in (True, False):
        table = robust_accuracy(model.train(mode), made, "pgd", [0, 0.02])
        assert [MODE in text for text in table["flags"]] == [mode, mode]
    layers = nn.Sequential(model, nn.Dropout(0.5)).eval()
    layers[1].train()  # one layer is enough
    assert flags(robust_accuracy(layers, made, "pgd", [0.02])) == {MODE}


def test_flag_for_random_models():
    _, made, _, _ = two_classes()
    for name in ("pgd", "noise", "deepfool"):
        model = Random(linear().weight.detach()).eval()
        table = robust_accuracy(model, made, name, [0.02], protocol="minimum")
        assert RANDOM in flags(table)


class Shift(FixedEpsilonAttack):
    """Makes all pixels brighter; ``factor`` above 1 takes more than it may."""

    distance = foolbox.distances.linf

    def __init__(self, factor=1.0):
        self.factor = factor

    def run(self, model, inputs, criterion, *, epsilon):
        return inputs + self.factor * epsilon


def test_flags_for_cheating():
    model, made, _, _ = two_classes(lowest=0.4, highest=0.75)
    honest, greedy = (
        robust_accuracy(model, made, Shift(factor), [0, 0.2, 0.3], checked=0) for factor in (1, 1.5)
    )
    assert honest["flags"].tolist() == ["", "", PIXELS]
    assert greedy["flags"].tolist() == ["", f"{PIXELS}; {BALL}", f"{PIXELS}; {BALL}"]
    assert greedy["accuracy"].equals(honest["accuracy"])  # the loot is taken away
    changed = perturb(model, made.images, made.labels, Shift(1.5), 0.3)
    torch.testing.assert_close(changed, (made.images + 0.3).clamp(0, 1))


class Sure(nn.Module):
    """A linear model, absurdly sure of itself where the first pixel is bright."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x) * torch.where(x[:, 0, 0, 0] > 0.9, 1e5, 1)[:, None]


@pytest.mark.parametrize(("n", "sure", "percent"), [
    (100, 0, None), (100, 2, None), (100, 3, 3), (50, 2, None), (50, 3, 6), (99, 50, 51),
])  # fmt: skip
def test_flag_for_vanished_gradients(n, sure, percent):
    images = noise(n)
    images[:sure, 0, 0, 0] = 0.95
    model = Sure(linear()).eval()
    made = image_set(images, answers(model, images))
    for name, protocol in (("fgsm", "fixed"), ("deepfool", "minimum")):
        table = robust_accuracy(model, made, name, [0.01], protocol=protocol)
        found = re.findall(r"gradients vanish for (\d+) % of images", table["flags"].item())
        assert found == ([] if percent is None else [str(percent)])


def test_gradients_are_those_of_the_source():
    images = noise(50)
    model = Sure(linear()).eval()
    made = image_set(images, answers(model, images))
    for source in (model, linear()):
        sure = copy.deepcopy(source)
        for p in sure.parameters():
            p.data *= 1e5
        assert VANISH in flags(robust_accuracy(model, made, "fgsm", [0.01], source=sure))
    assert VANISH not in flags(robust_accuracy(model, made, "fgsm", [0.01], source=linear()))


class Window(nn.Module):
    """Errs where an image is a little brighter than grey, and nowhere else."""

    def forward(self, x):
        mean = x.mean(dim=(1, 2, 3))
        wrong = 1e3 * (mean - 0.55) * (0.6 - mean)
        return torch.stack((-wrong, wrong), dim=1)


GREY = ImageSet(torch.full((20, 1, 4, 4), 0.5), torch.zeros(20).long(), ("grey", "bright"), "grey")


def test_flag_for_rising_accuracy():
    fixed = robust_accuracy(Window().eval(), GREY, "fgsm", [0.02, 0.08, 0.3])
    assert fixed["accuracy"].tolist() == [1, 0, 1]
    assert [RISES in text for text in fixed["flags"]] == [False, False, True]
    assert all("100 % of images stay right though" in text for text in fixed["flags"])
    minimum = robust_accuracy(Window().eval(), GREY, "fgsm", [0.02, 0.08, 0.3], protocol="minimum")
    assert minimum["accuracy"].tolist() == [1, 0, 0]
    assert RISES not in flags(minimum)
    alone = robust_accuracy(Window().eval(), GREY, "fgsm", [0.3], protocol="minimum")
    assert alone["accuracy"].item() == 0  # sizes below are tried though nobody asked
    assert robust_accuracy(Window().eval(), GREY, "fgsm", [0.3])["accuracy"].item() == 1


@pytest.mark.parametrize("name", ["pgd", "pgd-l2"])
def test_flag_for_waves(trained, name):
    """Rounded pixels have no gradient; nothing is safer for that."""
    model, test = trained
    defended = FilteredInput(model, 30, rounded=True)
    largest = {"pgd": 16 / 255, "pgd-l2": 2}[name]
    table = robust_accuracy(defended, test, name, [0, largest])
    assert table["accuracy"].iloc[1] > table["accuracy"].iloc[0] - 0.1
    assert {VANISH, WAVES, REACHES} <= flags(table)
    assert all(text.startswith("gradients vanish for 100 %") for text in table["flags"])
    assert robust_accuracy(defended, test, name, [largest], checked=0)["flags"].item() == ""


class Grain(nn.Module):
    """Errs on grainy images; its gradient leads elsewhere."""

    def forward(self, x):
        grain = high_pass(x.detach(), 1).square().mean(dim=(1, 2, 3))
        wrong = 1e5 * (grain - 1e-4) + 1e-3 * x.mean(dim=(1, 2, 3))
        return torch.stack((-wrong, wrong), dim=1)


def test_flag_for_noise():
    table = robust_accuracy(Grain().eval(), GREY, "fgsm", [0.05])
    assert table["accuracy"].item() == 1
    assert "noise breaks 100 % more images than gradients" in table["flags"].item()


class Overdone(fa.LinfPGD):
    """Goes astray if it takes more than ten steps."""

    def normalize(self, gradients, *, x, bounds):
        return super().normalize(gradients, x=x, bounds=bounds) * (1 if self.steps <= 10 else -1)


def test_flag_for_steps():
    model, made, _, _ = two_classes()
    for steps, wanted in ((20, True), (44, False), (8, False), (3, False)):
        attack = Overdone(steps=steps, rel_stepsize=2.5 / steps)
        for whole in (attack, attack.repeat(2)):
            table = robust_accuracy(model, made, whole, [0.05])
            assert (STEPS in flags(table)) == wanted
            assert attack.steps == steps  # the attack itself stays as it is


class Deaf(nn.Module):
    """The same answer to everything."""

    def forward(self, x):
        return 0 * x.flatten(1)[:, :2] + torch.tensor([1.0, 0])


@pytest.mark.parametrize("name", ["pgd", "fgsm", "deepfool", "hopskipjump", "fourier", "noise"])
def test_flags_for_a_deaf_model(name):
    table = robust_accuracy(Deaf().eval(), GREY, name, [0.1], protocol="minimum")
    assert table["accuracy"].item() == 1
    wanted = {"fourier": set(), "noise": set(), "hopskipjump": {REACHES}}
    assert flags(table) == wanted.get(name, {VANISH, REACHES})


# The defence ------------------------------------------------------------------------------


def test_filtered_input():
    model, images = network().eval(), noise(6, 3, 8, 0, 1).round()
    low, _ = slow.split(images.numpy(), 2, closed=True)
    assert low.min() < 0 or low.max() > 1
    defended = FilteredInput(model, 2).eval()
    np.testing.assert_allclose(defended.prepare(images), np.clip(low, 0, 1), atol=1e-6)
    seen = FilteredInput(model, 2, rounded=True).prepare(images)
    np.testing.assert_allclose(seen, np.round(255 * np.clip(low, 0, 1)) / 255, atol=1e-6)
    torch.testing.assert_close(defended(images), model(torch.from_numpy(low).float().clamp(0, 1)))
    assert "radius=2.0, rounded=False" in repr(defended)


def gradient(model, images):
    pixels = images.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(pixels)[:, 0].sum(), pixels)
    return found


@pytest.mark.parametrize("rounded", [False, True])
def test_straight_through(rounded):
    model, images = network().eval(), noise(6, 3, 8, 0, 1)
    defended = FilteredInput(model, 2, rounded=rounded)
    adaptive = StraightThrough(defended)
    assert adaptive(images).equal(defended(images))
    assert gradient(adaptive, images).equal(gradient(model, defended.prepare(images)))
    assert gradient(defended, images).any() == (not rounded)


def test_the_naive_attack_is_weaker_and_rounding_masks(trained):
    model, test = trained
    epsilon = 2 / 255
    filtered, rounded = (FilteredInput(model, 4, rounded=r) for r in (False, True))
    own = answers(filtered, test.images)  # what it can do, not what the label asks
    test = image_set(test.images, own, 10)

    def left(defended, source=None):
        table = robust_accuracy(defended, test, "pgd", [epsilon], source=source, checked=20)
        return table["accuracy"].item(), flags(table)

    naive, _ = left(filtered, model)
    adaptive, doubts = left(filtered)
    assert naive > adaptive + 0.25
    assert doubts == set()
    masked, doubts = left(rounded)
    assert VANISH in doubts
    assert masked > 0.9
    through, doubts = left(rounded, StraightThrough(rounded))
    assert through < naive - 0.1
    assert VANISH not in doubts


# What low-pass copies say -----------------------------------------------------------------


@settings(max_examples=10)
@given(st.integers(2, 4), st.integers(5, 9), st.integers(0, 99))
def test_bounds_against_the_oracle(classes, size, seed):
    model, images = linear(classes, 2, size, seed), noise(25, 2, size, 0, 1, seed=seed)
    labels = answers(model, images)
    labels[:5] = 0
    made = image_set(images, labels, classes)
    radii, epsilons = [0, 1.5, 2, 9], [0, 0.1, 0.3, 0.45, 1]
    weight = model.weight.detach().double().numpy().reshape(classes, -1)
    to_copies, distances = [], []
    for radius in radii:
        low, _ = slow.split(images.numpy(), radius, closed=True)
        low = np.clip(low, 0, 1)
        to_copies.append(((low - 0.5).reshape(25, -1) @ weight.T).argmax(axis=1))
        distances.append(np.abs(low - images.numpy()).max(axis=(1, 2, 3)))
    table = low_pass_bound(model, made, radii, epsilons)
    series = joint_bound(model, made, radii, epsilons)
    assert table.index.tolist() == [(r, e) for r in radii for e in epsilons]
    assert (table.index.names, series.index.name) == (["radius", "epsilon"], "epsilon")
    own = answers(model, images).tolist()
    for epsilon in epsilons:
        rows, joint = oracle.bounds(labels.tolist(), own, to_copies, distances, epsilon)
        for radius, row in zip(radii, rows, strict=True):
            found = table.loc[(radius, epsilon)].to_dict()
            assert found == pytest.approx(row, abs=1e-6)
        assert series.loc[epsilon] == pytest.approx(joint)


def test_bounds_of_a_model_that_reads_a_checkerboard():
    board = 2.0 * (torch.arange(8)[:, None] + torch.arange(8)) % 4 - 1
    amplitude = torch.tensor([0.01, 0.1, 0.2, 0.3])
    images = 0.5 + amplitude[:, None, None, None] * board
    model = Linear(torch.stack((torch.zeros(8, 8), board))[:, None])
    made = image_set(images, torch.ones(4).long())
    table = low_pass_bound(model, made, [4, 6], [0, 0.05, 0.15, 0.35])
    assert table.loc[4.0, "bound"].tolist() == [1, 0.75, 0.5, 0]  # the copies are grey
    assert table.loc[4.0, "broken"].tolist() == [0, 0.25, 0.5, 1]
    assert table.loc[4.0, "differs"].tolist() == [1] * 4
    assert table.loc[4.0, "distance"].tolist() == pytest.approx([0.15] * 4)
    assert table.loc[6.0, "bound"].tolist() == [1] * 4  # nothing is filtered out
    assert joint_bound(model, made, [4, 6], [0, 0.15]).tolist() == [1, 0.5]


class TowardsCopies(FixedEpsilonAttack):
    """Goes straight to the low-pass copy, as far as it may."""

    distance = foolbox.distances.linf

    def __init__(self, radius):
        self.radius = radius

    def run(self, model, inputs, criterion, *, epsilon):
        seen = low_pass(inputs.raw, self.radius).clamp(0, 1)
        change = (seen - inputs.raw).clamp(-epsilon, epsilon)
        return inputs + foolbox.attacks.base.ep.astensor(change)


def test_bounds_hold(trained):
    model, test = trained
    radii, epsilons = [2, 4, 8], [0, 8 / 255, 0.1, 0.3, 1]
    table = low_pass_bound(model, test, radii, epsilons)
    joint = joint_bound(model, test, radii, epsilons)
    assert joint.loc[0] == pytest.approx(accuracy(model, test))
    assert joint.is_monotonic_decreasing
    assert joint.iloc[-1] < 0.6 * joint.iloc[0]
    for radius in radii:
        bound = table.loc[float(radius), "bound"]
        assert bound.loc[0] == pytest.approx(accuracy(model, test))
        assert bound.is_monotonic_decreasing
        assert (joint <= bound).all()
        found = robust_accuracy(model, test, TowardsCopies(radius), epsilons, checked=0)
        assert found["accuracy"].loc[1] == pytest.approx(bound.loc[1])  # every copy is in reach
        minimum = robust_accuracy(model, test, "pgd", [8 / 255], checked=0)["accuracy"].item()
        assert minimum <= joint.loc[8 / 255]


# Errors -----------------------------------------------------------------------------------

KNOWN = "fgsm, pgd, pgd-l2, deepfool, deepfool-l2, hopskipjump, fourier, noise"


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("PGD", {}, f"attack must be one of {KNOWN}, got 'PGD'"),
        (7, {}, f"attack must be one of {KNOWN}, got 7"),
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
    ],
)
def test_perturb_refuses(changes, text):
    model = linear()
    values = {"images": noise(3), "labels": torch.zeros(3).long(), "attack": "pgd", "epsilon": 0.1}
    with pytest.raises(ValueError, match=re.escape(text)):
        perturb(model, **values | changes)
    assert not model.shown


def test_epsilons_up_to_the_diagonal():
    model, images = linear(), noise(3)
    perturb(model, images, torch.zeros(3).long(), "pgd-l2", 32**0.5)
    perturb(model, images, torch.zeros(3).long(), "pgd", 1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epsilons": []}, "epsilons must hold at least one size, got none"),
        ({"epsilons": [0.1, 8]}, "epsilons must be in pixel units, 0 to 1 (8/255, not 8), got 8"),
        ({"epsilons": [float("nan")]}, "(8/255, not 8), got nan"),
        ({"protocol": "maximum"}, 'protocol must be "fixed" or "minimum", got \'maximum\''),
        ({"attack": "magic"}, "attack must be one of fgsm, "),
        (
            {"attack": "deepfool"},
            'protocol must be "minimum" for an attack that looks for the smallest perturbation, '
            'got "fixed"',
        ),
        (
            {"attack": make("hopskipjump", restarts=2)},
            'protocol must be "minimum" for an attack that looks for',
        ),
        (
            {"attack": "deepfool", "protocol": "minimum", "source": linear()},
            "source must be left out for an attack that looks for the smallest perturbation, "
            "got Linear",
        ),
    ],
)
def test_robust_accuracy_refuses(changes, text):
    model, made, _, _ = two_classes()
    model.shown.clear()
    with pytest.raises(ValueError, match=re.escape(text)):
        robust_accuracy(model, made, **{"attack": "pgd", "epsilons": [0.1]} | changes)
    assert not model.shown


@pytest.mark.parametrize("radius", [-1, float("nan")])
def test_filtered_input_refuses(radius):
    with pytest.raises(ValueError, match="radius must be a number >= 0"):
        FilteredInput(linear(), radius)


@pytest.mark.parametrize("function", [low_pass_bound, joint_bound])
@pytest.mark.parametrize(
    ("radii", "epsilons", "text"),
    [
        ([], [0.1], "radii must hold at least one radius, got none"),
        ([2], [], "epsilons must hold at least one size, got none"),
        ([2], [8], "epsilons must be in pixel units, 0 to 1 (8/255, not 8), got 8"),
        ([-2], [0.1], "radius must be a number >= 0"),
    ],
)
def test_bounds_refuse(function, radii, epsilons, text):
    _, made, _, _ = two_classes(5)
    with pytest.raises(ValueError, match=re.escape(text)):
        function(linear(), made, radii, epsilons)


def test_public_face():
    assert all(hasattr(attacks, name) for name in attacks.__all__)
