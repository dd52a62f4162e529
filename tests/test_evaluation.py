"""``hfc.evaluation``: logits, accuracies, and a sweep whose cells are known beforehand."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hfc import models
from hfc.data import ImageSet
from hfc.evaluation import (
    accuracy,
    component_accuracy,
    is_right,
    logits,
    radius_sweep,
    signature_use,
)
from hfc.frequency import COMPONENTS
from tests.oracles import data as filters
from tests.oracles import evaluation as oracle
from tests.oracles import frequency as slow

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(**settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.build("small", **{"num_classes": 3, "width": 8} | settings)


def noise(n=23, size=16, channels=3, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, channels, size, size, generator=generator)
    labels = torch.randint(classes, (n,), generator=generator)
    return ImageSet(images, labels, tuple("abcdefghij"[:classes]), "noise")


# Logits -----------------------------------------------------------------------------------


def test_logits_are_those_of_the_model_in_evaluation_mode():
    model, images = seeded(dropout=0.5), noise().images
    model(images)  # moves the running statistics off their start
    with torch.no_grad():
        wanted = model.eval()(images)
    model.train()
    found = logits(model, images)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert found.dtype == torch.float32
    assert not found.requires_grad


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 24, 10_000])
def test_batch_size_does_not_matter(batch_size):
    model, images = seeded(), noise().images
    found = logits(model, images, batch_size=batch_size)
    torch.testing.assert_close(found, logits(model, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_logits_leave_the_model_as_it_was(mode, statistics):
    """Every layer by itself: one may be kept in a mode of its own."""
    model = seeded(dropout=0.5).train(mode)
    batchnorm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    batchnorm.train(not mode)
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits(model, noise().images, statistics=statistics)
    assert [module.training for module in model.modules()] == modes
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_logits_leave_the_mode_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model = Broken().train()
    with pytest.raises(ValueError, match=r"model must take images of shape .*: broken"):
        logits(model, noise().images)
    assert model.training


def test_logits_of_nothing():
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        logits(seeded(), torch.rand(0, 3, 8, 8))


class Strange(nn.Module):
    """Answers in whatever way it is told to."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_a_network_that_answers_nan_gets_no_accuracy(value, statistics):
    made = noise()
    bright = made.images.mean(dim=(1, 2, 3)) > 0.5
    count = int(bright.sum())
    assert 0 < count < 23

    def answer(x):
        return torch.where(x.mean(dim=(1, 2, 3))[:, None] > 0.5, value, x[:, :, 0, 0])

    model = Strange(answer).train()
    text = f"model must answer with finite logits, got NaN or infinity for {count} of 23 images"
    for ask in (
        lambda: logits(model, made.images, batch_size=4, statistics=statistics),
        lambda: accuracy(model, made),
        lambda: is_right(model, made.images, made.labels),
        lambda: component_accuracy(model, made, [4], ["low"], statistics=statistics),
        lambda: radius_sweep(model, made, [4]),
    ):
        with pytest.raises(ValueError, match=text):
            ask()
    assert model.training


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda x: x, "(5, classes), got shape (5, 3, 16, 16)"),
        (lambda x: x[:, 0, 0, 0], "(5, classes), got shape (5,)"),
        (lambda x: x[0, :, :, 0], "(5, classes), got shape (3, 16)"),
        (lambda x: (x[:, :, 0, 0], x), "(5, classes), got tuple"),
        (lambda x: {"logits": x[:, :, 0, 0]}, "(5, classes), got dict"),
        (lambda x: None, "(5, classes), got NoneType"),
    ],
)
def test_what_is_no_logits_is_refused(answer, got):
    text = f"model must return logits, a tensor of shape {got}"
    with pytest.raises(ValueError, match=re.escape(text)):
        logits(Strange(answer), noise().images, batch_size=5)


def test_is_right():
    model, made = seeded(), noise()
    settings = {"batch_size": 5, "statistics": "batch"}
    wanted = logits(model, made.images, **settings).argmax(dim=1) == made.labels
    assert is_right(model, made.images, made.labels, **settings).equal(wanted)
    assert wanted.any()
    assert not wanted.all()


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_labels_that_are_no_classes_are_refused(label):
    made = noise()
    labels = made.labels.clone()
    labels[7] = label
    text = f"labels must name classes of model, from 0 to 2, got values from {labels.min()} to {{}}"
    with pytest.raises(ValueError, match=text.format(labels.max())):
        is_right(seeded(), made.images, labels)


