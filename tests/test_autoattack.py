"""AutoAttack by name, on models for which robustness is known in closed form."""

import logging
import sys

import pytest
import torch
from torch import nn

from hfc import attacks, robustness
from hfc.data import ImageSet

EPSILON = 8 / 255
CLASSES = 5


class Linear(nn.Module):
    """Logits are linear in the pixels."""

    def __init__(self, classes=CLASSES, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, 3 * 8 * 8, generator=generator))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


def images(n=16, seed=1):
    """Grey enough that no pixel meets the ends of [0, 1] within epsilon."""
    x = 0.25 + 0.5 * torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    labels = Linear()(x).argmax(dim=1)
    return ImageSet(x, labels, tuple("abcde"), "made")


def robust_by_formula(model, made, epsilon):
    """An image stays right if no class can overtake: lead > epsilon times an L1 norm."""
    logits = model(made.images).detach()
    own = logits.gather(1, made.labels[:, None])
    weight = model.weight.detach()
    reach = epsilon * (weight[made.labels][:, None] - weight[None]).abs().sum(dim=2)
    lead = own - logits
    return ((lead > reach) | nn.functional.one_hot(made.labels, CLASSES).bool()).all(dim=1)


def accuracies(name, epsilons):
    table = robustness.robust_accuracy(Linear().eval(), images(), name, epsilons, checked=0)
    return table["accuracy"].tolist()


def wanted(epsilons):
    return [robust_by_formula(Linear(), images(), e).float().mean().item() for e in epsilons]


EPSILONS = [0.0, EPSILON / 8, EPSILON / 4, EPSILON / 2, EPSILON]


def test_apgd_finds_all_there_is_on_a_linear_model():
    shares = wanted(EPSILONS)
    assert len(set(shares)) >= 3  # else any attack would do
    assert accuracies("apgd", EPSILONS) == pytest.approx(shares, abs=1e-6)
    for apgd, pgd in zip(shares, accuracies("pgd", EPSILONS), strict=True):
        assert pgd >= apgd - 1e-6


@pytest.mark.slow
def test_autoattack_finds_all_there_is_on_a_linear_model():
    few = [0.0, EPSILON / 8]
    assert accuracies("autoattack", few) == pytest.approx(wanted(few), abs=1e-6)


def test_images_stay_in_the_ball_and_do_not_depend_on_chance():
    model, made = Linear().eval(), images()
    made.images[:, :, 0] = 0  # at the end of the range
    first, again = (
        attacks.perturb(model, made.images, made.labels, "apgd", EPSILON, seed=4) for _ in range(2)
    )
    assert first.equal(again)
    assert first.min() >= 0
    assert first.max() <= 1
    assert (first - made.images).abs().max() <= EPSILON + 1e-6
    assert not first.equal(made.images)


def test_too_few_classes_are_told():
    made = images()
    model = Linear(classes=3).eval()
    with pytest.raises(ValueError, match="model must tell 4 classes for AutoAttack, got 3"):
        attacks.perturb(model, made.images, made.labels % 3, "apgd", EPSILON)


def test_tracer_and_log_are_as_before():
    made, log = images(4), logging.getLogger("auto-attack")
    log.setLevel(logging.INFO)
    seen = []

    def tracer(frame, event, argument):
        seen.append(event)

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        attacks.perturb(Linear().eval(), made.images, made.labels, "apgd", EPSILON)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert log.level == logging.INFO


@pytest.mark.parametrize("mode", [True, False])
def test_what_it_leaves_alone(mode):
    model, made = Linear().train(mode), images(4)
    model.weight.grad = torch.ones_like(model.weight)
    weight, pixels, state = (
        model.weight.detach().clone(),
        made.images.clone(),
        torch.get_rng_state(),
    )
    attacks.perturb(model, made.images, made.labels, "apgd", EPSILON)
    assert model.weight.equal(weight)
    assert model.weight.grad.equal(torch.ones_like(weight))
    assert model.weight.requires_grad
    assert model.training is mode
    assert made.images.equal(pixels)
    assert torch.get_rng_state().equal(state)
