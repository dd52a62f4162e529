"""``hfc.robustness``: against formulas and by counting, and its flags against bad models."""

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
from torch import nn

from hfc.attacks import ATTACKS, make, perturb
from hfc.data import ImageSet
from hfc.evaluation import accuracy
from hfc.flags import KINDS, Flag
from hfc.frequency import high_pass, low_pass
from hfc.intervals import wilson_interval
from hfc.robustness import joint_bound, low_pass_bound, robust_accuracy
from hfc.wrappers import FilteredInput, ScaledLogits, StraightThrough
from tests.oracles import attacks as oracle
from tests.oracles import frequency as slow
from tests.targets import (
    Linear,
    Random,
    answers,
    between,
    healthy,
    image_set,
    linear,
    network,
    noise,
    norms,
    two_classes,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

MINIMAL = ("deepfool", "deepfool-l2", "hopskipjump")

TWO_CLASSES = [name for name in ATTACKS if name not in ("apgd", "autoattack")]


MODE, PIXELS, BALL = (Flag(kind) for kind in ("training-mode", "left-range", "left-ball"))


def kinds(table):
    """Kinds of all flags of a table."""
    return {flag.kind for row in table["flags"] for flag in row}


# Against formulas -------------------------------------------------------------------------


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


def test_hopskipjump_without_a_start():
    model, made, _, _ = two_classes(20, wrong=0)
    alone = made.take(made.labels == 0)  # no image of the other class to start from
    changed = perturb(model, alone.images, alone.labels, "hopskipjump", 1)
    assert changed.equal(alone.images)
    table = robust_accuracy(model, alone, "hopskipjump", [1], protocol="minimum")
    assert table["accuracy"].item() == 1
    assert kinds(table) == {"survives-grey"}


# By counting ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pgd", "pgd-l2"])
def test_pgd_is_that_of_foolbox(name):
    model, test = healthy()
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


def test_restarts_find_more():
    model, test = healthy()
    left = [
        robust_accuracy(model, test, make("pgd", steps=2, restarts=k), [1.5 / 255], checked=0)
        for k in (1, 4)
    ]
    assert left[1]["accuracy"].item() <= left[0]["accuracy"].item()
    assert isinstance(make("pgd", restarts=2), foolbox.attacks.base.Repeated)


@pytest.mark.parametrize("name", ["pgd", "pgd-l2"])
def test_with_nothing_to_filter_it_is_plain_pgd(name):
    model, test = healthy()
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
    assert kinds(left[other]) <= {"vanishing-gradients"}


def test_fourier_needs_colour():
    """Waves that are grey are far weaker than waves whose channels go up and down apart."""
    model, test = healthy()
    table = robust_accuracy(model, test, "fourier", [16 / 255], checked=0)
    assert table["accuracy"].item() < accuracy(model, test) - 0.3


def test_epsilon_zero_is_clean_accuracy():
    model, test = healthy()
    for name in ("fgsm", "pgd-l2", "fourier"):
        table = robust_accuracy(model, test.take(slice(40)), name, [0], checked=0)
        assert table["accuracy"].item() == pytest.approx(accuracy(model, test.take(slice(40))))
    table = robust_accuracy(model, test, "deepfool", [0], protocol="minimum", checked=0)
    assert table["accuracy"].item() == pytest.approx(accuracy(model, test))


def test_the_seed_decides():
    model, made = linear(5), image_set(noise(9), torch.arange(9) % 5, 5)
    tables = [robust_accuracy(model, made, "pgd", [0.01, 0.02], seed=1) for _ in range(2)]
    assert tables[0].equals(tables[1])


def test_epsilons_keep_their_order():
    model, made, _, _ = two_classes()
    epsilons = [0.05, 0, 0.01, 0.05]
    table = robust_accuracy(model, made, "fgsm", epsilons)
    assert table.index.tolist() == epsilons
    assert list(table.columns) == ["accuracy", "low", "high", "flags"]
    ordered = robust_accuracy(model, made, "fgsm", sorted(epsilons))
    assert table["accuracy"].tolist() == ordered["accuracy"].iloc[[2, 0, 1, 3]].tolist()


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_robust_accuracy_counts_what_perturb_makes(name):
    model, test = healthy()
    other = network(num_classes=10, dropout=0).eval()
    for source in (None, other):
        table = robust_accuracy(model, test, name, [2 / 255], source=source, checked=0)
        changed = perturb(source or model, test.images, test.labels, name, 2 / 255)
        right = (answers(model, test.images) == test.labels) & (
            answers(model, changed) == test.labels
        )
        assert table["accuracy"].item() == pytest.approx(right.double().mean().item())


def test_minimum_protocol_by_hand():
    """FGSM has no luck, so that every try can be repeated."""
    model, test = healthy()
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


def test_minimum_is_never_above_fixed():
    model, test = healthy()
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
    for name in TWO_CLASSES:
        table = robust_accuracy(model, made, name, [0.01, 0.1], protocol="minimum")
        assert table["accuracy"].tolist() == [0, 0]
        assert kinds(table) == set()


@pytest.mark.parametrize("name", TWO_CLASSES)
def test_attacks_on_a_device(name, device):
    model, made, _, _ = two_classes(20)
    settings = {"protocol": "minimum" if name in MINIMAL else "fixed"}
    here = robust_accuracy(model.to(device), made.to(device), name, [0.02], **settings)
    changed = perturb(model, made.images.to(device), made.labels.to(device), name, 0.02)
    assert changed.device.type == device.type
    there = robust_accuracy(model.cpu(), made, name, [0.02], **settings)
    assert here["accuracy"].item() == pytest.approx(there["accuracy"].item(), abs=0.16)


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


# Flags as values --------------------------------------------------------------------------

SENTENCES = {
    "the model came in training mode": MODE,
    "the attack left [0, 1]": PIXELS,
    "the attack left the ball": BALL,
    "accuracy rises with epsilon": Flag("rising-accuracy"),
    "the model is random: two passes differ": Flag("random-model"),
    "gradients vanish for 45 % of images": Flag("vanishing-gradients", 0.45),
    "noise breaks 5 % more images than gradients": Flag("noise-stronger", 0.05),
    "waves break 49 % more images than gradients": Flag("waves-stronger", 0.49),
    "APGD breaks 7 % more images": Flag("apgd-stronger", 0.07),
    "a quarter of the steps breaks 12 % more images": Flag("fewer-steps-stronger", 0.12),
    "100 % of images stay right though epsilon reaches grey": Flag("survives-grey", 1),
}


def test_every_flag_has_a_sentence():
    assert {flag.kind for flag in SENTENCES.values()} == set(KINDS)
    for sentence, flag in SENTENCES.items():
        assert str(flag) == sentence
        assert Flag.parse(sentence) == flag


def with_share(kind):
    return "{}" in KINDS[kind]


some_flags = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(Flag, st.just(kind), st.floats(0, 1) if with_share(kind) else st.none())
)


