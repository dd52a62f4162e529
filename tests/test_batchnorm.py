"""``hfc.batchnorm``: the batch's own statistics, and new running averages."""

import copy
import re

import numpy as np
import pytest
import torch
from torch import nn

from hfc import models
from hfc.batchnorm import batch_statistics, has_batchnorm, layers, recalibrate
from hfc.evaluation import logits
from hfc.kernels import first_kernels, replace, smooth
from tests.oracles import batchnorm as oracle

pytestmark = pytest.mark.usefixtures("one_thread")


def built(name="small", seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build(name, **{"num_classes": 4, "width": 8} | settings)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def differing(before, after):
    assert before.keys() == after.keys()
    return [name for name in before if not before[name].equal(after[name])]


# Layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.NAMES)
def test_has_batchnorm(name):
    for norm, wanted in (("batch", True), ("group", False), (None, False)):
        model = built(name, norm=norm)
        assert has_batchnorm(model) == wanted
        assert all(isinstance(layer, nn.BatchNorm2d) for layer in layers(model))
    assert has_batchnorm(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    assert not has_batchnorm(nn.InstanceNorm2d(3))


def test_layers_in_order():
    model = Flexible()
    assert layers(nn.Sequential(model, model)) == [model.first_norm, model.second_norm]


# By the batch's own statistics ------------------------------------------------------------


@torch.no_grad()
def test_batch_statistics_by_hand():
    norm = nn.BatchNorm2d(3).eval()
    norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
    norm.bias.copy_(torch.tensor([0.0, 1.0, 3.0]))
    images = torch.rand(7, 3, 4, 5)
    before, plain = state(norm), norm(images)
    with batch_statistics(norm):
        found = norm(images)
    wanted, *_ = oracle.batch_norm(images, norm.weight, norm.bias, norm.eps)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert differing(before, state(norm)) == []
    assert norm(images).equal(plain)


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken")


@torch.no_grad()
def test_batch_statistics_are_put_back_after_an_error():
    model, images = built().eval(), torch.rand(6, 3, 16, 16)
    before, plain = state(model), model(images)
    model.append(Fails())
    with pytest.raises(RuntimeError, match="broken"), batch_statistics(model):
        model(images)
    del model[-1]
    assert differing(before, state(model)) == []
    assert model(images).equal(plain)


@torch.no_grad()
@pytest.mark.parametrize(
    "model", [nn.GroupNorm(1, 3), nn.BatchNorm2d(3, track_running_stats=False)]
)
def test_batch_statistics_of_what_has_no_others(model):
    images = torch.rand(6, 3, 4, 4)
    wanted = model.eval()(images)
    with batch_statistics(model):
        assert model(images).equal(wanted)
    assert model(images).equal(wanted)


# New running averages ---------------------------------------------------------------------


class Flexible(nn.Module):
    """Two layers with BatchNorm, and dropout of both kinds between them."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 1)
        self.first_norm, self.second_norm = nn.BatchNorm2d(3), nn.BatchNorm2d(4, momentum=0.3)
        self.dropout = nn.Dropout(0.9)
        for layer in (self.first_norm, self.second_norm):
            nn.init.uniform_(layer.weight, 0.5, 2, generator=torch.Generator().manual_seed(1))
            nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(2))
            nn.init.constant_(layer.running_mean, 7)

    def forward(self, x):
        x = self.dropout(self.first_norm(self.first(x)).relu())
        x = nn.functional.dropout(x, 0.9, self.training)
        return self.second_norm(self.second(x)).mean(dim=(2, 3))


def by_hand(model, batches):
    """Means and variances that each layer sees, and the plain means of these over batches."""
    seen = []
    parts = {name: value.detach().double() for name, value in model.named_parameters()}
    for batch in batches:
        x = nn.functional.conv2d(batch.double(), parts["first.weight"], parts["first.bias"])
        norms = [
            (parts[f"{name}_norm.weight"], parts[f"{name}_norm.bias"])
            for name in ("first", "second")
        ]
        x, *first = oracle.batch_norm(x, *norms[0], 1e-5)
        x = torch.from_numpy(np.maximum(x, 0))
        x = nn.functional.conv2d(x, parts["second.weight"], parts["second.bias"])
        _, *second = oracle.batch_norm(x, *norms[1], 1e-5)
        seen.append([*first, *second])
    return [np.mean(values, axis=0) for values in zip(*seen, strict=True)]


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(7, 3, [3, 2, 2]), (6, 3, [3, 3]), (5, 500, [5]), (3, 1, [1] * 3)],
)
@pytest.mark.parametrize("training", [True, False])
def test_recalibrate_by_hand(n, batch_size, sizes, training):
    model, images = Flexible().train(training), torch.rand(n, 2, 5, 6)
    model.second_norm.train(not training)
    before, modes = state(model), [m.training for m in model.modules()]
    seen = []
    model.first_norm.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    random = torch.get_rng_state()
    assert recalibrate(model, images, batch_size=batch_size) is None
    assert torch.get_rng_state().equal(random)

    assert [len(x) for x in seen] == sizes
    assert not any(x.requires_grad for x in seen)
    layers = (model.first_norm, model.second_norm)
    found = [x for layer in layers for x in (layer.running_mean, layer.running_var)]
    for values, wanted in zip(found, by_hand(model, images.split(sizes)), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)
    for c in range(3):  # and, for the first layer, as its hook saw it
        variances = [x[:, c].var().item() for x in seen]
        assert model.first_norm.running_var[c].item() == pytest.approx(np.mean(variances), rel=1e-4)
    assert [layer.num_batches_tracked.item() for layer in layers] == [len(sizes)] * 2

    running = {f"{a}_norm.{b}" for a in ("first", "second") for b in
               ("running_mean", "running_var", "num_batches_tracked")}  # fmt: skip
    assert set(differing(before, state(model))) == running
    assert [m.training for m in model.modules()] == modes
    assert [layer.momentum for layer in layers] == [0.1, 0.3]
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_recalibrate_forgets_what_was_before():
    images, results = torch.rand(40, 3, 16, 16), []
    for other in (torch.rand(8, 3, 16, 16), 5 + torch.rand(8, 3, 16, 16)):
        model = built()
        model(other)
        recalibrate(model, images, batch_size=10)
        results.append(state(model))
    assert differing(*results) == []


def test_recalibrate_as_a_loop():
    """The loop that a reader would write: training mode, cumulative averages."""
    model, images = built(), torch.rand(60, 3, 16, 16)
    model(torch.rand(8, 3, 16, 16))
    wanted = copy.deepcopy(model).train()
    for layer in wanted.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        for batch in images.split(20):
            wanted(batch)
    recalibrate(model, images, batch_size=20)
    assert differing(state(wanted), state(model)) == []


def test_recalibrated_networks_do_not_care_about_the_size_of_kernels():
    """So a BatchNorm behind the first layer undoes the gain of published smoothing."""
    model, images = built(), torch.rand(64, 3, 16, 16)
    recalibrate(model, images)
    found, old = {}, logits(model, images)
    for normalised in (False, True):
        changed = replace(model, smooth(first_kernels(model), 1, normalised=normalised))
        found["stale", normalised] = logits(changed, images)
        recalibrate(changed, images)
        found["new", normalised] = logits(changed, images)
    torch.testing.assert_close(found["new", True], found["new", False], rtol=0.01, atol=0.01)
    assert (found["stale", True] - found["stale", False]).abs().max() > 0.1
    assert (found["new", True] - old).abs().max() > 0.01


class Broken(nn.Module):
    """Passes one batch, and then no more."""

    def __init__(self, norm):
        super().__init__()
        self.norm, self.fuse = norm, 1

    def forward(self, x):
        self.fuse -= 1
        if self.fuse < 0:
            raise RuntimeError("burnt")
        return self.norm(x)


def test_recalibrate_leaves_a_model_as_it_was_if_something_fails():
    model = Broken(nn.BatchNorm2d(3))
    before = state(model)
    with pytest.raises(RuntimeError, match="burnt"):
        recalibrate(model, torch.rand(4, 3, 2, 2), batch_size=2)
    assert differing(before, state(model)) == []
    assert model.training
    assert model.norm.momentum == 0.1


@pytest.mark.parametrize(
    "norm", [nn.Identity(), nn.GroupNorm(1, 3), nn.BatchNorm2d(3, track_running_stats=False)]
)
def test_networks_without_statistics_are_left_alone(norm):
    model = Broken(norm)
    model.fuse = 0  # any pass would fail
    recalibrate(model, torch.rand(4, 3, 2, 2))
    assert model.training


@pytest.mark.parametrize(
    ("images", "batch_size", "text"),
    [
        (torch.rand(0, 3, 16, 16), 500, "images must hold at least one image, got none"),
        (torch.rand(4, 3, 16, 16), 0, "batch_size must be at least 1, got 0"),
        (
            torch.full((4, 3, 16, 16), torch.nan),
            2,
            "images must be finite, but hold NaN or infinit",
        ),
        (
            torch.full((4, 3, 16, 16), torch.inf),
            2,
            "images must be finite, but hold NaN or infinit",
        ),
    ],
)
def test_recalibrate_refuses(images, batch_size, text):
    model = built()
    before = state(model)
    with pytest.raises(ValueError, match=re.escape(text)):
        recalibrate(model, images, batch_size=batch_size)
    assert differing(before, state(model)) == []
