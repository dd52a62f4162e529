"""Chapter 1: its lessons are right for other images, too, and what it says of them holds."""

import ast
import base64
import html
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hfc.frequency import (
    amplitude_phase,
    high_pass,
    low_pass,
    radial_mask,
    radial_spectrum,
    recombine,
    split,
)
from hfc.study import fourier

BOOK = Path(__file__).parents[1] / "book"


SQUARED = torch.fft.fftfreq(32, 1 / 32).square()
SQUARED_DISTANCE = SQUARED[:, None] + SQUARED


def lessons(*pages):
    """The functions that the chapter's cells define, as a reader has them after running these."""
    functions = {"math": math, "np": np, "torch": torch}
    functions |= {"split": split, "radial_spectrum": radial_spectrum}
    functions |= {"position": torch.arange(128) / 128, "weight": torch.exp(-SQUARED_DISTANCE / 50)}
    for page in pages:
        for cell in json.loads((BOOK / page).read_text())["cells"]:
            if cell["cell_type"] == "code":
                tree = ast.parse("".join(cell["source"]))
                tree.body = [part for part in tree.body if isinstance(part, ast.FunctionDef)]
                exec(compile(tree, page, "exec"), functions)
    return functions


LESSONS = lessons("01_fourier_basics.ipynb", "01_appendix_corner_cases.ipynb")


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.double)


@pytest.fixture(scope="module")
def images():
    return torch.stack([fourier.photograph(name, 32) for name in fourier.PHOTOGRAPHS])


@pytest.fixture(scope="module")
def portrait():
    return fourier.photograph("astronaut", 64).mean(0)


@pytest.fixture(scope="module")
def edge():
    edge = torch.zeros(32, 32, dtype=torch.double)
    edge[:, 16:] = 1
    return edge


def frames(slideshow):
    """What a reader sees at each stop of a slider, and what the slider reads out."""
    slider, stack = slideshow.children[:2]
    labels = [label for label, _ in slider.options]
    return dict(zip(labels, (html.unescape(page.value) for page in stack.children), strict=True))


# The photographs ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", fourier.PHOTOGRAPHS)
def test_photographs_are_small_squares_of_pixels(name):
    picture = fourier.photograph(name, 32)
    assert picture.shape == (3, 32, 32)
    assert picture.dtype == torch.double
    assert 0 <= picture.min() < picture.max() <= 1


def test_a_smaller_photograph_is_the_average_of_a_larger_one():
    large, small = (fourier.photograph("astronaut", size) for size in (128, 32))
    torch.testing.assert_close(small, large.unfold(1, 4, 4).unfold(2, 4, 4).mean((-2, -1)))


def test_a_photograph_must_exist_and_be_large_enough():
    with pytest.raises(ValueError, match=r"name must be one of astronaut, .*, got 'dog'"):
        fourier.photograph("dog", 32)
    with pytest.raises(ValueError, match=r"size must be from 1 to 256 pixels .*, got 512"):
        fourier.photograph("astronaut", 512)


# The lessons --------------------------------------------------------------------------------


@given(st.integers(0, 63), st.integers(0, 99))
def test_the_sum_of_waves_is_the_fourier_transform(fastest, seed):
    row = noise(128, seed=seed)
    coefficients = torch.fft.rfft(row)
    coefficients[fastest + 1 :] = 0
    ours = LESSONS["sum_of_waves"](row, fastest)
    torch.testing.assert_close(ours, torch.fft.irfft(coefficients), atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 32, 64])
def test_the_strongest_waves_are_whole_waves_and_no_other_is_stronger(portrait, count):
    z = torch.fft.fft2(LESSONS["strongest_waves"](portrait, count))
    z[0, 0] = 0
    kept = z.abs() > 1e-9
    assert kept.sum() == 2 * count
    torch.testing.assert_close(kept, kept.flip((0, 1)).roll((1, 1), (0, 1)))  # with (-u, -v)
    strength = torch.fft.fft2(portrait - portrait.mean()).abs()
    if count:
        assert strength[kept].min() >= strength[~kept].max()


