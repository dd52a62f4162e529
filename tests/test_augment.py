"""``hfc.augment``: shifts and mirrorings, blends of two images, and attacks, each by its rule."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from hfc import models
from hfc.augment import crop_flip, mixup, pgd
from tests.oracles import augment as oracle

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noise(n, channels, height, width, seed=0):
    return torch.rand(n, channels, height, width, generator=seeded(seed))


def variants(image, shift, flip):
    """All that an image ``(C, H, W)`` may become, by mirrored and (dy, dx): one at a time."""
    height, width = image.shape[1:]
    found = {}
    for mirrored in (False, True) if flip else (False,):
        source = image[:, :, ::-1] if mirrored else image
        padded = np.pad(source, ((0, 0), (shift, shift), (shift, shift)), mode="reflect")
        for dy in range(2 * shift + 1):
            for dx in range(2 * shift + 1):
                window = padded[:, dy : dy + height, dx : dx + width]
                found[mirrored, dy, dx] = window
    return found


def which(result, image, shift, flip):
    """The variants that a result is: one, or a few where a reflection repeats the image."""
    return [key for key, v in variants(image, shift, flip).items() if np.array_equal(v, result)]


@settings(max_examples=50)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(3, 9), st.integers(3, 9), st.data(),
    st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_every_result_is_a_variant(n, channels, height, width, data, flip, seed):
    shift = data.draw(st.integers(0, min(height, width) - 1))
    images = noise(n, channels, height, width, seed)
    before = images.clone()
    results = crop_flip(images, shift=shift, flip=flip, generator=seeded(seed))
    assert results.shape == images.shape
    assert images.equal(before)
    for image, result in zip(images.numpy(), results.numpy(), strict=True):
        assert which(result, image, shift, flip)


def test_all_variants_are_equally_frequent():
    n, shift = 3600, 1
    image = noise(1, 1, 4, 5)
    results = crop_flip(image.expand(n, -1, -1, -1), shift=shift, flip=True, generator=seeded(0))
    keys = [which(result, image[0].numpy(), shift, True) for result in results.numpy()]
    counts = [keys.count([key]) for key in variants(image[0].numpy(), shift, True)]
    assert len(counts) == 18
    assert sum(counts) == n
    expected = n / 18
    assert all(abs(count - expected) < 4 * expected**0.5 for count in counts)


def test_nothing_to_do():
    images = noise(3, 3, 4, 4)
    assert crop_flip(images, shift=0, flip=False, generator=seeded(0)).equal(images)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layout_in_memory_does_not_matter(layout, device):
    images = noise(5, 3, 6, 6).to(device)
    laid_out = images.to(memory_format=layout)
    results = [crop_flip(x, shift=2, flip=True, generator=seeded(1)) for x in (images, laid_out)]
    assert results[0].equal(results[1])
    assert results[1].device.type == device.type


def test_generator_decides():
    images = noise(50, 1, 6, 6)
    first, same, other = (
        crop_flip(images, shift=2, flip=True, generator=seeded(seed)) for seed in (0, 0, 1)
    )
    assert first.equal(same)
    assert not first.equal(other)
    generator = seeded(0)
    state = torch.get_rng_state()
    one, two = (crop_flip(images, shift=2, flip=True, generator=generator) for _ in range(2))
    assert one.equal(first)
    assert not two.equal(first)
    assert torch.get_rng_state().equal(state)  # torch's global stream is not touched


@pytest.mark.parametrize("shift", [-1, 5, 9])
def test_shift_out_of_range(shift):
    wanted = f"shift must be at least 0 and below 5, got {shift}"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        crop_flip(noise(2, 1, 5, 7), shift=shift, flip=False, generator=seeded(0))


# Blends -----------------------------------------------------------------------------------


def blended(n=8, seed=0, alpha=1.0, **settings):
    """A batch in which every image has a class of its own, so that a target tells the blend."""
    images, labels = noise(n, 3, 4, 5, seed=seed), torch.randperm(n, generator=seeded(seed))
    settings = {"alpha": alpha, "num_classes": n, "generator": seeded(seed)} | settings
    return images, labels, *mixup(images, labels, **settings)


def read(labels, targets):
    """The own share of each image and its partner, from the targets."""
    rows = np.arange(len(labels))
    own = targets.double().numpy()[rows, labels]
    others = targets.clone()
    others[rows, labels] = -1
    owner = labels.argsort()
    partner = owner[others.argmax(dim=1)].numpy()
    return own, np.where(others.max(dim=1).values > 0, partner, rows)


@given(st.integers(1, 9), st.integers(0, 999), st.sampled_from([0.1, 0.5, 1.0, 8.0]))
def test_mixup_against_the_oracle(n, seed, alpha):
    images, labels, mixed, targets = blended(n, seed, alpha)
    own, partner = read(labels, targets)
    assert sorted(partner) == list(range(n))  # everybody is somebody's partner, once
    alone = partner == np.arange(n)
    own[alone] = own[~alone].mean() if n > alone.sum() else 0.5
    assert np.ptp(own) < 1e-6  # one share for the whole batch
    wanted = oracle.mixed(images.numpy(), labels.tolist(), own.mean(), partner, n)
    np.testing.assert_allclose(mixed, wanted[0], atol=1e-6)
    np.testing.assert_allclose(targets, wanted[1], atol=1e-6)
    np.testing.assert_allclose(targets.sum(dim=1), 1, atol=1e-6)
    assert (mixed.shape, mixed.dtype, targets.dtype) == (images.shape, images.dtype, images.dtype)


def test_partners_with_the_same_label():
    images, labels = noise(6, 1, 3, 3), torch.tensor([2, 2, 2, 2, 2, 2])
    before = images.clone()
    _, targets = mixup(images, labels, alpha=1, num_classes=4, generator=seeded(0))
    torch.testing.assert_close(targets, torch.eye(4)[labels])
    assert images.equal(before)


def own_shares(alpha, count=1500):
    """The shares of many batches, all from one generator."""
    images, labels, generator = torch.zeros(6, 1, 1, 1), torch.arange(6), seeded(0)
    found = []
    for _ in range(count):
        _, targets = mixup(images, labels, alpha=alpha, num_classes=6, generator=generator)
        found.append(
            targets.diag().min().item()
        )  # the diagonal is 1 where one is one's own partner
    return np.array(found)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_shares_are_beta(alpha):
    shares = own_shares(alpha)
    assert shares.mean() == pytest.approx(0.5, abs=0.04)
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_shares_at_small_and_large_alpha():
    shares = own_shares(0.01, count=300)
    assert (np.minimum(shares, 1 - shares) < 0.01).mean() > 0.9
    assert 0.4 < (shares > 0.5).mean() < 0.6
    assert abs(own_shares(1e4, count=50) - 0.5).max() < 0.05


def test_partners_are_drawn_evenly():
    pairs, generator = np.zeros((4, 4)), seeded(0)
    images, labels = torch.zeros(4, 1, 1, 1), torch.arange(4)
    for _ in range(1600):
        _, targets = mixup(images, labels, alpha=1, num_classes=4, generator=generator)
        pairs[np.arange(4), read(labels, targets)[1]] += 1
    assert abs(pairs - 400).max() < 4.5 * (1600 * 0.25 * 0.75) ** 0.5


def test_the_generator_decides_the_blend():
    state = torch.get_rng_state()
    first, same, other = (blended(generator=seeded(seed))[2:] for seed in (3, 3, 4))
    assert all(map(torch.equal, first, same))
    assert not first[0].equal(other[0])
    generator = seeded(3)
    one, two = (blended(generator=generator)[2:] for _ in range(2))
    assert one[0].equal(first[0])
    assert not two[0].equal(first[0])
    assert torch.get_rng_state().equal(state)


def test_blend_on_a_device(device):
    images, labels = noise(6, 3, 4, 4).to(device), torch.arange(6).to(device)
    for result in mixup(images, labels, alpha=1, num_classes=6, generator=seeded(0)):
        assert result.device.type == device.type


@pytest.mark.parametrize("alpha", [0, -0.5, float("nan"), float("inf")])
def test_alpha_out_of_range(alpha):
    wanted = f"alpha must be a finite number above 0, got {alpha}"
    with pytest.raises(ValueError, match=wanted):
        blended(alpha=alpha)


# Attacks ----------------------------------------------------------------------------------


class Linear(nn.Module):
    """Logits by one matrix; it keeps what it was shown."""

    def __init__(self, classes, pixels, seed=0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, pixels, generator=seeded(seed)))
        self.shown, self.modes = [], []

    def forward(self, x):
        self.shown.append(x.detach().clone())
        self.modes.append(self.training)
        return x.flatten(1) @ self.weight.T


def labelled(n, classes, size=4, seed=0, lowest=0.0, highest=1.0):
    images = lowest + (highest - lowest) * noise(n, 2, size, size, seed)
    return images, torch.randint(classes, (n,), generator=seeded(seed))


epsilons = st.one_of(st.sampled_from([1 / 255, 8 / 255, 1]), st.floats(1e-3, 1))


@settings(max_examples=40)
@given(st.integers(1, 5), st.integers(2, 4), epsilons, st.integers(1, 4), st.integers(0, 99))
def test_attacks_stay_near_and_are_images(n, classes, epsilon, steps, seed):
    images, labels = labelled(n, classes, seed=seed)
    images = images.round() if seed % 3 == 0 else images  # black and white: at the edge
    before, model = images.clone(), Linear(classes, 32, seed)
    attacked = pgd(model, images, labels, epsilon=epsilon, steps=steps, generator=seeded(seed))
    assert (attacked.shape, attacked.dtype) == (images.shape, images.dtype)
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert (attacked - images).abs().max() <= epsilon + 1e-6
    assert images.equal(before)
    # So does everything on the way, and there are no more steps than asked for.
    assert len(model.shown) == steps
    for shown in model.shown:
        assert (shown - images).abs().max() <= epsilon + 1e-6
        assert 0 <= shown.min() <= shown.max() <= 1


@settings(max_examples=40)
@given(st.integers(1, 5), epsilons, st.integers(1, 6), st.integers(0, 99))
def test_attack_on_two_classes_ends_in_the_corner(n, epsilon, steps, seed):
    """The gradient of a linear two-class model has one sign everywhere."""
    images, labels = labelled(n, 2, seed=seed)
    model = Linear(2, 32, seed)
    model.weight.data /= 10  # a sure answer would leave gradients that are mere rounding
    attacked = pgd(model, images, labels, epsilon=epsilon, steps=steps, generator=seeded(seed))
    towards = (model.weight[1 - labels] - model.weight[labels]).detach().reshape(images.shape)
    corner = (images + epsilon * towards.sign()).clamp(0, 1)
    clear = towards.abs() > 1e-4  # the sign of a smaller gradient is a matter of rounding
    torch.testing.assert_close(attacked[clear], corner[clear], atol=1e-6, rtol=0)
    with torch.no_grad():
        clean, hit = (
            nn.functional.cross_entropy(model(x), labels, reduction="none")
            for x in (images, attacked)
        )
    assert (hit >= clean - 1e-6).all()


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", range(4))
def test_attack_against_the_oracle(steps, seed):
    images, labels = labelled(6, 5, seed=seed)
    model = Linear(5, 32, seed)
    attacked = pgd(model, images, labels, epsilon=0.3, steps=steps, generator=seeded(seed))
    weight, stops = model.weight.detach().double().numpy(), torch.stack([*model.shown, attacked])
    for n, label in enumerate(labels.tolist()):
        image = images[n].double().numpy()
        wanted = oracle.ascent(weight, image, label, stops[0, n].numpy(), 0.3, steps)
        np.testing.assert_allclose(stops[:, n], wanted, atol=2e-6)


def test_attacks_start_anywhere_in_the_ball():
    images, labels = labelled(400, 2, lowest=0.5, highest=0.5)
    model = Linear(2, 32)
    pgd(model, images, labels, epsilon=0.2, steps=1, generator=seeded(0))
    offsets = ((model.shown[0] - images) / 0.2).flatten().double().numpy()
    assert stats.kstest(offsets, stats.uniform(-1, 2).cdf).pvalue > 0.001


def network(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.build("small", **{"num_classes": 3, "width": 8, "dropout": 0.5} | changes)


def test_attack_on_a_network_raises_its_loss():
    model, (images, labels) = network().eval(), labelled(30, 3, size=8)
    images = torch.cat((images, images[:, :1]), dim=1)
    attacked = pgd(model, images, labels, epsilon=0.3, steps=5, generator=seeded(0))
    with torch.no_grad():
        clean, hit = (nn.functional.cross_entropy(model(x), labels) for x in (images, attacked))
    assert hit > 1.02 * clean


@pytest.mark.parametrize("mode", [True, False])
def test_attack_leaves_the_model_as_it_was(mode):
    model, images = network().train(mode), noise(4, 3, 8, 8)
    batchnorm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    batchnorm.train(not mode)  # a layer may be kept in a mode of its own
    modes = [layer.training for layer in model.modules()]
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    labels = torch.tensor([0, 1, 2, 0])
    attacked = pgd(model, images, labels, epsilon=0.1, steps=2, generator=seeded(0))
    assert [layer.training for layer in model.modules()] == modes
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert not frozen.requires_grad
    assert not attacked.requires_grad
    assert torch.get_rng_state().equal(state)


def test_attack_leaves_gathered_gradients_alone():
    model, (images, labels) = Linear(3, 32), labelled(4, 3)
    model(images).sum().backward()
    before = model.weight.grad.clone()
    pgd(model, images, labels, epsilon=0.1, steps=2, generator=seeded(0))
    assert model.weight.grad.equal(before)


def test_attack_is_on_the_model_in_evaluation_mode():
    model, (images, labels) = Linear(3, 32).train(), labelled(4, 3)
    pgd(model, images, labels, epsilon=0.1, steps=3, generator=seeded(0))
    assert model.modes == [False, False, False]


def test_a_failed_attack_leaves_the_model_as_it_was():
    class Breaks(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model = nn.Sequential(network(), Breaks()).train()
    with pytest.raises(RuntimeError, match="broken"):
        pgd(model, noise(2, 3, 8, 8), torch.tensor([0, 1]), epsilon=0.1, steps=2,
            generator=seeded(0))  # fmt: skip
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_the_generator_decides_the_attack():
    images, labels = labelled(6, 5)
    model = Linear(5, 32)

    def attacked(generator):
        return pgd(model, images, labels, epsilon=0.3, steps=1, generator=generator)

    first, same, _ = (attacked(seeded(seed)) for seed in (3, 3, 4))
    assert first.equal(same)
    start, again, other = model.shown
    assert start.equal(again)
    assert not start.equal(other)


def test_attack_on_a_device(device):
    model, (images, labels) = Linear(3, 32).to(device), labelled(4, 3)

    def attacked(images, labels):
        return pgd(model, images, labels, epsilon=0.1, steps=2, generator=seeded(0))

    here = attacked(images.to(device), labels.to(device))
    assert here.device.type == device.type
    model.cpu()
    there = attacked(images, labels)
    torch.testing.assert_close(here.cpu(), there)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epsilon": 8}, "epsilon must be in pixel units, above 0 and at most 1, got 8"),
        ({"epsilon": 0}, "epsilon must be in pixel units, above 0 and at most 1, got 0"),
        ({"epsilon": -0.1}, "at most 1, got -0.1"),
        ({"epsilon": float("nan")}, "at most 1, got nan"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"images": 255 * labelled(4, 3)[0]}, "images must hold pixels in [0, 1], got ["),
        ({"images": labelled(4, 3)[0] - 0.5}, "images must hold pixels in [0, 1], got [-0."),
        ({"images": torch.full((4, 2, 4, 4), torch.nan)}, "images must hold pixels in [0, 1], got"),
    ],
)
def test_attack_refuses(changes, text):
    model, (images, labels) = Linear(3, 32), labelled(4, 3)
    values = {"epsilon": 0.1, "steps": 1, "generator": seeded(0)}
    values |= {"images": images, "labels": labels} | changes
    with pytest.raises(ValueError, match=re.escape(text)):
        pgd(model, **values)
    assert not model.shown


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_attack_refuses_labels_that_are_no_classes(label):
    """PyTorch's loss skips -100, so that the attack would do nothing."""
    model, (images, labels) = Linear(3, 32).train(), labelled(4, 3)
    labels[1] = label
    with pytest.raises(ValueError, match="labels must name classes of model, from 0 to 2, got val"):
        pgd(model, images, labels, epsilon=0.1, steps=2, generator=seeded(0))
    assert model.training
    assert model.weight.requires_grad
