import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hfc import models
from hfc.frequency import fourier_basis
from hfc.pooling import KINDS, BlurPool, LowPassPool, replace_pooling
from tests.oracles import pooling as oracle

POOLINGS = {name: kind() for name, kind in KINDS.items()}
each = pytest.mark.parametrize("pool", POOLINGS.values(), ids=POOLINGS)
sizes = st.integers(3, 20)
halves = st.integers(2, 10)
seeds = st.integers(0, 1000)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) - 0.5


def wave(size, u, v):
    return fourier_basis(size, size, u, v)[None, None].double()


# Against loops -----------------------------------------------------------------------------


@given(sizes, sizes, seeds)
def test_blur_is_that_of_loops(height, width, seed):
    x = noise(2, 3, height, width, seed=seed)
    wanted = [[oracle.blur_pool(one.numpy()) for one in image] for image in x]
    np.testing.assert_allclose(BlurPool()(x), wanted, rtol=1e-12, atol=1e-12)


@given(halves, halves, seeds)
def test_low_pass_is_a_sum_over_waves(height, width, seed):
    x = noise(1, 2, 2 * height, 2 * width, seed=seed)
    wanted = [[oracle.low_pass_pool(one.numpy()) for one in image] for image in x]
    np.testing.assert_allclose(LowPassPool()(x), wanted, rtol=1e-9, atol=1e-12)


def test_blur_by_hand():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = 16.0
    corner = torch.tensor([[4.0, 0], [0, 0]])[None, None]  # one of the largest, weight 2 x 2
    assert BlurPool()(x).equal(corner)
    x[0, 0, 1, 1] = 16.0
    assert BlurPool()(x)[0, 0, 0, 0] == 16  # four of them, and their reflections


