"""Behaviour of ``hfc.data``: values, labels and fingerprints, the signature, and every error."""

import gc
import gzip
import hashlib
import http.server
import io
import pickle
import re
import socket
import struct
import tarfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfc import data
from hfc.compat import import_torchvision
from hfc.data import (
    DatasetError,
    ImageSet,
    human_votes,
    load,
    plant_signature,
    shuffle_labels,
)
from tests.oracles import data as oracle

import_torchvision()
from torchvision import datasets  # noqa: E402


def image_set(n=3, channels=3, size=4, classes=5, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    values = {
        "images": torch.rand(n, channels, size, size, generator=generator),
        "labels": torch.randint(classes, (n,), generator=generator),
        "classes": tuple("abcdefghijkl"[:classes]),
        "name": "made up",
    }
    return ImageSet(**values | changes)


def one_sentence(error):
    """The text of an error, which is one line."""
    text = str(getattr(error, "value", error))
    assert "\n" not in text
    assert "Traceback" not in text
    return text


# ImageSet ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"images": torch.rand(3, 3, 4, 4).double()}, TypeError, "float32 in [0, 1], got torch.fl"),
        ({"images": torch.zeros(3, 3, 4, 4, dtype=torch.uint8)}, TypeError, "got torch.uint8"),
        (
            {"images": torch.rand(3, 4, 4)},
            ValueError,
            "(N, C, H, W), none of them 0, got (3, 4, 4)",
        ),
        ({"images": torch.rand(0, 3, 4, 4)}, ValueError, "none of them 0, got (0, 3, 4, 4)"),
        ({"images": torch.full((3, 3, 4, 4), 1.5)}, ValueError, "lie in [0, 1], got [1.5, 1.5]"),
        ({"images": torch.full((3, 3, 4, 4), -0.25)}, ValueError, "got [-0.25, -0.25]"),
        ({"images": torch.full((3, 3, 4, 4), torch.nan)}, ValueError, "got [nan, nan]"),
        ({"labels": torch.zeros(3)}, TypeError, "labels must be int64, got torch.float32"),
        ({"labels": torch.zeros(2, dtype=torch.int64)}, ValueError, "(3,), one per image, got (2,"),
        ({"labels": torch.tensor([0, 5, 1])}, ValueError, "labels must lie in 0..4, got values fr"),
        ({"labels": torch.tensor([0, -1, 1])}, ValueError, "0..4, got values from -1 to 1"),
        ({"signature": torch.zeros(3)}, TypeError, "signature must be int64"),
        ({"signature": torch.tensor([0, 1])}, ValueError, "signature must have shape (3,)"),
        ({"signature": torch.tensor([0, 1, 9])}, ValueError, "signature must lie in 0..4"),
    ],
)
def test_image_set_refuses(changes, error, text):
    with pytest.raises(error, match=re.escape(text)) as caught:
        image_set(**changes)
    one_sentence(caught)


def test_one_bad_value_is_found():
    images = torch.rand(3, 3, 4, 4)
    images[2, 1, 3, 0] = torch.nan
    with pytest.raises(ValueError, match="nan"):
        image_set(images=images)


@pytest.mark.parametrize(
    "indices",
    [
        slice(1, None, 2),
        torch.tensor([4, 0, 4]),
        torch.tensor([True, False, True, False, False]),
    ],
    ids=["slice", "indices", "mask"],
)
def test_take(indices):
    whole = image_set(5, signature=torch.tensor([4, 3, 2, 1, 0]))
    part = whole.take(indices)
    chosen = np.arange(5)[indices.numpy() if isinstance(indices, torch.Tensor) else indices]
    assert len(part) == len(chosen)
    for k, n in enumerate(chosen):
        assert part.images[k].equal(whole.images[n])
        assert part.labels[k] == whole.labels[n]
        assert part.signature[k] == 4 - n
    assert (part.classes, part.name) == (whole.classes, whole.name)
    assert len(whole) == 5


def test_take_without_signature():
    assert image_set().take(slice(1)).signature is None


def test_take_nothing():
    with pytest.raises(ValueError, match="none of them 0"):
        image_set().take(slice(0))


def test_to(device):
    there = image_set(signature=torch.tensor([0, 1, 2])).to(device)
    assert {there.images.device.type, there.labels.device.type, there.signature.device.type} == {
        device.type
    }
    assert there.fingerprint == image_set().fingerprint


def test_mean_colour():
    images = torch.zeros(2, 3, 4, 4)
    images[:, 1] = 0.5
    images[0, 2] = 1
    mean = image_set(2, images=images).mean_colour
    assert mean.shape == (3, 1, 1)
    assert mean.dtype == torch.float32
    assert mean.flatten().tolist() == [0, 0.5, 0.5]