@given(some_flags)
def test_flags_survive_their_code(flag):
    """But for digits beyond the fourth."""
    found = Flag.decode(flag.encode())
    assert found.kind == flag.kind
    assert found.share == (None if flag.share is None else pytest.approx(flag.share, rel=5.1e-4))
    assert Flag.decode(found.encode()) == found
    assert ";" not in flag.encode()


@given(st.sampled_from([kind for kind in KINDS if with_share(kind)]), st.integers(0, 100))
def test_flags_survive_their_sentence(kind, percent):
    flag = Flag(kind, percent / 100)
    assert Flag.parse(str(flag)) == flag


def test_flags_are_rounded_when_they_are_told():
    flag = Flag("vanishing-gradients", 37 / 99)
    assert flag.share == 37 / 99
    assert str(flag) == "gradients vanish for 37 % of images"
    assert flag.encode() == "vanishing-gradients=0.3737"
    assert Flag("random-model").encode() == "random-model"


@pytest.mark.parametrize(
    ("kind", "share", "text"),
    [
        ("vanished", None, f"kind must be one of {', '.join(KINDS)}, got 'vanished'"),
        ("left-ball", 0.5, "share must be left out for 'left-ball', got 0.5"),
        ("survives-grey", None, "share must be in [0, 1] for 'survives-grey', got None"),
        ("survives-grey", 12, "share must be in [0, 1] for 'survives-grey', got 12"),
        ("survives-grey", -0.1, "share must be in [0, 1] for 'survives-grey', got -0.1"),
        ("survives-grey", float("nan"), "share must be in [0, 1] for 'survives-grey', got nan"),
    ],
)
def test_flag_refuses(kind, share, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Flag(kind, share)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (Flag.parse, ""),
        (Flag.parse, "gradients vanish for many of images"),
        (Flag.parse, "gradients vanish for 45 % of images; accuracy rises with epsilon"),
        (Flag.parse, "left-ball"),
        (Flag.decode, ""),
        (Flag.decode, "vanishing-gradients"),
        (Flag.decode, "vanishing-gradients=many"),
        (Flag.decode, "vanishing-gradients=45"),
        (Flag.decode, "random-model=0.5"),
        (Flag.decode, "random-model; left-ball"),
    ],
)
def test_what_is_no_flag_is_refused(read, text):
    with pytest.raises(ValueError, match=r"must be|could not convert"):
        read(text)


