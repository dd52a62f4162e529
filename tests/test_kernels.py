"""``hfc.kernels``: measures of smoothness, smoothing as published, and what must go with it."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hfc import models
from hfc.evaluation import logits
from hfc.frequency import fourier_basis, low_pass
from hfc.kernels import (
    first_kernels,
    high_frequency_share,
    replace,
    roughness,
    smooth,
)
from hfc.wrappers import OnComponent
from tests.oracles import kernels as oracle

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
seeds = st.integers(0, 999)
RHOS = (0.1, 0.25, 0.5, 1.0)


def units(side):
    """Every kernel with a single weight of 1, as a filter: ``(side ** 2, 1, side, side)``."""
    return torch.eye(side**2, dtype=torch.float64).reshape(-1, 1, side, side)


def checkerboard(side):
    i = torch.arange(side)
    return (1.0 - 2 * ((i[:, None] + i) % 2)).double()[None, None]


def wave(side, down, right):
    """Product of two cosines that goes on beyond the border as its own mirror image."""
    place = (torch.arange(side, dtype=torch.float64) + 0.5) * math.pi / side
    return (torch.cos(down * place)[:, None] * torch.cos(right * place))[None, None]


# Smoothing --------------------------------------------------------------------------------


@given(shapes, st.floats(0, 3), seeds)
def test_smooth_as_published(shape, rho, seed):
    weight = noise(*shape, seed=seed)
    before = weight.clone()
    wanted = oracle.smooth(weight.permute(2, 3, 1, 0), rho).transpose(3, 2, 0, 1)
    np.testing.assert_allclose(smooth(weight, rho), wanted, rtol=1e-12, atol=1e-12)
    normalised = smooth(weight, rho, normalised=True)
    np.testing.assert_allclose(normalised, wanted / (1 + 8 * rho), rtol=1e-12, atol=1e-12)
    assert weight.equal(before)


def test_smooth_by_hand():
    kernel = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 10]])[None, None]
    wanted = torch.tensor([[4.0, 2, 0], [2, 11, 20], [0, 20, 40]])[None, None]
    assert smooth(kernel, 1).equal(wanted)  # in a corner a weight has three copies of itself
    assert smooth(kernel, 0.5).equal((wanted + kernel) / 2)


def test_the_wrong_axes_are_another_matter():
    """What the authors' PyTorch version does: it hands over the axes in PyTorch's order."""
    weight = noise(8, 3, 3, 3)
    wrong = torch.from_numpy(oracle.smooth(weight, 0.5))
    assert (wrong - smooth(weight, 0.5)).abs().max() > 1
    blurred = smooth(weight.permute(2, 3, 0, 1), 0.5).permute(2, 3, 0, 1)
    torch.testing.assert_close(wrong, blurred)  # over filters and channels
    alone = torch.zeros_like(weight)
    alone[2, 1] = weight[2, 1]
    touched = smooth(alone, 0.5).abs().sum(dim=(2, 3)) > 0
    assert touched.nonzero().tolist() == [[2, 1]]
    assert (torch.from_numpy(oracle.smooth(alone, 0.5)).abs().sum(dim=(2, 3)) > 0).sum() == 9


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_no_smoothing_is_none(dtype, device):
    weight = noise(4, 3, 5, 5, dtype=torch.float32).to(device, dtype)
    for normalised in (False, True):
        result = smooth(weight, 0, normalised=normalised)
        assert result.equal(weight)
        assert (result.dtype, result.device) == (weight.dtype, weight.device)


@given(shapes, st.floats(0, 3), st.floats(-3, 3), seeds)
def test_smooth_is_linear(shape, rho, factor, seed):
    a, b = noise(*shape, seed=seed), noise(*shape, seed=seed + 1)
    together = smooth(a + factor * b, rho)
    torch.testing.assert_close(together, smooth(a, rho) + factor * smooth(b, rho))


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("rho", [*RHOS, 7.0])
def test_gain_of_flat_kernels(side, rho):
    flat = torch.full((2, 3, side, side), -0.7, dtype=torch.float64)
    torch.testing.assert_close(smooth(flat, rho), (1 + 8 * rho) * flat)
    torch.testing.assert_close(smooth(flat, rho, normalised=True), flat)
    # The sum of any kernel's weights, its answer to a flat image, grows as much on average.
    some = noise(500, 1, side, side)
    answers = [(k.sum(dim=(2, 3)) * some.sum(dim=(2, 3))).sum() for k in (smooth(some, rho), some)]
    assert answers[0] / answers[1] == pytest.approx(1 + 8 * rho, rel=0.1)


@pytest.mark.parametrize(
    ("side", "rho", "rank"),
    [(3, 1.0, 4), (3, 0.5, 9), (3, 0.99, 9), (5, 1.0, 25), (5, 0.5, 23), (7, 1.0, 49)],
)
def test_dimensions_that_are_left(side, rho, rank):
    operator = smooth(units(side), rho).reshape(side**2, side**2)
    assert torch.linalg.matrix_rank(operator, rtol=1e-9) == rank
    torch.testing.assert_close(operator, operator.T)
    # Cosines that go on as their own mirror images are multiplied by numbers.
    for down in range(side):
        for right in range(side):
            sums = [1 + 2 * math.cos(math.pi * k / side) for k in (down, right)]
            gain = 1 - rho + rho * sums[0] * sums[1]
            given = wave(side, down, right)
            torch.testing.assert_close(smooth(given, rho), gain * given)


def test_what_the_docstring_says_of_5x5_kernels():
    finest = wave(5, 4, 0)
    torch.testing.assert_close(smooth(finest, 1), -1.8541 * finest, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 3), st.floats(0, 1), seeds)
def test_3x3_kernels_are_never_rougher_afterwards(channels, rho, seed):
    weight = noise(5, channels, 3, 3, seed=seed)
    assert (roughness(smooth(weight, rho)) <= roughness(weight) + 1e-12).all()


def test_larger_kernels_can_be_rougher_afterwards():
    weight = wave(5, 4, 0) + 2 * wave(5, 3, 1)
    assert roughness(smooth(weight, 1)) > roughness(weight) + 0.1


def test_gradient_of_smooth():
    weight = noise(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: smooth(w, 0.3, normalised=True), weight)


# Roughness --------------------------------------------------------------------------------


@given(shapes, seeds)
def test_roughness_by_loops(shape, seed):
    weight = noise(*shape, seed=seed)
    rough, energy, _ = oracle.roughness(weight)
    np.testing.assert_allclose(roughness(weight, relative=False), rough, rtol=1e-10)
    np.testing.assert_allclose(roughness(weight), rough / energy, rtol=1e-10)


def column(side):
    weight = torch.zeros(1, 1, side, side, dtype=torch.float64)
    weight[..., 0] = 1
    return weight


@pytest.mark.parametrize("side", [3, 5, 7])
def test_roughness_in_closed_form(side):
    pairs, places, middle = 2 * side * (side - 1), side**2, side // 2

    def single(i, j):
        return units(side)[i * side + j][None]

    largest = 4 + 4 * math.cos(math.pi / side)
    for weight, relative, raw in [
        (torch.full((1, 2, side, side), 0.3), 0, 0),  # flat
        (checkerboard(side), 4 * pairs / places, 4 * pairs),
        (single(middle, middle), 4, 4),
        (single(0, middle), 3, 3),
        (single(0, 0), 2, 2),
        (column(side), 1, side),
        (column(side).mT, 1, side),
        (wave(side, side - 1, side - 1), largest, None),
        (torch.zeros(1, 3, side, side), 0, 0),
    ]:
        assert roughness(weight).item() == pytest.approx(relative, abs=1e-12)
        if raw is not None:
            assert roughness(weight, relative=False).item() == pytest.approx(raw)
    hessian = torch.autograd.functional.hessian(_half_of_raw, units(side)[0])
    eigenvalues = torch.linalg.eigvalsh(hessian.reshape(places, places))
    assert eigenvalues[-1].item() == pytest.approx(largest)  # nothing is rougher
    assert largest < 8


def _half_of_raw(kernel):
    return roughness(kernel[None], relative=False).sum() / 2


def test_channels_of_a_filter_count_together():
    """Two kernels of one filter: their squares add up, not their values or their shares."""
    smooth_part, rough_part = torch.ones(1, 1, 3, 3), checkerboard(3).float()
    both = torch.cat((2 * smooth_part, rough_part), dim=1)
    assert roughness(both, relative=False).tolist() == [48]
    assert roughness(both).item() == pytest.approx(48 / 45)
    assert roughness(torch.cat((rough_part, rough_part), dim=1), relative=False).tolist() == [96]
    assert roughness(torch.cat((rough_part, smooth_part))).tolist() == pytest.approx([16 / 3, 0])
    assert roughness(torch.cat((rough_part, -rough_part), dim=1)).item() == pytest.approx(16 / 3)


@given(shapes, st.sampled_from([1, -1]), st.floats(-30, 30), seeds)
def test_relative_roughness_knows_no_size(shape, sign, exponent, seed):
    weight = noise(*shape, seed=seed, dtype=torch.float32)
    scaled = sign * 10**exponent * weight
    torch.testing.assert_close(roughness(scaled), roughness(weight), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(roughness(weight.flip(-1).mT), roughness(weight))
    assert (roughness(weight) < 8).all()
    raw = roughness(weight.double(), relative=False)
    torch.testing.assert_close(roughness(3 * weight.double(), relative=False), 9 * raw)


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_roughness_of_white_noise(side, kind):
    weight = noise(20_000, 1, side, side)
    if kind == "uniform":
        weight = torch.special.ndtr(weight) - 0.5
    found, expected = roughness(weight), 4 * (side - 1) / side
    error = found.std().item() / math.sqrt(len(found))
    assert abs(found.mean().item() - expected) < 5 * error
    assert error < 0.01
    raw = roughness(weight, relative=False).mean() / weight.var()
    assert raw.item() == pytest.approx(4 * side * (side - 1), rel=0.03)


def test_roughness_of_initial_kernels():
    for name, side in (("small", 5), ("resnet18", 3), ("lenet", 5)):
        found = roughness(first_kernels(models.build(name, num_classes=10)))
        assert found.mean().item() == pytest.approx(4 * (side - 1) / side, rel=0.2)


@pytest.mark.parametrize("relative", [True, False])
def test_gradient_of_roughness(relative):
    weight = noise(3, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: roughness(w, relative=relative), weight)
    assert torch.autograd.gradgradcheck(lambda w: roughness(w, relative=relative), weight)


def test_gradient_of_roughness_by_loops():
    weight = noise(3, 2, 5, 5).requires_grad_()
    roughness(weight, relative=False).sum().backward()
    np.testing.assert_allclose(weight.grad, oracle.roughness(weight.detach())[2], atol=1e-12)


@pytest.mark.parametrize("measure", [roughness, high_frequency_share])
def test_a_filter_of_zeros(measure):
    weight = noise(3, 2, 3, 3)
    weight[1] = 0
    weight.requires_grad_()
    found = measure(weight)
    assert found[1] == 0
    assert (found[[0, 2]] > 0).all()
    found.sum().backward()
    assert (weight.grad[1] == 0).all()
    assert weight.grad.isfinite().all()
    assert (weight.grad[[0, 2]] != 0).any(dim=(1, 2, 3)).all()


# Share of high frequencies ----------------------------------------------------------------


@settings(max_examples=20)
@given(
    shapes, st.integers(7, 16), st.one_of(st.floats(0, 12), st.integers(0, 12)), st.integers(0, 99)
)
def test_share_by_loops(shape, size, radius, seed):
    weight = noise(*shape, seed=seed)
    found = high_frequency_share(weight, size=size, radius=radius)
    wanted = oracle.high_frequency_share(weight, size, radius)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_share_of_a_single_weight():
    """It passes every frequency alike, wherever in the kernel it stands."""
    for side in (1, 3, 5):
        shares = high_frequency_share(-3 * units(side))
        torch.testing.assert_close(shares, torch.full_like(shares, 827 / 1024))


@pytest.mark.parametrize("side", [3, 5, 7])
def test_share_of_a_flat_kernel(side):
    """Its spectrum is a product of two Dirichlet kernels."""
    u = np.arange(-16, 16)
    line = np.ones(32)
    line[u != 0] = np.sin(np.pi * u[u != 0] * side / 32) / (side * np.sin(np.pi * u[u != 0] / 32))
    energy = np.outer(line, line) ** 2
    wanted = energy[np.hypot(*np.meshgrid(u, u)) > 8].sum() / energy.sum()
    found = high_frequency_share(torch.full((1, 3, side, side), 0.2)).item()
    assert found == pytest.approx(wanted, rel=1e-5)
    assert wanted == pytest.approx({3: 0.1915, 5: 0.1521, 7: 0.0861}[side], abs=1e-4)


def test_share_of_waves():
    low, high = fourier_basis(32, 32, 8, 0), fourier_basis(32, 32, 8, 1)
    both = torch.stack((torch.stack((low, low)), torch.stack((high, high))))
    assert high_frequency_share(both).tolist() == pytest.approx([0, 1], abs=1e-6)
    assert high_frequency_share(both, radius=7.9).tolist() == pytest.approx([1, 1])
    assert high_frequency_share(both, radius=8.1).tolist() == pytest.approx([0, 0], abs=1e-6)
    # Energies of the channels add up: 9 to 1.
    mixed = torch.stack((3 * low, high))[None]
    assert high_frequency_share(mixed).item() == pytest.approx(0.1)


@given(shapes, st.floats(0, 30), st.floats(0, 30), seeds)
def test_share_is_a_share_and_falls_with_the_radius(shape, radius, further, seed):
    weight = noise(*shape, seed=seed, dtype=torch.float32)
    near, far = (high_frequency_share(weight, radius=r) for r in (radius, radius + further))
    assert (near >= 0).all()
    assert (near <= 1).all()
    assert (far <= near).all()
    tiny = high_frequency_share(1e-30 * weight, radius=radius)
    torch.testing.assert_close(tiny, near, rtol=1e-4, atol=1e-5)


def test_share_at_the_ends():
    weight = noise(4, 3, 3, 3)
    alternating = weight - weight.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(high_frequency_share(alternating, radius=0), torch.ones(4).double())
    flat = torch.ones(1, 1, 8, 8)
    assert high_frequency_share(flat, size=8, radius=0).item() == 0
    farthest = math.hypot(16, 16)
    assert (high_frequency_share(weight, radius=farthest) == 0).all()
    assert (high_frequency_share(weight, radius=farthest - 0.01) > 0).all()
    assert (high_frequency_share(weight, radius=math.inf) == 0).all()


def test_share_of_white_noise():
    found = high_frequency_share(noise(5000, 1, 3, 3))
    assert abs(found.mean().item() - 827 / 1024) < 5 * found.std().item() / math.sqrt(5000)


def test_gradient_of_the_share():
    weight = noise(2, 2, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: high_frequency_share(w, size=6, radius=2), weight)


def test_share_counts_what_the_answer_to_white_noise_holds():
    """Kernels as images see them: filter noise, and measure how much of it is high."""
    weight, images = noise(1, 1, 5, 5), noise(400, 1, 32, 32, seed=1)
    wrapped = nn.functional.pad(images, (2, 2, 2, 2), mode="circular")
    answers = nn.functional.conv2d(wrapped, weight)
    high = answers - low_pass(answers, 8)
    share = (high.square().sum() / answers.square().sum()).item()
    assert share == pytest.approx(high_frequency_share(weight).item(), rel=0.02)


@pytest.mark.parametrize("measure", [roughness, high_frequency_share])
def test_dtypes(measure, device):
    weight = noise(4, 3, 3, 3).to(device)
    wanted = measure(weight)
    assert wanted.shape == (4,)
    assert (wanted.dtype, wanted.device) == (torch.float64, weight.device)
    assert measure(weight.float()).dtype == torch.float32
    torch.testing.assert_close(measure(weight.float()).double(), wanted, rtol=1e-5, atol=1e-6)
    for dtype in (torch.float16, torch.bfloat16):
        half = measure(weight.to(dtype))
        assert half.dtype == torch.float32
        torch.testing.assert_close(half.double(), wanted, rtol=0.1, atol=0.02)


def test_distances_on_kernels():
    """What the module says of the low-pass of kernels."""
    for side, radii, counts in [
        (3, (0, 1, 1.42), (1, 5, 9)),
        (5, (0, 1, 1.42, 2, 2.24, 2.83), (1, 5, 9, 13, 21, 25)),
    ]:
        for radius, count in zip(radii, counts, strict=True):
            kept = low_pass(units(side), radius).reshape(side**2, side**2)
            assert torch.linalg.matrix_rank(kept, rtol=1e-9) == count


# First kernels and other ones -------------------------------------------------------------


def built(name="small", seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build(name, **{"num_classes": 4, "width": 8} | settings)


@pytest.mark.parametrize("name", models.NAMES)
def test_first_kernels(name):
    model, seen = built(name), []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, given, out: seen.append(layer.weight))
    model(torch.rand(2, 3, 16, 16))
    assert first_kernels(model) is seen[0]
    assert first_kernels(model).shape[1] == 3
    assert first_kernels(OnComponent(model, "low", 4)) is seen[0]


@pytest.mark.parametrize(
    "model", [nn.Linear(3, 2), nn.Sequential(nn.Flatten(), nn.Conv1d(1, 2, 3))]
)
def test_no_kernels(model):
    kind = type(model).__name__
    with pytest.raises(ValueError, match=f"^model must have a Conv2d layer, but this {kind} has n"):
        first_kernels(model)
    with pytest.raises(ValueError, match="model must have a Conv2d layer"):
        replace(model, torch.ones(1, 1, 3, 3))


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def differing(before, after):
    assert before.keys() == after.keys()
    return [name for name in before if not before[name].equal(after[name])]


def test_replace():
    model = OnComponent(built(dropout=0.5), "low", 6)
    model.model[-1].eval()
    model.model[1].requires_grad_(False)
    before, kernels, images = state(model), first_kernels(model), torch.rand(3, 3, 16, 16)
    weight = noise(*kernels.shape).requires_grad_()  # another dtype, and part of a graph
    changed = replace(model, weight)
    assert differing(before, state(model)) == []
    assert first_kernels(model) is kernels
    assert differing(before, state(changed)) == ["model.1.0.weight"]
    assert first_kernels(changed).equal(weight.float())
    for mine, its in zip(model.modules(), changed.modules(), strict=True):
        assert mine.training == its.training
    for mine, its in zip(model.parameters(), changed.parameters(), strict=True):
        assert mine.requires_grad == its.requires_grad
        assert its.is_leaf
        assert mine.data_ptr() != its.data_ptr()
    same = replace(model, kernels)
    assert logits(same, images).equal(logits(model, images))
    assert not torch.allclose(logits(changed, images), logits(model, images))
    with torch.no_grad():
        weight.zero_()
    assert first_kernels(changed).abs().sum() > 0


# Errors -----------------------------------------------------------------------------------

THREE = torch.ones(2, 3, 3, 3)


@pytest.mark.parametrize(
    "function",
    [
        roughness,
        high_frequency_share,
        lambda w: smooth(w, 1),
        lambda w: replace(nn.Conv2d(3, 2, 3), w),
    ],
)
@pytest.mark.parametrize(
    ("weight", "error", "text"),
    [
        (np.ones((1, 1, 3, 3)), TypeError, "weight must be a torch.Tensor, got ndarray"),
        (THREE.long(), TypeError, "weight must be a floating-point tensor, got torch.int64"),
        (THREE[0], ValueError, "weight must have shape (out, in, kh, kw), got (3, 3, 3)"),
        (THREE[:0], ValueError, "weight must have shape (out, in, kh, kw), got (0, 3, 3, 3)"),
    ],
)
def test_refuses_what_is_not_kernels(function, weight, error, text):
    with pytest.raises(error, match=re.escape(text)):
        function(weight)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: smooth(THREE, -0.1), "rho must be a finite number of at least 0, got -0.1"),
        (lambda: smooth(THREE, math.nan), "rho must be a finite number of at least 0, got nan"),
        (lambda: smooth(THREE, math.inf), "rho must be a finite number of at least 0, got inf"),
        (
            lambda: high_frequency_share(torch.ones(1, 1, 5, 7), size=6),
            "size must be at least 7, the side of the kernels, got 6",
        ),
        (lambda: high_frequency_share(THREE, radius=-1), "radius must be a number >= 0"),
        (
            lambda: replace(built(), THREE),
            "weight must have the shape of the first kernels, (8, 3, 5, 5), got (2, 3, 3, 3)",
        ),
        (
            lambda: replace(nn.Conv2d(3, 2, 3), THREE * math.nan),
            "weight must be finite, but holds NaN or infinity",
        ),
        (
            lambda: replace(nn.Conv2d(3, 2, 3), THREE * math.inf),
            "weight must be finite, but holds NaN or infinity",
        ),
    ],
)
def test_refuses(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()