# Frequencies -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 12, 16, 32])
def test_waves_below_the_limit_pass(size):
    for u in range(size // 4):
        for v in range(-(size // 4) + 1, size // 4):
            x = wave(size, u, v).roll((1, 2), dims=(2, 3))
            torch.testing.assert_close(LowPassPool()(x), x[..., ::2, ::2], rtol=0, atol=1e-7)


@pytest.mark.parametrize("size", [8, 12, 16, 32])
def test_waves_beyond_the_limit_do_not(size):
    beyond = [(u, v) for u in range(size // 2) for v in range(size // 2) if max(u, v) > size // 4]
    for u, v in beyond:
        assert LowPassPool()(wave(size, u, v)).abs().max() < 1e-7
        assert nn.MaxPool2d(2)(wave(size, u, v)).abs().max() > 1e-3  # they come back as others


def test_at_the_limit_half_is_left():
    x = wave(16, 4, 1)
    torch.testing.assert_close(LowPassPool()(x), x[..., ::2, ::2] / 2, rtol=0, atol=1e-7)


@pytest.mark.parametrize("u", range(9, 14))
def test_blur_dampens_what_a_maximum_folds(u):
    x = wave(32, u, 0)
    assert BlurPool()(x).std() < 0.7 * nn.MaxPool2d(2)(x).std()


@given(st.sampled_from(["blur", "low-pass"]), halves, halves, seeds)
def test_a_shift_by_two_is_a_shift_by_one(name, height, width, seed):
    x = noise(1, 2, 2 * height, 2 * width, seed=seed)
    shifted = POOLINGS[name](x.roll((2, -2), dims=(2, 3)))
    wanted = POOLINGS[name](x).roll((1, -1), dims=(2, 3))
    inner = (..., slice(2, -2), slice(2, -2)) if name == "blur" else (...,)  # but for the border
    torch.testing.assert_close(shifted[inner], wanted[inner])


def test_low_pass_moves_as_its_image_does():
    """Also by one pixel: what is kept of both is the same map, read half a pixel further."""
    x = noise(1, 1, 16, 16)
    amplitudes = [torch.fft.fft2(LowPassPool()(m)).abs() for m in (x, x.roll(1, dims=3))]
    inside = torch.ones(8, 8, dtype=torch.bool)
    inside[4], inside[:, 4] = False, False  # but for the limit itself
    torch.testing.assert_close(amplitudes[0][..., inside], amplitudes[1][..., inside])


# Values, types, gradients ------------------------------------------------------------------


@each
@given(sizes, sizes, seeds)
def test_sizes_are_those_of_a_maximum(pool, height, width, seed):
    x = noise(2, 3, height, width, seed=seed)
    assert pool(x).shape == nn.MaxPool2d(2)(x).shape == (2, 3, height // 2, width // 2)


@each
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_types_are_kept_under_autocast_too(pool, dtype, device):
    x = noise(2, 3, 16, 16, dtype=torch.float32).to(device, dtype)
    plain = pool(x)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        cast = pool(x)
    assert plain.dtype == cast.dtype == dtype
    assert plain.device == cast.device == x.device
    assert cast.equal(plain)
    exact = pool(x.double())
    assert (plain.double() - exact).abs().max() < 2 * torch.finfo(dtype).eps


@pytest.mark.parametrize("size", [3, 7, 8, 14])
@each
def test_flat_maps_stay(pool, size):
    flat = torch.full((1, 2, size, size), -0.7, dtype=torch.float64)
    torch.testing.assert_close(pool(flat), flat[..., : size // 2, : size // 2])


@given(st.floats(-3, 3), seeds)
def test_low_pass_is_linear(factor, seed):
    a, b = noise(1, 2, 8, 8, seed=seed), noise(1, 2, 8, 8, seed=seed + 1)
    together = LowPassPool()(a + factor * b)
    torch.testing.assert_close(together, LowPassPool()(a) + factor * LowPassPool()(b))


@each
def test_gradients(pool):
    x = noise(1, 2, 6, 8).requires_grad_()
    assert torch.autograd.gradcheck(pool, (x,))


def test_gradients_after_inference_mode():
    with torch.inference_mode():
        LowPassPool()(torch.rand(1, 1, 22, 22))
    x = torch.rand(1, 1, 22, 22, requires_grad=True)
    LowPassPool()(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("pool", "least"), [(BlurPool(), 3), (LowPassPool(), 2)])
def test_bad_maps(pool, least):
    text = f"x must hold maps of at least {least}x{least} pixels, got {least - 1}x8"
    with pytest.raises(ValueError, match=text):
        pool(torch.rand(1, 1, least - 1, 8))
    with pytest.raises(ValueError, match=r"x must have shape \(N, C, H, W\), got \(8, 8\)"):
        pool(torch.rand(8, 8))
    with pytest.raises(TypeError, match=r"x must be a floating-point tensor, got torch\.int64"):
        pool(torch.ones(1, 1, 8, 8, dtype=torch.int64))


# In a network ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("plain", 3), ("small", 2), ("convnet", 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_all_pooling_of_a_network_is_replaced(name, count, kind):
    torch.manual_seed(0)
    model = models.build(name, num_classes=10, norm="batch", width=8).eval()
    before, x = copied(model), torch.rand(2, 3, 32, 32)
    changed = replace_pooling(model, kind)
    kinds = [type(POOLINGS[kind]), nn.MaxPool2d]
    found = [sum(isinstance(layer, k) for layer in changed.modules()) for k in kinds]
    assert found == [count, count if kind == "max" else 0]
    assert not any(layer.training for layer in changed.modules())
    assert copied(changed).keys() == before.keys()
    assert all(value.equal(before[key]) for key, value in copied(changed).items())
    assert changed(x).equal(model(x)) == (kind == "max")
    with torch.no_grad():
        next(changed.parameters()).zero_()
    assert all(value.equal(before[key]) for key, value in copied(model).items())


def copied(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_only_what_halves_is_replaced():
    others = [nn.MaxPool2d(3, 2), nn.MaxPool2d(2, 1), nn.MaxPool2d(2, ceil_mode=True)]
    others += [nn.MaxPool2d(2, padding=1), nn.MaxPool2d(2, dilation=2), nn.AvgPool2d(2)]
    model = nn.Sequential(*others, nn.Sequential(nn.MaxPool2d((2, 2), (2, 2))))
    changed = replace_pooling(model, "blur")
    assert [type(layer) for layer in changed[:-1]] == [type(layer) for layer in others]
    assert isinstance(changed[-1][0], BlurPool)


def test_nothing_to_replace():
    text = r"model must hold an nn.MaxPool2d\(2\), but this Sequential has none"
    for name in ("resnet18", "vgg"):  # the one of vgg rounds up
        with pytest.raises(ValueError, match=text):
            replace_pooling(models.build(name, num_classes=10, width=8), "blur")


def test_a_kind_that_is_none():
    with pytest.raises(ValueError, match="kind must be one of max, blur, low-pass, got 'mean'"):
        replace_pooling(nn.MaxPool2d(2), "mean")
    with pytest.raises(TypeError, match="model must be a Module of torch, got 'plain'"):
        replace_pooling("plain", "blur")
