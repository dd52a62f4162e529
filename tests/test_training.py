"""``hfc.training``: what a recipe does, and that a training can be stopped at any moment."""

import dataclasses
import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from hfc import data, models
from hfc.data import ImageSet
from hfc.evaluation import accuracy
from hfc.kernels import first_kernels, roughness
from hfc.training import Recipe, fit
from hfc.wrappers import OnComponent
from tests.oracles import kernels as kernels_oracle
from tests.oracles import training as oracle

pytestmark = pytest.mark.usefixtures("one_thread")


def images_of_noise(n=60, size=8, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, size, size, generator=generator)
    labels = torch.randint(classes, (n,), generator=generator)
    return ImageSet(images, labels, tuple("abcdefghij"[:classes]), "noise")


def seeded(seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build("small", **{"num_classes": 3, "width": 8} | settings)


def bits(model):
    return b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())


def untimed(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


# Everything that is random: order, shift, mirroring, dropout, attacks and blends.
RANDOM = Recipe(
    epochs=4,
    batch_size=16,
    shift=2,
    flip=True,
    label_smoothing=0.1,
    mixup=0.4,
    adversarial=0.1,
    attack_steps=1,
)


def trained(recipe=RANDOM, made=None, **settings):
    model = seeded(dropout=0.5)
    history = fit(model, made or images_of_noise(), recipe, progress=False, **settings)
    return bits(model), untimed(history)


# What a recipe does -----------------------------------------------------------------------


# For models whose training is repeated by hand, also on machines that compute in bfloat16.
FULL_PRECISION = torch.autocast("cpu", enabled=False)


class Recorded(nn.Module):
    """A linear layer that remembers the batches it was trained on, and its weights then."""

    def __init__(self, inputs, classes):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(inputs, classes)
        self.seen, self.weights, self.attacks = [], [], 0

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
            self.weights.append(self.linear.weight.detach().clone())
        else:
            self.attacks += 1
        with FULL_PRECISION:
            return self.linear(x.flatten(1))

    @property
    def parts(self):
        """Weight and bias as float32 arrays."""
        return [p.detach().numpy().copy() for p in (self.linear.weight, self.linear.bias)]


RECIPES = [
    Recipe(epochs=3, batch_size=8, lr=0.05),
    Recipe(epochs=3, batch_size=8, lr=0.05, schedule="constant", weight_decay=0.1),
    Recipe(epochs=2, batch_size=5, lr=0.2, label_smoothing=0.3, weight_decay=0.0),
    Recipe(epochs=3, batch_size=8, lr=0.01, optimizer="adam", weight_decay=0.1),
    Recipe(epochs=2, batch_size=13, lr=0.01, optimizer="adam", schedule="constant"),
    Recipe(epochs=3, batch_size=8, lr=0.05, optimizer="adagrad", weight_decay=0.1),
    Recipe(epochs=3, batch_size=8, lr=1.0, optimizer="adadelta", weight_decay=0.1),
    Recipe(epochs=3, batch_size=8, lr=0.01, optimizer="rmsprop", weight_decay=0.1),
    Recipe(epochs=3, batch_size=8, lr=0.05, gradient_clip=0.3, weight_decay=0.5),
    Recipe(epochs=3, batch_size=8, lr=0.05, gradient_clip=0.01, schedule="constant"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.optimizer}-{r.schedule}")
def test_training_by_hand(recipe):
    made, steps = images_of_noise(50, size=2), 50 // recipe.batch_size
    model = Recorded(12, 3)
    start = model.parts
    history = fit(model, made, recipe, progress=False)

    # Each epoch shows every image at most once, in whole batches and in an order of its own.
    place = {image.numpy().tobytes(): n for n, image in enumerate(made.images)}
    order = [[place[x.contiguous().numpy().tobytes()] for x in batch] for batch in model.seen]
    assert {len(batch) for batch in order} == {recipe.batch_size}
    epochs = np.array(order).reshape(recipe.epochs, -1).tolist()
    assert all(len(set(epoch)) == steps * recipe.batch_size for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == recipe.epochs

    pixels, labels = made.images.double().flatten(1).numpy(), made.labels.numpy()
    batches = [(pixels[batch], labels[batch]) for batch in order]
    wanted, seen = oracle.train(*start, batches, recipe)
    np.testing.assert_allclose(model.parts[0], wanted[0], rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(model.parts[1], wanted[1], rtol=2e-3, atol=2e-5)
    for k, row in enumerate(history.rows):
        losses, hits = zip(*seen[k * steps : (k + 1) * steps], strict=True)
        assert row["epoch"] == k + 1
        assert row["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
        assert row["train_accuracy"] == pytest.approx(sum(hits) / (steps * recipe.batch_size))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_label_smoothing_is_that_of_torch(smoothing):
    logits = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(4, (9,))
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    loss.backward()
    by_hand = oracle.loss_and_gradient(logits.detach().numpy(), labels.numpy(), smoothing)
    assert loss.item() == pytest.approx(by_hand[0])
    np.testing.assert_allclose(logits.grad, by_hand[1], atol=1e-12)


def test_schedule_rises_for_a_quarter_and_falls_to_zero():
    rates = []

    def watch(optimizer, *_):
        rates.extend({group["lr"] for group in optimizer.param_groups})

    hook = register_optimizer_step_pre_hook(watch)
    try:
        fit(seeded(), images_of_noise(), Recipe(epochs=10, batch_size=15, lr=0.1), progress=False)
    finally:
        hook.remove()
    assert len(rates) == 40  # one rate for all parameters
    assert np.argmax(rates) in (9, 10)
    assert 0.09 < max(rates) <= 0.1
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[0] == pytest.approx(0.1 * 0.5 / 10)
    assert rates[-1] == pytest.approx(0.1 * 0.5 / 30)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "adadelta", "rmsprop"])
def test_only_weights_decay(optimizer):
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.ones(2, 3, 1, 1))
            self.matrix = nn.Parameter(torch.ones(3, 3))
            self.bias, self.scale = (nn.Parameter(torch.ones(3)) for _ in range(2))

        def forward(self, x):
            every = sum(p.sum() for p in self.parameters())
            return torch.zeros(len(x), 3) + 0 * every

    model = Idle()
    lr = 10 if optimizer == "adadelta" else 0.1  # it starts with tiny steps
    recipe = Recipe(epochs=2, batch_size=20, optimizer=optimizer, lr=lr, weight_decay=0.5)
    fit(model, images_of_noise(), recipe, progress=False)
    assert (model.kernel < 0.95).all()
    assert (model.matrix < 0.95).all()
    assert (model.bias == 1).all()
    assert (model.scale == 1).all()


def test_augmentation_is_used():
    shown = []

    def recording(**changes):
        model = Recorded(192, 3)
        fit(model, images_of_noise(), Recipe(1, batch_size=20, **changes), progress=False)
        shown.append(torch.cat(model.seen))

    recording()
    recording(flip=True)
    recording(shift=1)
    plain, flipped, shifted = shown  # the order is the same
    same = (flipped == plain).all(dim=(1, 2, 3))
    mirrored = (flipped == plain.flip(-1)).all(dim=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 10 < mirrored.sum() < 50
    assert 0 < (shifted == plain).all(dim=(1, 2, 3)).sum() < 30


def test_clipping_limits_the_first_step():
    """From rest Nesterov's step is 1.9 times the gradient, which is as long as it may be."""
    made = images_of_noise(16, size=2)
    for longest in (0.25, 0.01):
        model = Recorded(12, 3)
        start = model.parts
        recipe = Recipe(
            1, batch_size=16, lr=0.5, schedule="constant", weight_decay=0, gradient_clip=longest
        )
        fit(model, made, recipe, progress=False)
        moved = [after - before for before, after in zip(start, model.parts, strict=True)]
        length = sum((part.astype(np.float64) ** 2).sum() for part in moved) ** 0.5
        assert length == pytest.approx(0.5 * 1.9 * longest, rel=1e-3)


def test_gradients_that_are_short_enough_stay():
    results = []
    for longest in (None, 1e6, 1e-3):
        results.append(trained(dataclasses.replace(RANDOM, gradient_clip=longest)))
    assert results[0] == results[1]
    assert results[0] != results[2]


# Smooth kernels ---------------------------------------------------------------------------


class Covering(nn.Module):
    """A linear model whose weight is made of kernels, as large as the image."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.kernels = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        with FULL_PRECISION:
            return self.kernels(x).flatten(1)


SMOOTH = [
    Recipe(3, batch_size=24, lr=0.2, smoothness=0.05),
    Recipe(3, batch_size=24, lr=0.1, smoothness=0.3, weight_decay=0.2, label_smoothing=0.1),
    Recipe(3, batch_size=24, lr=0.1, smoothness=0.3, gradient_clip=0.5),
    Recipe(4, batch_size=24, lr=0.01, smoothness=2.0, optimizer="adam", schedule="constant"),
]


@pytest.mark.parametrize("recipe", SMOOTH, ids=lambda r: f"{r.optimizer}-{r.smoothness}")
def test_training_for_smooth_kernels_by_hand(recipe):
    """One batch is all images, so that their order does not count."""
    made, model = images_of_noise(24, size=3), Covering()
    weight = model.kernels.weight.detach().double().numpy().copy()
    bias = model.kernels.bias.detach().double().numpy().copy()
    history = fit(model, made, recipe, progress=False)

    pixels, labels = made.images.double().flatten(1).numpy(), made.labels.numpy()
    steppers = [oracle.Stepper(weight), oracle.Stepper(bias)]
    for step, row in enumerate(history.rows):
        logits = pixels @ weight.reshape(3, -1).T + bias
        loss, back = oracle.loss_and_gradient(logits, labels, recipe.label_smoothing)
        assert row["loss"] == pytest.approx(loss, rel=1e-4)  # the penalty is not in it
        *_, rough = kernels_oracle.roughness(weight)
        gradients = [(back.T @ pixels).reshape(weight.shape), back.sum(axis=0)]
        gradients[0] = gradients[0] + recipe.smoothness * rough
        if recipe.gradient_clip is not None:
            gradients = oracle.clipped(gradients, recipe.gradient_clip)
        gradients[0] = gradients[0] + recipe.weight_decay * weight
        lr = recipe.lr * oracle.rate(step, recipe.epochs, recipe.schedule)
        weight = weight - lr * steppers[0](recipe.optimizer, gradients[0])
        bias = bias - lr * steppers[1](recipe.optimizer, gradients[1])
    np.testing.assert_allclose(model.kernels.weight.detach(), weight, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(model.kernels.bias.detach(), bias, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("norm", ["batch", None])
def test_smoothness_makes_smooth_kernels(norm):
    made, found = data.load("synthetic", "train", size=300), []
    for smoothness in (0.0, 0.01, 0.1):
        model = seeded(num_classes=10, norm=norm)
        recipe = Recipe(3, batch_size=30, lr=0.03, smoothness=smoothness)
        fit(model, made, recipe, progress=False)
        kernels = first_kernels(model)
        found.append(
            (roughness(kernels).mean().item(), roughness(kernels, relative=False).sum().item())
        )
    relative, raw = zip(*found, strict=True)
    assert relative[2] < 0.8 * relative[1] < 0.8 * relative[0]
    assert raw[2] < 0.5 * raw[0]


def test_the_kernels_of_a_wrapped_network_become_smooth():
    found = []
    for smoothness in (0.0, 0.5):
        wrapped = OnComponent(seeded(), "low", 4)
        recipe = Recipe(5, batch_size=20, smoothness=smoothness)
        fit(wrapped, images_of_noise(), recipe, progress=False)
        found.append(roughness(first_kernels(wrapped.model)).mean().item())
    assert found[1] < found[0] / 2


def test_smoothness_needs_kernels(tmp_path):
    model, path = Recorded(192, 3), tmp_path / "training.pt"
    start = bits(model)
    text = "model must have a Conv2d layer, but this Recorded has none"
    with pytest.raises(ValueError, match=text):
        fit(model, images_of_noise(), Recipe(1, smoothness=0.1, batch_size=20), resume=path)
    assert model.seen == []
    assert bits(model) == start
    assert not path.exists()


def test_a_penalty_that_overflows_stops_the_training(tmp_path):
    """Also in the very last step, of which the cross-entropy does not know."""
    recipe, path = Recipe(1, batch_size=60, smoothness=1e38), tmp_path / "training.pt"
    with pytest.raises(FloatingPointError, match="the loss became inf at step 1 of epoch 1"):
        fit(seeded(), images_of_noise(), recipe, resume=path, progress=False)
    assert not path.exists()


# Blended and attacked images --------------------------------------------------------------


def images_with_names(n=24, classes=3):
    """Image k is white at its k-th pixel only, so that a blend tells what is in it."""
    images = torch.eye(48)[:n].reshape(n, 3, 4, 4)
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(0))
    return ImageSet(images, labels, tuple("abcdefghij"[:classes]), "names")


@pytest.mark.parametrize("smoothing", [0, 0.2])
def test_training_on_blends_by_hand(smoothing):
    made = images_with_names()
    recipe = Recipe(4, batch_size=8, lr=0.5, label_smoothing=smoothing, mixup=0.7)
    model = Recorded(48, 3)
    start = model.parts
    history = fit(model, made, recipe, progress=False)
    assert len(model.seen) == 4 * 3
    batches = []
    for shown in model.seen:
        shares = shown.flatten(1).double().numpy()[:, :24]  # of each image in each blend
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        targets = np.zeros((8, 3))
        for n, label in enumerate(made.labels.tolist()):
            targets[:, label] += shares[:, n]
        batches.append((shown.flatten(1).double().numpy(), targets))
    assert sum(((x > 0).sum(axis=1) == 2).sum() for x, _ in batches) > 48  # of 96: true blends
    assert len({round(x.max(initial=0, where=x < 1), 4) for x, _ in batches}) > 9  # of 12 shares
    wanted, seen = oracle.train(*start, batches, recipe)
    np.testing.assert_allclose(model.parts[0], wanted[0], rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(model.parts[1], wanted[1], rtol=2e-3, atol=2e-5)
    for k, row in enumerate(history.rows):
        losses, hits = zip(*seen[3 * k : 3 * k + 3], strict=True)
        assert row["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
        assert row["train_accuracy"] == pytest.approx(sum(hits) / 24)


def shown(made, classes=3, **changes):
    """The model after an epoch; its order is the same whatever the recipe."""
    model = Recorded(made.images[0].numel(), classes)
    fit(model, made, Recipe(1, **{"batch_size": 8, "lr": 0.3} | changes), progress=False)
    return model


@pytest.mark.parametrize("steps", [1, 4])
def test_training_on_attacked_images(steps):
    """With two classes and a linear model an attack ends in a corner of the ball."""
    made, epsilon = images_of_noise(40, classes=2, size=4), 0.125
    plain = shown(made, classes=2)
    model = shown(made, classes=2, adversarial=epsilon, attack_steps=steps)
    assert plain.attacks == 0
    assert model.attacks == 5 * steps
    place = {image.numpy().tobytes(): n for n, image in enumerate(made.images)}
    for images, attacked, weight in zip(plain.seen, model.seen, model.weights, strict=True):
        change = (attacked - images).abs()
        assert change.max() <= epsilon + 1e-6
        assert change.mean() > epsilon / 2
        labels = made.labels[[place[x.contiguous().numpy().tobytes()] for x in images]]
        towards = (weight[1 - labels] - weight[labels]).sign().reshape(images.shape)
        corner = (images + epsilon * towards).clamp(0, 1)
        torch.testing.assert_close(attacked, corner, atol=1e-6, rtol=0)


def test_training_on_blends_of_attacked_images():
    made, epsilon = images_of_noise(40, classes=2, size=4), 0.125
    plain = shown(made, classes=2)
    model = shown(made, classes=2, adversarial=epsilon, attack_steps=2, mixup=1e6)
    assert model.attacks == 5 * 2  # the attack comes first
    for images, mixed in zip(plain.seen, model.seen, strict=True):
        # Each is half one image and half another (or all of one), both within epsilon.
        halves = (images[:, None] + images[None]) / 2
        far = (mixed[:, None, None] - halves[None]).abs().amax(dim=(3, 4, 5)).flatten(1)
        assert far.min(dim=1).values.max() <= epsilon + 0.01
        assert far.min(dim=1).values.min() > epsilon / 4


class Knows(nn.Module):
    """Tells each image by its name, and has nothing to learn."""

    def __init__(self, labels):
        super().__init__()
        self.labels, self.idle = labels, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        names = x.flatten(1).argmax(dim=1)
        return 9.0 * nn.functional.one_hot(self.labels[names], 10) + self.idle


def test_labels_stay_with_their_images():
    """Training neither changes a set nor draws labels anew: shuffled once is shuffled for good."""
    made = data.shuffle_labels(images_with_names(classes=10), 0.5, seed=1)
    before = made.images.clone(), made.labels.clone()
    history = fit(Knows(made.labels), made, Recipe(5, batch_size=8), progress=False)
    assert made.images.equal(before[0])
    assert made.labels.equal(before[1])
    assert [row["train_accuracy"] for row in history.rows] == [1] * 5


@pytest.mark.slow
def test_learns():
    train_set, test_set = (
        data.load("synthetic", split, size=size) for split, size in (("train", 1500), ("test", 500))
    )
    model = seeded(num_classes=10, width=24)
    history = fit(model, train_set, Recipe(epochs=4, batch_size=50), progress=False)
    table = history.table
    assert table.index.tolist() == [1, 2, 3, 4]
    assert table["loss"].is_monotonic_decreasing
    assert table["train_accuracy"].iloc[-1] > 0.4
    assert accuracy(model, test_set) > 0.4  # chance is 0.1
    assert model.training


# Randomness -------------------------------------------------------------------------------


def test_seed_decides_everything():
    state = torch.get_rng_state()
    weights, rows = trained()
    assert torch.get_rng_state().equal(state)  # torch's global stream is not touched,
    torch.rand(3)
    assert trained() == (weights, rows)  # and plays no part
    others = [
        trained(dataclasses.replace(RANDOM, seed=1)),
        trained(dataclasses.replace(RANDOM, shift=1)),
        trained(dataclasses.replace(RANDOM, flip=False)),
        trained(dataclasses.replace(RANDOM, mixup=0)),
        trained(dataclasses.replace(RANDOM, adversarial=0)),
        trained(dataclasses.replace(RANDOM, attack_steps=2)),
        trained(dataclasses.replace(RANDOM, smoothness=0.1)),
        trained(made=images_of_noise(seed=1)),
    ]
    assert len({weights, *(other[0] for other in others)}) == 9


def test_dropout_follows_the_seed():
    made, recipe = images_of_noise(16), Recipe(epochs=2, batch_size=16)
    found = []
    for dropout in (0.5, 0.5, 0.0):
        model = seeded(dropout=dropout)
        fit(model, made, recipe, progress=False)
        found.append(bits(model))
    assert found[0] == found[1] != found[2]


def test_probes():
    called = []

    def probe(model, epoch):
        called.append(bits(model))
        assert epoch == len(called)
        model.eval()
        torch.rand(5)  # a probe may leave traces; the training does not see them
        return {"probed": len(called), "accuracy": accuracy(model, images_of_noise())}

    plain_weights, plain_rows = trained()
    weights, rows = trained(probes=[probe, lambda model, epoch: {"other": -1.5}])
    assert weights == plain_weights == called[-1]
    assert len(set(called)) == RANDOM.epochs
    assert [row["probed"] for row in rows] == [1, 2, 3, 4]
    assert {row["other"] for row in rows} == {-1.5}
    assert all(0 <= row["accuracy"] <= 1 for row in rows)
    names = plain_rows[0].keys()
    assert [{k: row[k] for k in names} for row in rows] == plain_rows


def test_progress_is_shown_unless_hidden(capfd, monkeypatch):
    def shown(**settings):
        fit(seeded(), images_of_noise(), Recipe(1, batch_size=20), **settings)
        out, err = capfd.readouterr()
        assert not out
        return err

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert "training on noise" in shown()
    assert not shown(progress=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert not shown()


# Stopping and resuming --------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed():
    return trained()


@pytest.fixture
def stopped(tmp_path):
    """A checkpoint of a training that was stopped in its third epoch."""

    def stop(model, epoch):
        stop.left -= 1
        if stop.left == 0:
            raise KeyboardInterrupt
        return {}

    stop.left, path = 3, tmp_path / "deep" / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        trained(resume=path, probes=[stop])
    return path


def test_resume(stopped, undisturbed):
    epochs = []

    def probe(model, epoch):
        epochs.append(epoch)
        return {}

    assert trained(resume=stopped, probes=[probe]) == undisturbed
    assert epochs == [3, 4]
    # And once more, with nothing left to do.
    assert trained(resume=stopped, probes=[probe]) == undisturbed
    assert epochs == [3, 4]
    assert list(stopped.parent.iterdir()) == [stopped]


def test_what_probes_said_is_kept(tmp_path):
    stops = [2, 4]

    def probe(model, epoch):
        if stops and epoch == stops[0]:
            raise KeyboardInterrupt
        return {"records": [{"epoch": epoch, "share": epoch / 7, "of": "test"}] * (epoch % 2)}

    while stops:
        with pytest.raises(KeyboardInterrupt):
            trained(probes=[probe], resume=tmp_path / "training.pt")
        del stops[0]
    _, wanted = trained(probes=[probe])
    assert trained(probes=[probe], resume=tmp_path / "training.pt")[1] == wanted
    assert [len(row["records"]) for row in wanted] == [1, 0, 1, 0]


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "adadelta", "rmsprop"])
def test_resume_with_each_optimizer(optimizer, tmp_path):
    recipe = dataclasses.replace(RANDOM, epochs=3, optimizer=optimizer, lr=0.02, gradient_clip=1)

    def stop(model, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        trained(recipe, resume=tmp_path / "training.pt", probes=[stop])
    assert trained(recipe, resume=tmp_path / "training.pt") == trained(recipe)


def test_checkpoints_change_nothing(undisturbed, tmp_path):
    assert trained(resume=tmp_path / "new.pt") == undisturbed


@pytest.mark.parametrize(
    ("changes", "made", "different"),
    [
        ({"lr": 0.05}, None, "lr"),
        ({"seed": 1}, None, "seed"),
        ({"epochs": 5, "flip": False}, None, "epochs, flip"),
        ({"mixup": 0.5, "gradient_clip": 1}, None, "gradient_clip, mixup"),
        ({"adversarial": 0.2, "attack_steps": 2}, None, "adversarial, attack_steps"),
        ({"smoothness": 0.01}, None, "smoothness"),
        ({}, images_of_noise(seed=1), "data set"),
    ],
)
def test_checkpoint_of_another_training_is_refused(changes, made, different, stopped):
    before = stopped.read_bytes()
    text = f"resume: {stopped} is of another training (different {different})"
    with pytest.raises(ValueError, match=re.escape(text)):
        trained(dataclasses.replace(RANDOM, **changes), made, resume=stopped)
    assert stopped.read_bytes() == before


def test_checkpoint_of_an_older_recipe_is_refused(stopped, monkeypatch):
    """One that has no value yet for a field that came later."""

    @dataclasses.dataclass(frozen=True)
    class Later(Recipe):
        cutout: int = 0

    with pytest.raises(ValueError, match=r"of another training \(different cutout\)"):
        trained(Later(**dataclasses.asdict(RANDOM)), resume=stopped)


def flipped(content, share):
    changed = bytearray(content)
    changed[int(share * len(changed))] ^= 0x10
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: bytes(len(content)),
        lambda content: b"something else entirely",
        *(lambda content, s=s: flipped(content, s) for s in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999)),
    ],
)
def test_damaged_checkpoint(damage, stopped, undisturbed):
    stopped.write_bytes(damage(stopped.read_bytes()))
    text = f"resume: {stopped} is damaged (its checksum does not match); starting afresh"
    with pytest.warns(UserWarning, match=re.escape(text)):
        found = trained(resume=stopped)
    assert found == undisturbed
    assert trained(resume=stopped) == undisturbed  # whole again


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state["model"].popitem(),
        lambda state: state["optimizer"].clear(),
        lambda state: state.pop("rows"),
        lambda state: state["rows"].pop(0),
        lambda state: state.update(rows=[1, 2]),
        lambda state: state.update(rows={}),
        lambda state: state.update(rows=[{"epoch": 1}, {"epoch": 2}]),
        lambda state: state["rows"].extend({**state["rows"][0], "epoch": k} for k in range(3, 99)),
        lambda state: state["optimizer"]["param_groups"][0].pop("momentum"),
        lambda state: next(iter(state["optimizer"]["state"].values())).update(
            momentum_buffer=torch.zeros(2, 3)
        ),
        lambda state: [
            weight.fill_(float("nan"))
            for weight in state["model"].values()
            if weight.is_floating_point()
        ],
        lambda state: state.update(identity="mine"),
    ],
)
def test_checkpoint_that_is_sealed_but_malformed(spoil, stopped, undisturbed):
    state = torch.load(io.BytesIO(stopped.read_bytes()[32:]), weights_only=True)
    spoil(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    stopped.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    with pytest.warns(UserWarning, match=re.escape(f"resume: {stopped} is damaged")):
        assert trained(resume=stopped) == undisturbed


@pytest.mark.parametrize("lr", [np.float32(0.1), np.float64(0.1), torch.tensor(0.1), 1])
def test_numbers_of_any_kind_can_be_resumed(lr, tmp_path):
    recipe = dataclasses.replace(RANDOM, lr=lr)
    assert type(recipe.lr) is float
    first = trained(recipe, resume=tmp_path / "training.pt")
    assert trained(recipe, resume=tmp_path / "training.pt") == first  # no warning: warnings fail


KILLED = """
import hashlib, json, sys
from pathlib import Path
from tests import test_training as t
from tests.kills import finish, load_all_of_torch, until_done

load_all_of_torch()
folder = Path(sys.argv[1])
recipe = t.dataclasses.replace(t.RANDOM, epochs=30)

def work(name):
    weights, rows = t.trained(recipe, resume=folder / f"{name}.pt")
    outcome = {"weights": hashlib.sha256(weights).hexdigest(), "rows": rows}
    (folder / f"{name}.json").write_text(json.dumps(outcome))

finish(lambda: work("undisturbed"))
print([until_done(lambda: work(f"killed {k}"), seed=k) for k in range(3)])
"""


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert min(json.loads(run.stdout)) >= 3
    wanted = json.loads((tmp_path / "undisturbed.json").read_text())
    assert len(wanted["rows"]) == 30
    for k in range(3):
        assert json.loads((tmp_path / f"killed {k}.json").read_text()) == wanted


# Errors -----------------------------------------------------------------------------------


class Bomb(nn.Module):
    """Its logits become NaN after some steps."""

    def __init__(self, fuse):
        super().__init__()
        self.inner, self.fuse = seeded(dropout=0.5), fuse

    def forward(self, x):
        self.fuse -= 1
        return self.inner(x) * (1 if self.fuse >= 0 else torch.nan)


def test_nan_loss_stops_and_leaves_the_last_good_checkpoint(tmp_path):
    path, made = tmp_path / "training.pt", images_of_noise()
    recipe = dataclasses.replace(RANDOM, adversarial=0)  # an attack would use up the fuse
    wanted = Bomb(100)
    rows = untimed(fit(wanted, made, recipe, progress=False))
    text = "the loss became nan at step 2 of epoch 3; a lower learning rate than lr=0.1 may help"
    with pytest.raises(FloatingPointError, match=re.escape(text)):
        fit(Bomb(7), made, recipe, resume=path, progress=False)  # three steps an epoch
    assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]
    model = Bomb(100)
    assert untimed(fit(model, made, recipe, resume=path, progress=False)) == rows
    assert bits(model) == bits(wanted)
    assert model.fuse == 100 - 2 * 3  # only the last two epochs


def test_too_high_a_learning_rate_is_told():
    with pytest.raises(FloatingPointError, match=r"lower learning rate than lr=1e\+30 may help"):
        fit(seeded(), images_of_noise(), Recipe(2, batch_size=10, lr=1e30), progress=False)


def test_less_than_one_batch():
    text = "data must hold at least one batch of 64 images, got 60"
    with pytest.raises(ValueError, match=text):
        fit(seeded(), images_of_noise(), Recipe(1), progress=False)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"epochs": 0}, "epochs must be a whole number, at least 1, got 0"),
        ({"epochs": float("nan")}, "epochs must be a whole number, at least 1, got nan"),
        ({"epochs": 2.5}, "epochs must be a whole number, at least 1, got 2.5"),
        ({"epochs": 2.0}, "epochs must be a whole number, at least 1, got 2.0"),
        ({"epochs": True}, "epochs must be a whole number, at least 1, got True"),
        ({"epochs": "3"}, "epochs must be a whole number, at least 1, got 3"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1, got 0"),
        ({"batch_size": 12.5}, "batch_size must be a whole number, at least 1, got 12.5"),
        ({"shift": -1}, "shift must be a whole number, at least 0, got -1"),
        ({"shift": 0.5}, "shift must be a whole number, at least 0, got 0.5"),
        ({"seed": 0.5}, "seed must be a whole number, at least 0, got 0.5"),
        ({"seed": -1}, "seed must be a whole number, at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number, at least 0, got None"),
        ({"lr": 0}, "lr must be a finite number above 0, got 0"),
        ({"lr": float("inf")}, "lr must be a finite number above 0, got inf"),
        ({"lr": float("nan")}, "lr must be a finite number above 0, got nan"),
        ({"weight_decay": -1}, "weight_decay must be a finite number of at least 0, got -1"),
        ({"label_smoothing": 1}, "label_smoothing must be in [0, 1), got 1"),
        ({"label_smoothing": -0.1}, "label_smoothing must be in [0, 1), got -0.1"),
        ({"gradient_clip": 0}, "gradient_clip must be above 0, got 0"),
        ({"gradient_clip": -1.0}, "gradient_clip must be above 0, got -1.0"),
        ({"gradient_clip": float("nan")}, "gradient_clip must be above 0, got nan"),
        ({"mixup": -0.5}, "mixup must be a finite number of at least 0, got -0.5"),
        ({"mixup": float("nan")}, "mixup must be a finite number of at least 0, got nan"),
        ({"mixup": float("inf")}, "mixup must be a finite number of at least 0, got inf"),
        (
            {"adversarial": 8},
            "adversarial must be in pixel units, 0 to 1 (8/255, not 8), got 8",
        ),
        ({"adversarial": -0.1}, "0 to 1 (8/255, not 8), got -0.1"),
        ({"adversarial": float("nan")}, "0 to 1 (8/255, not 8), got nan"),
        ({"attack_steps": 0}, "attack_steps must be a whole number, at least 1, got 0"),
        ({"attack_steps": 1.5}, "attack_steps must be a whole number, at least 1, got 1.5"),
        ({"smoothness": -0.1}, "smoothness must be a finite number of at least 0, got -0.1"),
        ({"smoothness": float("nan")}, "smoothness must be a finite number of at least 0, got nan"),
        ({"smoothness": float("inf")}, "smoothness must be a finite number of at least 0, got inf"),
        (
            {"optimizer": "lion"},
            "optimizer must be one of sgd, adam, adagrad, adadelta, rmsprop, got 'lion'",
        ),
        ({"schedule": "cosine"}, "schedule must be one of triangle, constant, got 'cosine'"),
    ],
)
def test_recipe_refuses(values, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Recipe(**{"epochs": 1} | values)


def test_whole_numbers_of_numpy_are_welcome(tmp_path):
    """A checkpoint holds them, too."""
    recipe = Recipe(epochs=np.int64(2), batch_size=np.int32(20), seed=np.uint8(3))
    assert recipe == Recipe(epochs=2, batch_size=20, seed=3)
    for _ in range(2):
        history = fit(
            seeded(), images_of_noise(), recipe, resume=tmp_path / "training.pt", progress=False
        )
        assert len(history.rows) == 2


def test_shift_too_large_for_the_images():
    with pytest.raises(ValueError, match="shift must be at least 0 and below 8, got 8"):
        fit(seeded(), images_of_noise(), Recipe(1, batch_size=10, shift=8), progress=False)