def test_all_waves_together_are_the_picture(portrait):
    torch.testing.assert_close(LESSONS["strongest_waves"](portrait, 64 * 64 // 2 + 1), portrait)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 12), st.integers(0, 9))
def test_five_lines_split_as_the_library_does(height, width, radius, seed):
    x = noise(2, 3, height, width, seed=seed)
    for ours, library in zip(LESSONS["split_by_hand"](x, radius), split(x, radius), strict=True):
        torch.testing.assert_close(ours, library, atol=1e-6, rtol=0)


@pytest.mark.parametrize("r", [0, 2, 8, 23])
def test_the_share_of_the_energy_is_what_the_spectrum_says(images, r):
    z = torch.fft.fft2(images).abs().square()
    z[..., 0, 0] = 0
    share = (z * radial_mask(32, 32, r)).sum((-3, -2, -1)) / z.sum((-3, -2, -1))
    torch.testing.assert_close(LESSONS["energy_share"](images, r), share, atol=1e-9, rtol=0)


@pytest.mark.parametrize("alpha", [0.5, 1, 2])
def test_the_slope_is_that_of_a_power_law(alpha):
    assert LESSONS["slope"](3 / torch.arange(1, 65) ** alpha) == pytest.approx(alpha, abs=1e-4)


@pytest.mark.parametrize("r", [2, 4, 8])
def test_only_the_right_centre_keeps_pictures_real(images, r):
    z = torch.fft.fft2(images)
    right, wrong = (torch.fft.ifft2(z * LESSONS["mask_around"](c, r)) for c in (16, 15.5))
    torch.testing.assert_close(right.real, low_pass(images, r))
    assert right.imag.abs().max() < 1e-9
    assert wrong.imag.norm() > 0.05 * high_pass(images, r).norm()


# What the chapter says ----------------------------------------------------------------------


def test_the_first_circle_holds_few_waves_and_most_of_the_energy():
    astronaut = fourier.photograph("astronaut", 64)
    assert radial_mask(64, 64, 6).double().mean() == pytest.approx(0.03, abs=0.005)
    assert LESSONS["energy_share"](astronaut, 6) == pytest.approx(0.85, abs=0.005)


def test_energy_runs_ahead_of_the_number_of_waves(images):
    for r in range(1, 21):
        inside = radial_mask(32, 32, r).double().mean()
        assert (LESSONS["energy_share"](images, r) > inside + 0.01).all()


@pytest.mark.parametrize(("r", "least", "most"), [(4, 0.56, 0.80), (8, 0.82, 0.93)])
def test_the_energy_of_four_photographs(images, r, least, most):
    share = LESSONS["energy_share"](images, r)
    assert share.min() == pytest.approx(least, abs=0.005)
    assert share.max() == pytest.approx(most, abs=0.005)


def test_strong_waves_are_nearly_all_slow(portrait):
    spectrum = torch.fft.fft2(LESSONS["strongest_waves"](portrait, 32)).abs()
    inside = radial_mask(64, 64, 8)
    assert (spectrum[~inside] > 1e-9).sum() < 0.1 * 64
    assert LESSONS["strongest_waves"](portrait, 32).var() > 0.8 * portrait.var()


def test_pictures_follow_their_phases():
    astronaut, cat = (fourier.photograph(name, 128).mean(0) for name in ("astronaut", "cat"))
    (amplitude_a, phase_a), (amplitude_c, phase_c) = map(amplitude_phase, (astronaut, cat))
    alike = LESSONS["correlation"]
    cat_phase, astronaut_phase = recombine(amplitude_a, phase_c), recombine(amplitude_c, phase_a)
    assert alike(cat_phase, cat) > 0.5 + alike(cat_phase, astronaut)
    assert alike(astronaut_phase, astronaut) > 0.5 + alike(astronaut_phase, cat)


def test_photographs_fall_a_little_more_steeply_than_1_over_d_and_noise_does_not_fall():
    for name in fourier.PHOTOGRAPHS:
        grey = fourier.photograph(name, 128).mean(0)
        assert 1.3 < LESSONS["slope"](LESSONS["ring_amplitude"](grey)) < 1.5
    assert abs(LESSONS["slope"](LESSONS["ring_amplitude"](noise(128, 128) - 0.5))) < 0.1


def test_a_larger_circle_does_not_calm_the_ringing_and_a_soft_rim_does_not_ring(edge):
    for r in (2, 4, 8, 12):
        low = low_pass(edge, r)
        assert low.min() < -0.05
        assert low.max() > 1.05
    once = LESSONS["soft"](edge)
    assert once.min() > -0.001
    assert once.max() < 1.001
    assert (LESSONS["soft"](once) - once).abs().max() > 0.01


def test_clipping_breaks_the_sum(images):
    low, high = split(images, 8)
    size = high.norm()
    assert 0.01 < (low.clamp(0, 1) + high - images).norm() / size < 0.2
    assert (low.clamp(0, 1) + high.clamp(0, 1) - images).norm() / size > 0.6


# The figures --------------------------------------------------------------------------------


def test_stripes_are_two_dots_across_them():
    for label, page in frames(fourier.stripes_and_dots()).items():
        u, v = (int(n) for n in re.findall(r"-?\d+", label.replace("−", "-")))
        source = re.findall(r'src="data:image/png;base64,([^"]*)"', page)[-1]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
        dots = {tuple(dot) for dot in (np.argwhere(pixels == 255) - 16).tolist()}
        wrapped = {((a + 16) % 32 - 16, (b + 16) % 32 - 16) for a, b in ((u, v), (-u, -v))}
        assert dots == wrapped
        said = f"{'two dots' if len(dots) == 2 else 'one dot'} at "
        assert said in page
        for a, b in dots:
            assert f"({a}, {b})".replace("-", "−") in page


def test_dots_can_be_asked_for_any_wave():
    (page,) = frames(fourier.stripes_and_dots([(0, 0)], size=16)).values()
    assert "one dot at (0, 0)" in page


def test_stripes_say_how_they_run():
    picture = fourier.stripes([(0, 2), (3, 0), (2, 4), (-2, 4), (8, 8)], size=16)
    vertical, horizontal, left, right, chessboard = picture.alt.split("; ")
    assert vertical == "Vertical stripes: the wave repeats 2 times from left to right"
    assert horizontal == "Horizontal stripes: the wave repeats 3 times from top to bottom"
    assert left.startswith("Slanted stripes that fall to the left")
    assert right.startswith("Slanted stripes that fall to the right")
    assert "chessboard" in chessboard


def test_wave_by_wave_tells_how_far_the_sum_is(portrait):
    shown = frames(fourier.wave_by_wave(portrait, LESSONS["strongest_waves"], (0, 1, 32, 2049)))
    assert list(shown) == ["0", "1", "32", "2049"]
    energy = [re.search(r"sum of \d+ waves, (\S+) % of", page)[1] for page in shown.values()]
    assert energy == ["0", "21", "83", "100"]


def test_sums_along_a_row_draw_each_sum_in_a_colour_of_its_own():
    row = noise(16)
    picture = fourier.sums_along_row(row, {1: row, 2: row, 3: row, 4: row})
    assert "1, 2, 3 and 4 waves" in picture.alt
    assert len(set(re.findall(r"stroke: (#\w{6}); stroke-width: 2", picture.markup))) == 5
    with pytest.raises(ValueError, match="at most four sums, got 5"):
        fourier.sums_along_row(row, dict.fromkeys(range(5), row))


def test_every_figure_says_what_it_shows(images, edge):
    cat, grey = images[1], images[1].mean(0)
    low, high = split(cat, 8)
    share = torch.stack([LESSONS["energy_share"](images, r) for r in range(24)])
    inside = torch.stack([radial_mask(32, 32, r).double().mean() for r in range(24)])
    rings = LESSONS["ring_amplitude"](images.mean(1))
    circles = [LESSONS["mask_around"](centre, 4) for centre in (16, 15.5)]
    pictures = {
        "outlines and fine detail": fourier.halves(cat, low, high),
        "rocket on its launch pad": fourier.photographs(),
        "one bright spot in the centre": fourier.shifted_spectrum(grey),
        "face of the cat is recognised": fourier.swapped_phases(grey, grey, grey, grey),
        "noise is flat": fourier.falling_amplitudes(rings, rings[0]),
        "both reach 100 % at radius 23": fourier.energy_by_radius(inside, share),
        "swings around the edge": fourier.ringing_row(edge[0], edge[0]),
        "echoes of its rim": fourier.ringing(edge, edge, cat, low),
        "should be plain grey": fourier.off_centre(*circles, torch.fft.ifft2(torch.fft.fft2(cat))),
    }
    for message, picture in pictures.items():
        assert message in picture.alt