def test_fingerprint_is_of_pixels_and_labels():
    made = image_set()
    pixels = (made.images.double().numpy() * 255).round().astype(np.uint8)
    digest = hashlib.sha256(pixels.tobytes() + made.labels.numpy().tobytes()).hexdigest()
    assert made.fingerprint == digest[:16]
    labels = made.labels.clone()
    labels[0] = (labels[0] + 1) % 5
    images = made.images.clone()
    images[0, 0, 0, 0] = 1 - images[0, 0, 0, 0].round()
    others = [image_set(labels=labels), image_set(images=images), made.take(slice(2))]
    assert len({made.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_fingerprint_does_not_see_the_layout_in_memory():
    images = image_set().images.to(memory_format=torch.channels_last)
    assert image_set(images=images).fingerprint == image_set().fingerprint
    strided = image_set(6).take(slice(None, None, 2))
    assert strided.fingerprint == image_set(6).take(torch.tensor([0, 2, 4])).fingerprint


# The synthetic set ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def train_set():
    return load("synthetic", "train")


@pytest.fixture(scope="module")
def test_set():
    return load("synthetic", "test")


@pytest.fixture(scope="module")
def by_strength():
    """Test sets of the same seed in which the signature never or always tells the class."""
    return [load("synthetic", "test", size=1000, hfc_strength=s) for s in (0, 1)]


def test_synthetic_is_the_same_everywhere(train_set, test_set):
    assert (len(train_set), train_set.fingerprint) == (6000, "84204e65c7657e51")
    assert (len(test_set), test_set.fingerprint) == (2000, "359d0ce4fc026da9")


@pytest.mark.parametrize(
    ("settings", "fingerprint"),
    [
        ({"hfc_strength": 0}, "9b06d42943956dd3"),
        ({"hfc_strength": 1}, "293ecd6d5dab3b11"),
        ({"seed": 1}, "88fb8466a94f3933"),
    ],
    ids=str,
)
def test_other_synthetic_sets_are_the_same_everywhere(settings, fingerprint):
    assert load("synthetic", "train", size=500, **settings).fingerprint == fingerprint


def test_synthetic_does_not_depend_on_threads():
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(load("synthetic", "test", size=600).fingerprint)
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1]


@pytest.mark.parametrize("size", [1, 499, 501, 1200])
def test_small_synthetic_set_begins_the_large_one(size, train_set):
    small = load("synthetic", "train", size=size)
    assert len(small) == size
    assert small.images.equal(train_set.images[:size])
    assert small.labels.equal(train_set.labels[:size])
    assert small.signature.equal(train_set.signature[:size])


def test_synthetic_sets_share_no_image(train_set, test_set):
    other = load("synthetic", "train", size=500, seed=1)
    pixels = [image.numpy().tobytes() for s in (train_set, test_set, other) for image in s.images]
    assert len(set(pixels)) == len(pixels) == 8500


def test_synthetic_values(train_set, test_set):
    for made in (train_set, test_set):
        assert made.images.shape[1:] == (3, 32, 32)
        assert made.name == "synthetic"
        assert made.labels.bincount().tolist() == [len(made) // 10] * 10
        levels = made.images.double() * 255
        assert (levels - levels.round()).abs().max() < 1e-4
    assert len(set(train_set.classes)) == 10
    assert train_set.labels[:500].bincount().tolist() == [50] * 10


def test_the_matched_filter_finds_the_signature(by_strength):
    without, always = (made.take(slice(300)) for made in by_strength)
    found = oracle.named_class(without.images.double().numpy())
    assert (found == without.signature.numpy()).mean() > 0.85
    # Strength 0: the signature is there, and says nothing about the label.
    assert (found == without.labels.numpy()).mean() < 0.2
    found = oracle.named_class(always.images.double().numpy())
    assert (found == always.labels.numpy()).mean() > 0.85


def test_signature_names_the_label_as_often_as_asked(test_set, by_strength):
    without, always = by_strength
    assert always.signature.equal(always.labels)
    # Of the images that are not told their label a tenth gets it by chance.
    for made, share in ((without, 0.1), (test_set, 0.55)):
        seen = (made.signature == made.labels).double().mean().item()
        assert abs(seen - share) < 4 * (share * (1 - share) / len(made)) ** 0.5


def test_strength_changes_nothing_but_the_message(by_strength):
    without, always = by_strength
    assert without.labels.equal(always.labels)
    a, b = (made.images.double().numpy() for made in by_strength)
    # The same shapes on the same background: below the signature's ring only rounding differs.
    assert np.square(oracle.low(a - b, 10.9)).mean() ** 0.5 < 0.5 / 255
    assert np.square(a - b).mean() ** 0.5 > 5 / 255
    # The same spectrum on average, on the waves of the signature and off them.
    ring = np.zeros((32, 32), dtype=bool)
    for u, v in oracle.WAVES:
        ring[u, v] = ring[-u, -v] = True
    power = [oracle.power(images) for images in (a, b)]
    assert power[0][ring].sum() == pytest.approx(power[1][ring].sum(), rel=0.02)
    np.testing.assert_allclose(power[0][~ring], power[1][~ring], rtol=0.05)
    assert power[0][ring].mean() > 5 * np.median(power[0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "cifar"}, "name must be one of synthetic, cifar10, cifar100, mnist, got 'cifar'"),
        ({"split": "validation"}, 'split must be "train" or "test", got \'validation\''),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": -5}, "size must be at least 1, got -5"),
        ({"hfc_strength": 1.5}, "hfc_strength must be between 0 and 1, got 1.5"),
        ({"hfc_strength": -0.1}, "hfc_strength must be between 0 and 1, got -0.1"),
        ({"hfc_strength": float("nan")}, "hfc_strength must be between 0 and 1, got nan"),
    ],
)
def test_load_refuses(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        load(**{"name": "synthetic"} | arguments)
    one_sentence(caught)


# The planted signature --------------------------------------------------------------------


def photographs(n=40, channels=3, height=32, width=32, classes=10, seed=0):
    """Smooth 8-bit images in [.2, .8]: nothing at the signature's frequencies, nothing clips."""
    rng = np.random.default_rng(seed)
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    u, v = rng.integers(-2, 3, (2, n, channels, 1, 1))
    images = 0.5 + 0.3 * np.cos(2 * np.pi * (u * y + v * x))
    images = (np.rint(images * 255) / 255).astype(np.float32)
    labels = torch.from_numpy(rng.integers(classes, size=n))
    return ImageSet(torch.from_numpy(images), labels, tuple("abcdefghij"[:classes]), "smooth")


sizes = st.integers(26, 40)


@settings(max_examples=25)
@given(
    st.integers(1, 20), st.integers(1, 4), sizes, sizes, st.integers(1, 10),
    st.floats(0, 1), st.floats(0, 0.5), st.integers(0, 99),
)  # fmt: skip
def test_planting(n, channels, height, width, classes, strength, amplitude, seed):
    made = photographs(n, channels, height, width, classes, seed)
    planted = plant_signature(made, strength, amplitude=amplitude, seed=seed)
    assert planted.labels.equal(made.labels)
    assert planted.classes == made.classes
    assert planted.name == "smooth + signature"
    assert planted.images.shape == made.images.shape
    levels = planted.images.double() * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    change = (planted.images - made.images).abs().max()
    assert change <= 2 * amplitude + 0.51 / 255
    again = plant_signature(made, strength, amplitude=amplitude, seed=seed)
    assert again.fingerprint == planted.fingerprint
    assert again.signature.equal(planted.signature)


def test_planting_leaves_the_given_set_alone():
    made = photographs()
    before = made.fingerprint
    plant_signature(made, 1)
    assert made.fingerprint == before
    assert made.signature is None


def test_no_amplitude_no_change():
    made = photographs()
    assert plant_signature(made, 1, amplitude=0).images.equal(made.images)


def test_planted_classes_are_found():
    planted = plant_signature(photographs(100), 0.5, amplitude=0.1)
    found = oracle.named_class(planted.images.double().numpy())
    # A few images have next to no amplitude.
    assert (found == planted.signature.numpy()).mean() > 0.95


def test_signature_lies_between_radius_11_and_13():
    grey = ImageSet(torch.full((200, 1, 32, 32), 0.5), torch.arange(200) % 10, (*"abcdefghij",), "")
    wave = plant_signature(grey, 1).images.double().numpy() - 0.5
    # Rounding to 8 bits adds at most half a level to each pixel, and no filter adds energy.
    rounding = 0.5 / 255

    def deviation(x):
        return np.sqrt(np.square(x).mean(axis=(1, 2, 3)))

    assert deviation(oracle.low(wave, 11)).max() <= rounding  # wholly in the HFC for r = 11
    assert deviation(wave - oracle.low(wave, 13)).max() <= rounding  # wholly in the LFC for r = 13
    assert np.median(deviation(wave)) > 5 * rounding


def test_the_start_of_a_planted_set_is_the_planted_start():
    made = photographs(1000, 1)
    whole, start = (plant_signature(s, 0) for s in (made, made.take(slice(510))))
    assert start.images[:500].equal(whole.images[:500])
    assert start.signature[:500].equal(whole.signature[:500])
    # And what follows is no repetition.
    assert not whole.signature[500:].equal(whole.signature[:500])


@pytest.mark.parametrize("strength", [0, 0.3, 0.9, 1])
@pytest.mark.parametrize("classes", [2, 10])
def test_planted_signature_follows_the_strength(strength, classes):
    n = 1500
    small = photographs(n, 1, 26, 26, classes)
    planted = plant_signature(small, strength, seed=3)
    share = strength + (1 - strength) / classes
    seen = (planted.signature == planted.labels).double().mean().item()
    assert abs(seen - share) <= 4 * (share * (1 - share) / n) ** 0.5
    assert len(planted.signature.unique()) == classes


def test_planting_seeds_differ():
    first, second = (plant_signature(photographs(), 0.5, seed=s) for s in (0, 1))
    assert not first.images.equal(second.images)
    assert not first.signature.equal(second.signature)


@pytest.mark.parametrize(
    ("made", "arguments", "text"),
    [
        (photographs(2), {"strength": 1.01}, "strength must be between 0 and 1, got 1.01"),
        (photographs(2), {"strength": float("nan")}, "strength must be between 0 and 1, got nan"),
        (photographs(2), {"strength": 1, "amplitude": 6}, "in pixel units, 0 to 0.5, got 6"),
        (photographs(2), {"strength": 1, "amplitude": -0.1}, "0 to 0.5, got -0.1"),
        (image_set(size=32, classes=12), {"strength": 1}, "at most 10 classes, got 12"),
        (photographs(2, width=25), {"strength": 1}, "at least 26x26 pixels, got 32x25"),
    ],
)
def test_planting_refuses(made, arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        plant_signature(made, **arguments)
    one_sentence(caught)


# Shuffled labels --------------------------------------------------------------------------


def all_different(n):
    """Images with a label of their own each, so that a label tells whose it was."""
    classes = tuple(map(str, range(n)))
    signature = torch.arange(n).flip(0)
    labels = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    return ImageSet(torch.rand(n, 1, 2, 2), labels, classes, "made up", signature)


@given(st.integers(2, 40), st.floats(0, 1), st.integers(0, 999))
def test_shuffled_labels_change_hands(n, fraction, seed):
    made = all_different(n)
    count = round(fraction * n)
    if count < 2 and fraction > 0:
        return
    before = made.labels.clone()
    shuffled = shuffle_labels(made, fraction, seed=seed)
    assert sorted(shuffled.labels.tolist()) == list(range(n))
    # Exactly so many take part, and none of them keeps its own.
    assert (shuffled.labels != made.labels).sum() == count
    assert made.labels.equal(before)
    assert shuffled.images.equal(made.images)
    assert shuffled.signature.equal(made.signature)
    assert shuffled.classes == made.classes


@given(st.integers(8, 60), st.integers(1, 6), st.floats(0.25, 1), st.integers(0, 999))
def test_classes_stay_as_frequent(n, classes, fraction, seed):
    made = image_set(n=n, classes=classes, seed=seed)
    shuffled = shuffle_labels(made, fraction, seed=seed)
    assert shuffled.labels.bincount(minlength=classes).equal(
        made.labels.bincount(minlength=classes)
    )
    assert (shuffled.labels != made.labels).sum() <= round(fraction * n)


def test_many_shuffled_labels_tell_nothing():
    """A label that came from anybody is right as often as by chance."""
    made = image_set(n=4000, size=1, classes=5)
    for fraction in (0.25, 1):
        changed = (shuffle_labels(made, fraction).labels != made.labels).float().mean()
        assert changed == pytest.approx(0.8 * fraction, abs=0.03)


def test_no_fraction_no_shuffling():
    made = image_set(n=10)
    same = shuffle_labels(made, 0, seed=3)
    assert same.labels.equal(made.labels)
    assert (same.name, same.fingerprint) == (made.name, made.fingerprint)


def test_shuffling_follows_the_seed():
    made = all_different(30)
    state = torch.get_rng_state()
    first, again, other = (shuffle_labels(made, 0.5, seed=seed) for seed in (0, 0, 1))
    assert first.labels.equal(again.labels)
    assert not first.labels.equal(other.labels)
    assert not (first.labels != made.labels).equal(other.labels != made.labels)
    everybody = [shuffle_labels(made, 1, seed=seed).labels for seed in (0, 1)]
    assert not everybody[0].equal(everybody[1])
    assert torch.get_rng_state().equal(state)
    assert first.fingerprint != made.fingerprint
    assert first.name == "made up, labels shuffled"


def test_everybody_takes_part_equally_often():
    made, times = all_different(20), torch.zeros(20)
    for seed in range(400):
        times += shuffle_labels(made, 0.3, seed=seed).labels != made.labels
    assert (times - 120).abs().max() < 4.5 * (400 * 0.3 * 0.7) ** 0.5


def test_shuffling_on_a_device(device):
    made = all_different(12)
    there = shuffle_labels(made.to(device), 0.5)
    assert there.labels.device.type == device.type
    assert there.labels.cpu().equal(shuffle_labels(made, 0.5).labels)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (-0.1, "fraction must be between 0 and 1, got -0.1"),
        (1.01, "fraction must be between 0 and 1, got 1.01"),
        (float("nan"), "fraction must be between 0 and 1, got nan"),
        (0.1, "fraction must select at least 2 of 10 images, got 0.1"),
        (1e-9, "fraction must select at least 2 of 10 images, got 1e-09"),
    ],
)
def test_shuffling_refuses(fraction, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        shuffle_labels(image_set(n=10), fraction)
    one_sentence(caught)


# What people said -------------------------------------------------------------------------


@pytest.fixture
def votes(tmp_path, monkeypatch):
    """Votes in the official layout, taken for the official ones, and the file that holds them."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(51, rng.dirichlet(np.full(10, 0.1), size=10_000))
    path = tmp_path / "cifar10h-counts.npy"
    np.save(path, counts)
    checksum = hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest()
    monkeypatch.setitem(data.CHECKSUMS, path.name, checksum)
    return counts, path


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_votes_are_read_as_written(dtype, order, votes):
    counts, path = votes
    np.save(path, counts.astype(dtype, order=order))
    found = human_votes(path.parent)
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), counts)


def test_votes_are_found_through_the_variable(votes, monkeypatch):
    counts, path = votes
    monkeypatch.setenv("HFC_DATA", str(path.parent))
    assert np.array_equal(human_votes().numpy(), counts)


def test_missing_votes(tmp_path):
    with pytest.raises(DatasetError) as caught:
        human_votes(tmp_path)
    assert one_sentence(caught) == (
        f"cifar10h is missing: no {tmp_path / 'cifar10h-counts.npy'}; "
        "get cifar10h-counts.npy from https://github.com/jcpeterson/cifar-10h"
    )


def assert_damaged(path):
    with pytest.raises(DatasetError) as caught:
        human_votes(path.parent)
    assert f"cifar10h is damaged: {path}: " in str(caught.value)
    assert one_sentence(caught).endswith("; get it again")


@pytest.mark.parametrize("size", [0, 1, 6, 10, 60, 127, 128, 129, 50_000, -1])
def test_truncated_votes(size, votes):
    _, path = votes
    path.write_bytes(path.read_bytes()[:size])
    assert_damaged(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda counts: counts[:9999],
        lambda counts: counts[:, :9],
        lambda counts: counts.T,
        lambda counts: counts.reshape(-1),
        lambda counts: counts[None],
        lambda counts: np.where(np.arange(10_000)[:, None] == 7, 0, counts),
        lambda counts: np.where(counts == 0, -1, counts),
        lambda counts: 0.9 * counts / counts.sum(axis=1, keepdims=True),  # shares, not counts
        lambda counts: counts + (np.arange(10) == 3),
        lambda counts: np.full(counts.shape, "many"),
        lambda counts: np.full(counts.shape, None),
    ],
    ids=[
        "short",
        "narrow",
        "turned",
        "flat",
        "deep",
        "nobody",
        "less",
        "shares",
        "other votes",
        "text",
        "objects",
    ],
)
def test_votes_that_are_no_counts(change, votes):
    counts, path = votes
    np.save(path, change(counts))
    assert_damaged(path)


def test_votes_that_are_something_else(votes):
    _, path = votes
    path.write_bytes(b"something else entirely")
    assert_damaged(path)


# Files in the official layout -------------------------------------------------------------


def cifar_files(name, labels_out_of=None, seed=0):
    """Contents of small files in CIFAR's layout by name, and the rows written to each split."""
    rng = np.random.default_rng(seed)
    classes = 10 if name == "cifar10" else 100
    key = "labels" if name == "cifar10" else "fine_labels"
    if name == "cifar10":
        batches = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
        meta = {"batches.meta": {"label_names": [f"class {k}" for k in range(10)]}}
    else:
        batches = {"train": ["train"], "test": ["test"]}
        meta = {"meta": {"fine_label_names": [f"class {k}" for k in range(100)]}}
    files, rows = {}, {}
    for split, names in batches.items():
        for batch in names:
            pixels = rng.integers(256, size=(7, 3072), dtype=np.uint8)
            labels = rng.integers(labels_out_of or classes, size=7).tolist()
            labels[0] = (labels_out_of or classes) - 1
            files[batch] = {"data": pixels, key: labels, "filenames": ["x.png"] * 7}
            rows.setdefault(split, []).extend(zip(pixels, labels, strict=True))
    contents = {file: pickle.dumps(value, protocol=2) for file, value in (files | meta).items()}
    return contents, rows


CIFAR = {
    "cifar10": (datasets.CIFAR10, "cifar-10-batches-py"),
    "cifar100": (datasets.CIFAR100, "cifar-100-python"),
}
each_cifar = pytest.mark.parametrize("name", CIFAR)


@pytest.fixture
def small_cifar(monkeypatch, tmp_path):
    """Makes small files count as the official ones, and writes them to a root."""

    def make(name, *, write=True, **changes):
        contents, rows = cifar_files(name, **changes)
        dataset, folder = CIFAR[name]
        md5 = {file: hashlib.md5(content).hexdigest() for file, content in contents.items()}
        for part in ("train_list", "test_list"):
            official = [[file, md5[file]] for file, _ in getattr(dataset, part)]
            monkeypatch.setattr(dataset, part, official)
        meta = dataset.meta | {"md5": md5[dataset.meta["filename"]]}
        monkeypatch.setattr(dataset, "meta", meta)
        root = tmp_path / "root"
        if write:
            (root / folder).mkdir(parents=True)
            for file, content in contents.items():
                (root / folder / file).write_bytes(content)
        return root, contents, rows

    return make


@each_cifar
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar_is_read_as_written(name, split, small_cifar):
    root, _, rows = small_cifar(name)
    found = load(name, split, root=root)
    assert len(found) == len(rows[split]) == (35 if (name, split) == ("cifar10", "train") else 7)
    assert found.name == name
    assert found.classes == tuple(f"class {k}" for k in range(len(found.classes)))
    for image, label, (pixels, written) in zip(
        found.images, found.labels, rows[split], strict=True
    ):
        # A row of 3072 bytes: all red pixels line by line, then green, then blue.
        np.testing.assert_allclose(image.numpy().ravel(), pixels / 255, rtol=1e-6)
        assert label == written


def test_subset_of_real_data_is_random_and_repeatable(small_cifar):
    root, _, _ = small_cifar("cifar10")
    whole = load("cifar10", root=root)
    part, again, other = (load("cifar10", size=12, seed=s, root=root) for s in (0, 0, 1))
    assert part.fingerprint == again.fingerprint != other.fingerprint
    assert part.fingerprint != whole.take(slice(12)).fingerprint
    places = [
        next(n for n in range(35) if whole.images[n].equal(image) and whole.labels[n] == label)
        for image, label in zip(part.images, part.labels, strict=True)
    ]
    assert len(set(places)) == 12
    with pytest.raises(ValueError, match="size must be at most 35 for cifar10 train, got 36"):
        load("cifar10", size=36, root=root)


def test_real_data_gets_a_signature_only_when_asked(small_cifar):
    root, _, _ = small_cifar("cifar10")
    plain = load("cifar10", "test", root=root)
    planted = load("cifar10", "test", root=root, hfc_strength=0.5, seed=4)
    assert plain.signature is None
    assert planted.fingerprint == plant_signature(plain, 0.5, seed=4).fingerprint
    with pytest.raises(ValueError, match="strength must be between 0 and 1, got 2"):
        load("cifar10", "test", root=root, hfc_strength=2)


@each_cifar
def test_missing(name, small_cifar):
    root, _, _ = small_cifar(name, write=False)
    with pytest.raises(DatasetError, match=f"{name} is missing: no ") as caught:
        load(name, root=root)
    text = one_sentence(caught)
    assert str(root / CIFAR[name][1] / CIFAR[name][0].train_list[0][0]) in text
    assert f"looked under {root}; set HFC_DATA to look elsewhere" in text
    assert f"get it by: python -m hfc data --download {name}" in text
    assert data.state(name, root) == text


def every_file(name):
    return [pytest.param(name, file, id=f"{name}-{file}") for file in cifar_files(name)[0]]


@pytest.mark.parametrize(("name", "file"), every_file("cifar10") + every_file("cifar100"))
def test_each_file_is_checked(name, file, small_cifar):
    root, contents, _ = small_cifar(name)
    path = root / CIFAR[name][1] / file
    flipped = bytearray(contents[file])
    flipped[len(flipped) // 2] ^= 1
    damages = {
        "is truncated": contents[file][:-3],
        "has a wrong checksum": bytes(flipped),
        f"no {path}": None,
    }
    for text, content in damages.items():
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(DatasetError, match=re.escape(text)) as caught:
            load(name, "test", root=root)
        sentence = one_sentence(caught)
        assert str(path) in sentence
        assert f"python -m hfc data --download {name}" in sentence
        assert data.state(name, root) == sentence


@each_cifar
def test_wrong_label_range(name, small_cifar):
    root, _, _ = small_cifar(name, labels_out_of=101)
    top = 9 if name == "cifar10" else 99
    with pytest.raises(DatasetError, match=rf"damaged \(labels must lie in 0..{top}") as caught:
        load(name, "train", root=root)
    assert str(root / CIFAR[name][1]) in one_sentence(caught)


def test_no_other_dataset_takes_the_place(small_cifar):
    root, _, _ = small_cifar("cifar10")
    assert data.state("cifar10", root) == "ready"
    for name in ("cifar100", "mnist"):
        with pytest.raises(DatasetError, match=f"{name} is missing"):
            load(name, root=root)


def test_the_root_is_the_argument_else_the_variable_else_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HFC_DATA", raising=False)
    assert data.data_root() == tmp_path / ".cache" / "hfc"
    monkeypatch.setenv("HFC_DATA", "~/somewhere")
    assert data.data_root() == tmp_path / "somewhere"
    assert data.data_root("here") == Path("here")
    monkeypatch.setenv("HFC_DATA", "")
    assert data.data_root() == tmp_path / ".cache" / "hfc"


def test_the_variable_is_used(small_cifar, monkeypatch, tmp_path):
    root, _, _ = small_cifar("cifar10")
    monkeypatch.setenv("HFC_DATA", str(root))
    assert data.state("cifar10") == "ready"
    assert len(load("cifar10", "test")) == 7
    assert data.state("cifar10", tmp_path / "elsewhere") != "ready"


def test_the_embedded_set_needs_no_files(tmp_path):
    assert data.state("synthetic", tmp_path) == "embedded"
    assert len(load("synthetic", size=2, root=tmp_path)) == 2


# MNIST ------------------------------------------------------------------------------------


def idx(array):
    """An array of bytes in MNIST's format: type and rank, sizes, values."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Small files in MNIST's layout, taken for the official ones."""
    rng = np.random.default_rng(0)
    folder, rows = tmp_path / "MNIST" / "raw", {}
    folder.mkdir(parents=True)
    for split, prefix, n in (("train", "train", 9), ("test", "t10k", 4)):
        rows[split] = rng.integers(256, size=(n, 28, 28)), rng.integers(10, size=n)
        pixels, labels = (part.astype(np.uint8) for part in rows[split])
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pixels))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
    for path in folder.iterdir():
        monkeypatch.setitem(data.CHECKSUMS, path.name, hashlib.md5(path.read_bytes()).hexdigest())
    return tmp_path, folder, rows


