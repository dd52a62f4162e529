"""``hfc.wrappers``: what a network sees through them, and what comes out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hfc.frequency import COMPONENTS, component
from hfc.wrappers import FilteredInput, OnComponent, ScaledLogits, StraightThrough
from tests.oracles import frequency as slow
from tests.targets import linear, network, noise

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", COMPONENTS)
def test_on_component(name, device):
    mean = torch.tensor([0.2, 0.5, 0.8])[:, None, None]
    inner = network(norm=None, dropout=0)
    model = OnComponent(inner, name, 3, mean).to(device)
    images = torch.rand(4, 3, 16, 16, device=device)
    copies = component(images, name, 3, mean=mean.to(device))
    torch.testing.assert_close(model(images), inner(copies))
    assert not torch.allclose(model(images), inner(images))
    assert [*model.parameters()] == [*inner.parameters()]
    assert model.state_dict()["mean"].cpu().equal(mean)  # a checkpoint knows it
    images.requires_grad_()
    model(images).square().sum().backward()
    assert images.grad.abs().sum() > 0
    assert images.grad.isfinite().all()


def test_on_component_follows_the_mode_and_tells_what_it_is():
    model = OnComponent(network(dropout=0.5), "low", 4)
    assert model.eval().model.training is False
    assert model.train().model.training is True
    assert "'low', radius=4" in repr(model)
    others = [OnComponent(nn.Identity(), "high", 4), OnComponent(nn.Identity(), "low", 8)]
    assert len({repr(other) for other in (OnComponent(nn.Identity(), "low", 4), *others)}) == 3


def test_on_component_refuses():
    images = torch.rand(2, 3, 8, 8)
    for name, text in (("middle", "name must be one of low, "), ("high + mean", "mean must be g")):
        with pytest.raises(ValueError, match=text):
            OnComponent(network(), name, 3)(images)


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


@pytest.mark.parametrize("radius", [-1, float("nan")])
def test_filtered_input_refuses(radius):
    with pytest.raises(ValueError, match="radius must be a number >= 0"):
        FilteredInput(linear(), radius)


@given(st.floats(1e-6, 1e6), st.integers(0, 99))
def test_scaled_logits(factor, seed):
    model, images = linear(4, seed=seed), noise(9, seed=seed)
    scaled = ScaledLogits(model, factor)
    torch.testing.assert_close(scaled(images), factor * model(images))
    assert scaled(images).argmax(dim=1).equal(model(images).argmax(dim=1))
    assert f"factor={factor}" in repr(scaled)


@pytest.mark.parametrize("factor", [0, -1, float("inf"), float("nan")])
def test_scaled_logits_refuses(factor):
    with pytest.raises(ValueError, match=f"factor must be a finite number above 0, got {factor}"):
        ScaledLogits(linear(), factor)


@pytest.mark.parametrize("mode", [True, False])
def test_wrappers_come_in_the_mode_of_what_they_hold(mode):
    model = network().train(mode)
    defended = FilteredInput(model, 4)
    for wrapped in (defended, StraightThrough(defended), ScaledLogits(model, 2)):
        assert wrapped.training is mode
        assert all(module.training is mode for module in wrapped.modules())