def test_accuracy_of_a_model_with_too_few_classes():
    made = noise(classes=10)
    ask = (
        lambda: accuracy(seeded(), made),
        lambda: component_accuracy(seeded(), made, [4], ["low"]),
        lambda: radius_sweep(seeded(), made, [4]),
    )
    for question in ask:
        with pytest.raises(ValueError, match="labels must name classes of model, from 0 to 2, got"):
            question()


class Says(nn.Module):
    """Answers with the number in the first pixel, in tenths."""

    def forward(self, x):
        answer = (x[:, 0, 0, 0] * 10).round().long()
        return nn.functional.one_hot(answer, 10).float()


def test_accuracy():
    images = torch.rand(8, 1, 4, 4)
    images[:, 0, 0, 0] = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7]) / 10
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 0, 0])
    made = ImageSet(images, labels, tuple("abcdefghij"), "digits")
    assert accuracy(Says(), made) == 6 / 8
    assert accuracy(Says(), made.take(labels != 0)) == 1
    assert accuracy(Says(), made.take(slice(6, 8))) == 0


# By the batch's own statistics ------------------------------------------------------------


def used(**settings):
    """A network whose running statistics are off their start."""
    model = seeded(**settings)
    for k in range(3):
        model(3 * noise(seed=k).images)
    return model.eval()


def in_training_mode(model):
    """A copy that normalises by the batch, with dropout off."""
    other = copy.deepcopy(model).train()
    for layer in other.modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    return other


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [4, 10, 500])
def test_batch_statistics_are_those_of_training(batch_size):
    model, images = used(dropout=0.5), noise().images
    wanted = torch.cat([in_training_mode(model)(part) for part in images.split(batch_size)])
    found = logits(model, images, batch_size=batch_size, statistics="batch")
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert (found - logits(model, images, batch_size=batch_size)).abs().max() > 0.1


def memory(model):
    """All that is stored in a model, and where."""
    return [(name, value, value.clone()) for name, value in model.state_dict().items()]


def assert_untouched(model, before):
    assert [name for name, *_ in before] == list(model.state_dict())
    for (_, where, what), value in zip(before, model.state_dict().values(), strict=True):
        assert value.data_ptr() == where.data_ptr()
        assert value.equal(what)


@pytest.mark.parametrize("mode", [True, False])
def test_batch_statistics_are_not_stored(mode):
    model, images = used().train(mode), noise().images
    before, running = memory(model), logits(model, images)
    logits(model, images, statistics="batch", batch_size=5)
    assert_untouched(model, before)
    assert model.training is mode
    assert logits(model, images).equal(running)


