"""``hfc.augment``: every image becomes one of its own shifts and mirrorings, all equally often."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfc.augment import crop_flip


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