# Flags of bad models ----------------------------------------------------------------------


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
def test_a_healthy_network_has_no_flags(name, protocol, epsilons):
    table = robust_accuracy(*healthy(), name, epsilons, protocol=protocol)
    assert table["flags"].tolist() == [()] * len(epsilons)


def test_a_confined_attack_has_no_flags():
    attack = make("pgd", component="high", radius=12)
    table = robust_accuracy(*healthy(), attack, [2 / 255])
    assert table["accuracy"].item() > 0.3
    assert table["flags"].item() == ()


def test_flag_for_training_mode():
    model, made, _, _ = two_classes()
    for mode in (True, False):
        table = robust_accuracy(model.train(mode), made, "pgd", [0, 0.02])
        assert [MODE in row for row in table["flags"]] == [mode, mode]
    layers = nn.Sequential(model, nn.Dropout(0.5)).eval()
    layers[1].train()  # one layer is enough
    assert robust_accuracy(layers, made, "pgd", [0.02])["flags"].item() == (MODE,)


def test_flag_for_random_models():
    _, made, _, _ = two_classes()
    for name in ("pgd", "noise", "deepfool"):
        model = Random(linear().weight.detach()).eval()
        table = robust_accuracy(model, made, name, [0.02], protocol="minimum")
        assert Flag("random-model") in table["flags"].item()


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
    assert honest["flags"].tolist() == [(), (), (PIXELS,)]
    assert greedy["flags"].tolist() == [(), (PIXELS, BALL), (PIXELS, BALL)]
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


@pytest.mark.parametrize(("n", "sure", "flagged"), [
    (100, 0, False), (100, 2, False), (100, 3, True), (50, 2, False), (50, 3, True), (99, 50, True),
])  # fmt: skip
def test_flag_for_vanished_gradients(n, sure, flagged):
    images = noise(n)
    images[:sure, 0, 0, 0] = 0.95
    model = Sure(linear()).eval()
    made = image_set(images, answers(model, images))
    for name, protocol in (("fgsm", "fixed"), ("deepfool", "minimum")):
        table = robust_accuracy(model, made, name, [0.01], protocol=protocol)
        found = [flag for flag in table["flags"].item() if flag.kind == "vanishing-gradients"]
        assert found == ([Flag("vanishing-gradients", sure / n)] if flagged else [])