def test_running_statistics_come_back_after_an_error():
    class Breaks(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model = nn.Sequential(used(), Breaks()).train()
    before = memory(model)
    with pytest.raises(ValueError, match="broken"):
        logits(model, noise().images, statistics="batch")
    assert_untouched(model, before)
    assert model.training


@pytest.mark.parametrize("norm", [None, "group"])
def test_without_batchnorm_statistics_and_company_do_not_matter(norm):
    model, images, company = seeded(norm=norm), noise().images, noise(seed=1).images
    alone = logits(model, images)
    for beside in (None, company):
        found = logits(model, images, batch_size=6, statistics="batch", beside=beside)
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_company_does_not_matter_to_running_statistics():
    model, images, company = used(), noise().images, noise(seed=1).images
    found = logits(model, images, batch_size=6, beside=company)
    torch.testing.assert_close(found, logits(model, images), atol=1e-5, rtol=1e-5)


class Records(nn.Module):
    """Says the first pixels, and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, x):
        self.shown.append(x.clone())
        return x[:, 0, 0]


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 99))
def test_half_of_each_pass_is_company(n, half, seed):
    images, company = noise(n, 4, seed=seed).images, -noise(n, 4, seed=seed + 100).images
    model = Records()
    found = logits(model, images, batch_size=2 * half, beside=company)
    assert found.equal(images[:, 0, 0])
    assert all(2 <= len(shown) <= 2 * half for shown in model.shown)
    assert all((shown < 0).all(dim=(1, 2, 3)).sum() == len(shown) // 2 for shown in model.shown)
    shown = torch.cat(model.shown)
    negative = (shown < 0).all(dim=(1, 2, 3))
    assert shown[~negative].equal(images)
    assert shown[negative].equal(company)


@torch.no_grad()
def test_company_takes_part_in_the_statistics():
    model, images, company = used(), noise().images, 0.3 * noise(seed=1).images
    wanted = []
    for part, beside in zip(images.split(5), company.split(5), strict=True):
        together = in_training_mode(model)(torch.cat((beside, part)))
        wanted.append(together[len(beside) :])
    found = logits(model, images, batch_size=10, statistics="batch", beside=company)
    torch.testing.assert_close(found, torch.cat(wanted), atol=1e-5, rtol=1e-5)
    alone = logits(model, images, batch_size=10, statistics="batch")
    assert (found - alone).abs().max() > 0.1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"statistics": "Batch"}, 'statistics must be "running" or "batch", got \'Batch\''),
        (
            {"beside": torch.rand(22, 3, 16, 16)},
            "beside must have the shape of images, (23, 3, 16, 16), got (22, 3, 16, 16)",
        ),
        ({"beside": torch.rand(23, 1, 16, 16)}, "(23, 3, 16, 16), got (23, 1, 16, 16)"),
    ],
)
def test_logits_refuses(settings, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        logits(seeded(), noise().images, **settings)


# The sweep --------------------------------------------------------------------------------

HEIGHT = WIDTH = 16
SLOW, FAST = (0, 2), (5, 0)  # two waves, at distances 2 and 5 from DC


def wave(u, v):
    y, x = np.arange(HEIGHT)[:, None] / HEIGHT, np.arange(WIDTH) / WIDTH
    return np.cos(2 * np.pi * (u * y + v * x))


class Reads(nn.Module):
    """Reads the sign of a slow wave, or of a fast one if there is no slow one.

    Class 0: slow, positive. Class 1: slow, negative. Classes 2 and 3: the same of the fast
    wave. Class 4: neither wave is there. Class 5: neither, and the image is bright.
    """

    def forward(self, x):
        slow, fast = (
            (x * torch.from_numpy(wave(*w)).to(x)).sum(dim=(1, 2, 3)) for w in (SLOW, FAST)
        )
        bright = x.mean(dim=(1, 2, 3)) > 0.25
        answer = torch.where(bright, 5, 4)
        answer = torch.where(fast.abs() > 1, 2 + (fast < 0).long(), answer)
        answer = torch.where(slow.abs() > 1, (slow < 0).long(), answer)
        return nn.functional.one_hot(answer, 6).float()


def drawn(slow, fast, brightness=0.5):
    image = brightness + 0.2 * slow * wave(*SLOW) + 0.2 * fast * wave(*FAST)
    return torch.from_numpy(image.clip(0, 1)).float()[None]


def test_sweep_of_known_images():
    cases = [  # slow, fast, label
        (+1, +1, 0),  # right on the image and on its LFC, its HFC says 2
        (+1, +1, 2),  # right on its HFC only
        (-1, +1, 2),  # the same
        (0, -1, 3),  # right on the image and on its HFC; its LFC is bright grey: 5
        (0, 0, 5),  # right on the image and on its LFC; its HFC is black: 4
        (-1, -1, 5),  # wrong everywhere
    ]
    images = torch.stack([drawn(slow, fast) for slow, fast, _ in cases])
    labels = torch.tensor([label for *_, label in cases])
    made = ImageSet(images, labels, tuple("abcdef"), "waves")
    mean = torch.full((1, 1, 1), 0.5)
    table = radius_sweep(Reads(), made, [1, 3, 8, 23], mean=mean)

    assert table.index.names == ["copies", "radius"]
    assert table.index.tolist() == [(c, r) for c in ("raw", "mean added") for r in (1, 3, 8, 23)]
    # Between the two waves: answers to HFC 2, 2, 2, 3, 4, 3.
    assert table.loc[("raw", 3)].to_dict() == {
        "n": 6,
        "original": 3,
        "only_low": 2,
        "only_high": 3,
        "both": 0,
        "neither": 1,
        "only_low_and_original": 2,
        "only_high_and_original": 1,
        "high_constant": 2,  # two images are of class 2
        "high_top_share": pytest.approx(3 / 6),
        "only_high_independent": pytest.approx(3 * 4 / 6),
    }
    # With the mean back the HFC of the grey image is grey again, and right.
    added = table.loc[("mean added", 3)]
    assert added[["only_low", "only_high", "both", "neither"]].tolist() == [1, 3, 1, 1]
    # Inside both waves the LFC copy is the mean alone: 5 everywhere.
    assert table.loc[("raw", 1)][["only_low", "both"]].tolist() == [2, 0]
    # Outside both, and where nothing is left outside, the LFC copy is the image.
    for radius in (8, 23):
        row = table.loc[("raw", radius)]
        assert row["only_low"] + row["both"] == row["original"] == 3
        assert row["high_top_share"] == 1  # every HFC copy is black: 4
        assert row["high_constant"] == 0
        row = table.loc[("mean added", radius)]
        assert row["high_top_share"] == 1  # every copy is grey: 5
        assert row["high_constant"] == 2


class Linear(nn.Module):
    """Some weights, the same for everybody who asks."""

    def __init__(self, inputs, classes):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(classes, inputs, generator=generator)

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


@settings(max_examples=20)
@given(
    st.integers(1, 40), st.integers(4, 9), st.integers(1, 5), st.floats(0, 8), st.integers(0, 99)
)
def test_sweep_against_counting(n, size, classes, radius, seed):
    made = noise(n, size, 2, classes, seed)
    model, mean = Linear(2 * size * size, classes), made.mean_colour
    table = radius_sweep(model, made, [radius], mean=mean)
    pixels = made.images.double().numpy()
    low = filters.low(pixels, radius)
    copies = {"raw": pixels - low, "mean added": pixels - low + mean.double().numpy()}
    weight = model.weight.double().numpy()

    scores = [x.reshape(n, -1) @ weight.T for x in (pixels, low, *copies.values())]
    top_two = np.sort(np.concatenate(scores), axis=1)[:, -2:]
    if classes > 1 and (np.diff(top_two) < 1e-4).any():
        return  # too close to call in float32
    original, low_answers, *high_answers = (s.argmax(axis=1) for s in scores)
    for name, answers in zip(copies, high_answers, strict=True):
        wanted = oracle.compare(made.labels.tolist(), original, low_answers, answers.tolist())
        row = table.loc[(name, radius)].to_dict()
        assert row == pytest.approx(wanted, rel=1e-5)
        assert row["only_low"] + row["only_high"] + row["both"] + row["neither"] == n
        assert row["only_low_and_original"] <= min(row["only_low"], row["original"])


def test_mean_added_adds_the_mean_and_nothing_else():
    shown = []

    class Watches(nn.Module):
        def forward(self, x):
            shown.append(x.clone())
            return torch.zeros(len(x), 3)

    made, mean = noise(), torch.tensor([0.25, 0.5, 1.0])[:, None, None]
    radius_sweep(Watches(), made, [4], mean=mean)
    images, low, high, high_and_mean = shown
    assert images.equal(made.images)
    assert high_and_mean.equal(high + mean)
    torch.testing.assert_close(low + high, images)
    torch.testing.assert_close(high.mean(dim=(2, 3)), torch.zeros(23, 3), atol=1e-6, rtol=0)


def test_copies_are_raw_only_without_a_mean():
    table = radius_sweep(seeded(), noise(), [2, 0.5])
    assert table.index.tolist() == [("raw", 2.0), ("raw", 0.5)]


def test_whole_numbers_are_counts():
    table = radius_sweep(seeded(), noise(), (2,))
    shares = {"high_top_share", "only_high_independent"}
    assert {name for name in table if table[name].dtype != np.int64} == shares


@pytest.mark.parametrize(
    ("radii", "text"),
    [
        ([], "radii must hold at least one radius, got none"),
        ([4, -1], "radius must be a number >= 0"),
        ([math.nan], "radius must be a number >= 0"),
    ],
)
def test_sweep_refuses(radii, text):
    with pytest.raises(ValueError, match=text):
        radius_sweep(seeded(), noise(), radii)


# Components -------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    st.integers(1, 12), st.integers(4, 8), st.integers(2, 5), st.floats(0, 8),
    st.lists(st.sampled_from(COMPONENTS), unique=True), st.integers(0, 99),
)  # fmt: skip
def test_component_accuracy_against_counting(n, size, classes, radius, components, seed):
    made = noise(n, size, 2, classes, seed)
    model, mean = Linear(2 * size * size, classes), made.mean_colour
    table = component_accuracy(model, made, [radius], components, mean=mean)
    pixels = made.images.double().numpy()
    copies = {c: slow.copies(pixels, c, radius, mean.flatten().tolist()) for c in components}
    weight = model.weight.double().numpy()

    def by_hand(image):
        return weight @ image.reshape(-1)

    scores = [by_hand(image) for shown in (pixels, *copies.values()) for image in shown]
    top_two = np.sort(scores, axis=1)[:, -2:]
    faint = any(np.abs(shown).max() < 1e-3 for shown in copies.values())  # nothing is left
    if faint or (np.diff(top_two) < 1e-3).any():
        return  # too close to call in float32
    wanted = oracle.shares(by_hand, pixels, copies, made.labels.tolist())
    assert table.loc[radius].to_dict() == pytest.approx(wanted)
    assert list(table) == ["original", *components]
    assert table.index.name == "radius"


def test_each_radius_has_a_row_of_its_own():
    model, made = used(), noise(60)
    table = component_accuracy(model, made, (8, 0, 2.5), ("low", "high"))
    assert table.index.tolist() == [8, 0, 2.5]
    assert table["original"].tolist() == [accuracy(model, made)] * 3
    for radius, row in table.iterrows():
        sweep = radius_sweep(model, made, [radius]).loc[("raw", radius)]
        assert row["low"] == pytest.approx((sweep["only_low"] + sweep["both"]) / 60)
        assert row["high"] == pytest.approx((sweep["only_high"] + sweep["both"]) / 60)


class Spied(nn.Module):
    """A model, and the batches that it was shown."""

    def __init__(self, model):
        super().__init__()
        self.model, self.shown = model, []

    def forward(self, x):
        self.shown.append(x.clone())
        return self.model(x)


def rows_of(images):
    return [image.contiguous().numpy().tobytes() for image in images]


def test_half_of_each_mixed_batch_are_originals():
    made, model = noise(40), Spied(used())
    component_accuracy(model, made, [3], ["high"], mixed=True, batch_size=10)
    originals = rows_of(made.images)
    assert torch.cat(model.shown[:4]).equal(made.images)  # on the images themselves: alone
    company = []
    for shown in model.shown[4:]:
        assert len(shown) == 10
        known = [row for row in rows_of(shown) if row in originals]
        assert len(known) == 5
        company += known
    assert sorted(company) == sorted(originals)  # each is company once


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_component_accuracy_is_asked_the_same_way(statistics, mixed):
    made, model = noise(60), Spied(used())
    table = component_accuracy(
        model, made, [3], ["low"], mixed=mixed, statistics=statistics, batch_size=20
    )
    assert len(model.shown) == 3 + (6 if mixed else 3)
    reference = in_training_mode(model.model) if statistics == "batch" else model.model.eval()
    originals = rows_of(made.images)
    with torch.no_grad():
        right = []
        for shown in model.shown[3:]:
            copies = [k for k, row in enumerate(rows_of(shown)) if row not in originals]
            right.append(reference(shown)[copies].argmax(dim=1))
    assert table.loc[3, "low"] == pytest.approx(
        (torch.cat(right) == made.labels).float().mean().item()
    )


@pytest.mark.parametrize(
    ("radii", "components", "settings", "text"),
    [
        ([], ["low"], {}, "radii must hold at least one radius, got none"),
        ([4, -1], ["low"], {}, "radius must be a number >= 0"),
        ([4], ["middle"], {}, "name must be one of low, high, high + mean, low, scaled, high, s"),
        ([4], ["high + mean"], {}, 'mean must be given for "high + mean", got None'),
        ([4], ["low"], {"statistics": "own"}, 'statistics must be "running" or "batch", got \'own'),
    ],
)
def test_component_accuracy_refuses(radii, components, settings, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        component_accuracy(seeded(), noise(), radii, components, **settings)


# The signature ----------------------------------------------------------------------------


def signed(labels, signature):
    """Images whose first two pixels tell the label and the signature, in tenths."""
    labels, signature = torch.tensor(labels), torch.tensor(signature)
    images = torch.zeros(len(labels), 1, 4, 4)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = labels / 10, signature / 10
    return ImageSet(images, labels, tuple("abcdefghij"), "signed", signature)


class SaysSignature(nn.Module):
    def forward(self, x):
        return Says()(x[:, :, 1:])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_signature_use(pairs):
    made = signed(*zip(*[*pairs, (3, 4)], strict=True))
    assert signature_use(SaysSignature(), made) == 1
    assert signature_use(Says(), made) == 0
    # One that always gives the same answer follows by chance.
    always = nn.Sequential(SaysSignature(), Constant(7))
    lying = [name for label, name in [*pairs, (3, 4)] if label != name]
    assert signature_use(always, made) == pytest.approx(lying.count(7) / len(lying))


class Constant(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return torch.eye(10)[self.answer].expand(len(x), 10)


@pytest.mark.parametrize("made", [noise(classes=10), signed([1, 2], [1, 2])])
def test_signature_use_refuses(made):
    with pytest.raises(ValueError, match="data must have a signature that names wrong classes to"):
        signature_use(Says(), made)


def test_company_needs_an_even_batch_size():
    images = torch.rand(9, 3, 8, 8)
    with pytest.raises(ValueError, match="batch_size must be even with beside, got 5"):
        logits(torch.nn.Flatten(), images, batch_size=5, beside=images)