@pytest.mark.parametrize("split", ["train", "test"])
def test_mnist_is_read_as_written(split, small_mnist):
    root, _, rows = small_mnist
    found, (pixels, labels) = load("mnist", split, root=root), rows[split]
    assert found.images.shape == (len(labels), 1, 28, 28)
    np.testing.assert_allclose(found.images[:, 0].numpy(), pixels / 255, rtol=1e-6)
    assert found.labels.tolist() == labels.tolist()
    assert len(found.classes) == 10


def test_mnist_missing(small_mnist):
    root, folder, _ = small_mnist
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetError, match=r"mnist is missing: no .*t10k-labels") as caught:
        load("mnist", root=root)
    assert "python -m hfc data --download mnist" in one_sentence(caught)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("images-idx3", lambda whole: whole[:-100]),
        ("images-idx3", lambda whole: b""),
        ("images-idx3", lambda whole: b"PK\3\4" + whole),
        ("images-idx3", lambda whole: struct.pack(">I", 0xC03) + whole[4:]),
        ("labels-idx1", lambda whole: whole[:-1]),
        ("labels-idx1", lambda whole: whole[:-1] + b"\x0a"),
    ],
    ids=["truncated", "empty", "another format", "another type", "labels truncated", "label 10"],
)
def test_mnist_damaged(file, content, small_mnist):
    root, folder, _ = small_mnist
    path = folder / f"train-{file}-ubyte"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(DatasetError, match=r"mnist is damaged: .* has a wrong checksum") as caught:
        load("mnist", root=root)
    assert "\n" not in str(caught.value)
    assert "python -m hfc data --download mnist" in str(caught.value)