def test_smaller_logits_bring_gradients_back():
    images = noise(50)
    images[:, 0, 0, 0] = 0.95
    model = Sure(linear()).eval()
    made = image_set(images, answers(model, images))
    masked = robust_accuracy(model, made, "fgsm", [0.1])
    scaled = robust_accuracy(model, made, "fgsm", [0.1], source=ScaledLogits(model, 1e-5))
    assert Flag("vanishing-gradients", 1) in masked["flags"].item()
    assert "vanishing-gradients" not in kinds(scaled)
    assert scaled["accuracy"].item() < masked["accuracy"].item()


def test_gradients_are_those_of_the_source():
    images = noise(50)
    model = Sure(linear()).eval()
    made = image_set(images, answers(model, images))

    def found(source):
        return kinds(robust_accuracy(model, made, "fgsm", [0.01], source=source))

    for source in (model, linear()):
        sure = copy.deepcopy(source)
        for p in sure.parameters():
            p.data *= 1e5
        assert "vanishing-gradients" in found(sure)
    assert "vanishing-gradients" not in found(linear())


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
    grey = Flag("survives-grey", 1)
    assert fixed["flags"].tolist() == [(grey,), (grey,), (grey, Flag("rising-accuracy"))]
    minimum = robust_accuracy(Window().eval(), GREY, "fgsm", [0.02, 0.08, 0.3], protocol="minimum")
    assert minimum["accuracy"].tolist() == [1, 0, 0]
    assert "rising-accuracy" not in kinds(minimum)
    alone = robust_accuracy(Window().eval(), GREY, "fgsm", [0.3], protocol="minimum")
    assert alone["accuracy"].item() == 0  # sizes below are tried though nobody asked
    assert robust_accuracy(Window().eval(), GREY, "fgsm", [0.3])["accuracy"].item() == 1


@pytest.mark.parametrize("name", ["pgd", "pgd-l2"])
def test_flag_for_waves(name):
    """Rounded pixels have no gradient; nothing is safer for that."""
    model, test = healthy()
    defended = FilteredInput(model, 30, rounded=True)
    largest = {"pgd": 16 / 255, "pgd-l2": 2}[name]
    table = robust_accuracy(defended, test, name, [0, largest])
    assert table["accuracy"].iloc[1] > table["accuracy"].iloc[0] - 0.1
    assert {"vanishing-gradients", "waves-stronger", "survives-grey"} <= kinds(table)
    assert all(row[0] == Flag("vanishing-gradients", 1) for row in table["flags"])
    assert robust_accuracy(defended, test, name, [largest], checked=0)["flags"].item() == ()


class Grain(nn.Module):
    """Errs on grainy images; its gradient leads elsewhere."""

    def forward(self, x):
        grain = high_pass(x.detach(), 1).square().mean(dim=(1, 2, 3))
        wrong = 1e5 * (grain - 1e-4) + 1e-3 * x.mean(dim=(1, 2, 3))
        return torch.stack((-wrong, wrong), dim=1)


def test_flag_for_noise():
    table = robust_accuracy(Grain().eval(), GREY, "fgsm", [0.05])
    assert table["accuracy"].item() == 1
    assert Flag("noise-stronger", 1) in table["flags"].item()


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
            assert ("fewer-steps-stronger" in kinds(table)) == wanted
            assert attack.steps == steps  # the attack itself stays as it is


class Deaf(nn.Module):
    """The same answer to everything."""

    def forward(self, x):
        return 0 * x.flatten(1)[:, :2] + torch.tensor([1.0, 0])


@pytest.mark.parametrize("name", ["pgd", "fgsm", "deepfool", "hopskipjump", "fourier", "noise"])
def test_flags_for_a_deaf_model(name):
    table = robust_accuracy(Deaf().eval(), GREY, name, [0.1], protocol="minimum")
    assert table["accuracy"].item() == 1
    vanishing, grey = Flag("vanishing-gradients", 1), Flag("survives-grey", 1)
    wanted = {"fourier": (), "noise": (), "hopskipjump": (grey,), "deepfool": (grey, vanishing)}
    assert table["flags"].item() == wanted.get(name, (vanishing, grey))