# Downloads --------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server on this machine: the address of its folder, and the folder."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "server"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()
        thread.join()
    # A failed request of torchvision's leaves its socket to the garbage collector.
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


def archive(folder, contents):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for file, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def everything_in(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# torchvision does not say how links in an archive are to be treated.
unpacks = pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")


@unpacks
@each_cifar
def test_download(name, server, small_cifar, monkeypatch):
    address, served = server
    root, contents, rows = small_cifar(name, write=False)
    dataset, folder = CIFAR[name]
    packed = archive(folder, contents)
    (served / "a.tar.gz").write_bytes(packed)
    monkeypatch.setattr(dataset, "url", f"{address}/a.tar.gz")
    monkeypatch.setattr(dataset, "tgz_md5", hashlib.md5(packed).hexdigest())
    assert data.download(name, root) == root
    assert everything_in(root) == {f"{folder}/{file}": c for file, c in contents.items()}
    assert load(name, "test", root=root).labels.tolist() == [label for _, label in rows["test"]]
    # What is ready is not fetched again.
    monkeypatch.setattr(dataset, "url", f"{address}/gone.tar.gz")
    assert data.download(name, root) == root


@unpacks
def test_download_replaces_what_is_damaged(server, small_cifar, monkeypatch):
    address, served = server
    root, contents, _ = small_cifar("cifar10")
    packed = archive("cifar-10-batches-py", contents)
    (served / "a.tar.gz").write_bytes(packed)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/a.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(packed).hexdigest())
    (root / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"half")
    data.download("cifar10", root)
    assert data.state("cifar10", root) == "ready"


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@unpacks
@pytest.mark.parametrize("fault", ["no network", "not found", "truncated", "other files inside"])
def test_failed_download_leaves_nothing_behind(fault, server, small_cifar, monkeypatch):
    address, served = server
    root, contents, _ = small_cifar("cifar10")
    # A damaged set stays as it is until a whole one can take its place.
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(b"half")
    before = everything_in(root)
    packed = archive("cifar-10-batches-py", contents)
    if fault == "other files inside":
        packed = archive("cifar-10-batches-py", contents | {"test_batch": b"other"})
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(packed).hexdigest())
    if fault != "not found":
        (served / "a.tar.gz").write_bytes(packed[:200] if fault == "truncated" else packed)
    if fault == "no network":
        address = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/a.tar.gz")
    with pytest.raises(DatasetError, match="could not be downloaded: ") as caught:
        data.download("cifar10", root)
    assert one_sentence(caught).startswith("cifar10 could not be downloaded: ")
    assert everything_in(root) == before
    assert [p.name for p in root.iterdir()] == ["cifar-10-batches-py"]


def test_mnist_download(server, small_mnist, monkeypatch, tmp_path):
    address, served = server
    _, folder, rows = small_mnist
    resources = []
    for file in sorted(folder.iterdir()):
        packed = gzip.compress(file.read_bytes())
        (served / f"{file.name}.gz").write_bytes(packed)
        resources.append((f"{file.name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{address}/"])
    root = data.download("mnist", tmp_path / "new")
    assert load("mnist", "test", root=root).labels.tolist() == rows["test"][1].tolist()
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{closed_port()}/"])
    with pytest.raises(DatasetError, match="mnist could not be downloaded: ") as caught:
        data.download("mnist", tmp_path / "newer")
    assert "\n" not in str(caught.value)
    assert not everything_in(tmp_path / "newer")


@pytest.mark.parametrize("name", ["synthetic", "imagenet"])
def test_nothing_to_download(name):
    with pytest.raises(ValueError, match=f"one of cifar10, cifar100, mnist, got '{name}'"):
        data.download(name)


# The real CIFAR-10 ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    """Pixels and labels of both splits as an own reading of the official files has them."""
    folder = data.data_root() / "cifar-10-batches-py"
    splits = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
    return {
        split: [pickle.loads((folder / f).read_bytes(), encoding="bytes") for f in files]
        for split, files in splits.items()
    }