# A defence ------------------------------------------------------------------------------


def test_the_naive_attack_is_weaker_and_rounding_masks():
    model, test = healthy()
    epsilon = 2 / 255
    filtered, rounded = (FilteredInput(model, 4, rounded=r) for r in (False, True))
    own = answers(filtered, test.images)  # what it can do, not what the label asks
    test = image_set(test.images, own, 10)

    def left(defended, source=None):
        table = robust_accuracy(defended, test, "pgd", [epsilon], source=source, checked=20)
        return table["accuracy"].item(), kinds(table)

    naive, _ = left(filtered, model)
    adaptive, doubts = left(filtered)
    assert naive > adaptive + 0.25
    assert doubts == set()
    masked, doubts = left(rounded)
    assert "vanishing-gradients" in doubts
    assert masked > 0.9
    through, doubts = left(rounded, StraightThrough(rounded))
    assert through < naive - 0.1
    assert "vanishing-gradients" not in doubts


# What low-pass copies say ---------------------------------------------------------------


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


def test_bounds_hold():
    model, test = healthy()
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


# Errors ---------------------------------------------------------------------------------


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


class Silent(nn.Module):
    """Answers NaN to the images that ``which`` tells."""

    def __init__(self, which=lambda x: torch.ones(len(x)).bool()):
        super().__init__()
        self.which, self.inner = which, linear()

    def forward(self, x):
        return torch.where(self.which(x)[:, None], torch.nan, self.inner(x))


@pytest.mark.parametrize("protocol", ["fixed", "minimum"])
@pytest.mark.parametrize("name", ["fgsm", "noise"])
def test_a_network_that_answers_nan_gets_no_robust_accuracy(name, protocol):
    _, made, _, _ = two_classes()
    text = "model must answer with finite logits, got NaN or infinity for 60 of 60 images"
    with pytest.raises(ValueError, match=text):
        robust_accuracy(Silent().eval(), made, name, [0.1], protocol=protocol)
    # Nor does one that does so under attack only.
    bright = Silent(lambda x: x.mean(dim=(1, 2, 3)) > 0.6).eval()
    with pytest.raises(ValueError, match="model must answer with finite logits"):
        robust_accuracy(bright, made, Shift(), [0, 0.3], protocol=protocol, checked=0)


class Blank(FixedEpsilonAttack):
    """Makes some pixels NaN."""

    distance = foolbox.distances.linf

    def run(self, model, inputs, criterion, *, epsilon):
        pixels = inputs.raw.clone()
        pixels[:, 0, 0] = torch.nan
        return foolbox.attacks.base.ep.astensor(pixels)


def test_pixels_that_become_nan_are_undone_and_told():
    model, made, _, _ = two_classes()
    table = robust_accuracy(model, made, Blank(), [0, 0.2], checked=0)
    assert table["flags"].tolist() == [(), (PIXELS,)]
    assert table["accuracy"].tolist() == pytest.approx([accuracy(model, made)] * 2)
    assert perturb(model, made.images, made.labels, Blank(), 0.2).equal(made.images)


@pytest.mark.parametrize("function", ["robust_accuracy", "source", "bounds"])
def test_labels_must_be_classes_of_the_model(function):
    model, (images, labels) = linear(), (noise(5), torch.tensor([0, 1, 2, 1, 0]))
    made = image_set(images, labels, 3)
    ask = {
        "robust_accuracy": lambda: robust_accuracy(model, made, "fgsm", [0.1]),
        "source": lambda: robust_accuracy(linear(3), made, "fgsm", [0.1], source=model),
        "bounds": lambda: low_pass_bound(model, made, [2], [0.1]),
    }
    text = "labels must name classes of model, from 0 to 1, got values from 0 to 2"
    with pytest.raises(ValueError, match=text):
        ask[function]()


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