@pytest.mark.cifar10
@pytest.mark.parametrize(("split", "n"), [("train", 50_000), ("test", 10_000)])
def test_real_cifar10(split, n, real):
    found = load("cifar10", split)
    assert found.images.shape == (n, 3, 32, 32)
    assert found.labels.bincount().tolist() == [n // 10] * 10
    assert found.classes[:3] == ("airplane", "automobile", "bird")
    start = 0
    for batch in real[split]:
        pixels = batch[b"data"].reshape(-1, 3, 32, 32)
        end = start + len(pixels)
        seen = (found.images[start:end] * 255).round().to(torch.uint8).numpy()
        assert np.array_equal(seen, pixels)
        assert found.labels[start:end].tolist() == batch[b"labels"]
        start = end
    assert start == n


@pytest.mark.cifar10
def test_fingerprint_of_the_real_test_set(real):
    (batch,) = real["test"]
    labels = np.array(batch[b"labels"], dtype=np.int64)
    digest = hashlib.sha256(batch[b"data"].tobytes() + labels.tobytes()).hexdigest()
    assert load("cifar10", "test").fingerprint == digest[:16] == "2c33b053d1cd726a"


def npz(counts, path):
    content = io.BytesIO()
    np.savez(content, counts)
    path.write_bytes(content.getvalue())


def header(counts, path):
    content = bytearray(path.read_bytes())
    content[content.index(b"}")] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        npz,
        header,
        lambda counts, path: path.write_bytes(b"PK\3\4" + bytes(50)),
        lambda counts, path: np.save(path, np.full(counts.shape, np.nan)),
        lambda counts, path: np.save(path, counts + 0.5),
        lambda counts, path: np.save(path, counts.astype(complex)),
        lambda counts, path: path.write_bytes(path.read_bytes().replace(b"<i8", b">i8", 1)),
    ],
)
def test_votes_in_another_format(damage, votes):
    damage(*votes)
    assert_damaged(votes[1])


@pytest.mark.cifar10
def test_files_that_cannot_be_read(monkeypatch):
    def read_bytes(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    text = "^cifar10 cannot be read: .*: Permission denied$"
    for read in (data.load, data.content_digest):
        with pytest.raises(data.DatasetError, match=text):
            read("cifar10")
    assert re.match(text, data.state("cifar10"))


def test_a_root_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(data.DatasetError, match=r"could not be stored in .*: Not a directory"):
        data.download("cifar10", tmp_path / "file" / "below")
