"""Behaviour of ``hfc.frequency``: what must hold for any image, size, radius and dtype."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import hfc.frequency as frequency
from hfc.frequency import (
    COMPONENTS,
    amplitude_phase,
    band_pass,
    component,
    fourier_basis,
    high_pass,
    low_pass,
    max_scale,
    radial_mask,
    radial_spectrum,
    recombine,
    split,
)
from tests.oracles import frequency as oracle

# Largest error allowed for images of values around 1: a few roundings of each dtype.
TOLERANCE = {
    torch.float16: 4e-3,
    torch.bfloat16: 3e-2,
    torch.float32: 4e-6,
    torch.float64: 1e-11,
}
DTYPES = [pytest.param(dtype, id=str(dtype).removeprefix("torch.")) for dtype in TOLERANCE]
FILTERS = {
    "low_pass": lambda x: low_pass(x, 3),
    "high_pass": lambda x: high_pass(x, 3),
    "band_pass": lambda x: band_pass(x, 1, 3),
    "split low": lambda x: split(x, 3)[0],
    "split high": lambda x: split(x, 3)[1],
}
each_filter = pytest.mark.parametrize("filtered", FILTERS.values(), ids=FILTERS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_closed = pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For tiny images, threads only wait for each other, and for long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def take(path, patch):
    """Filter by ``"matrices"`` or by ``"fft"``; the choice is internal and must not show."""
    patch.setattr(frequency, "_LARGEST_OPERATOR", math.inf)
    patch.setattr(frequency, "_MOST_WAVES", {"matrices": math.inf, "fft": 0}[path])


# Lasts for one test, like a function's, but hypothesis may run many examples in it.
@pytest.fixture(scope="class", params=["matrices", "fft"])
def path(request):
    with pytest.MonkeyPatch.context() as patch:
        take(request.param, patch)
        yield request.param


both_paths = pytest.mark.usefixtures("path")


def noise(*shape, seed=0, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def assert_close(actual, expected, dtype=torch.float64, scale=1.0):
    atol = TOLERANCE[dtype] * scale
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol, check_dtype=False)


def energy(x):
    return x.double().square().sum((-2, -1))


sizes = st.integers(1, 17)
batches = st.sampled_from([(), (1,), (5,), (2, 3), (2, 1, 3)])
# Whole numbers and distances of coefficients are where <= and < differ.
radii = st.one_of(
    st.integers(0, 13).map(float),
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda p: math.sqrt(p[0] ** 2 + p[1] ** 2)),
    st.floats(0, 30),
    st.just(math.inf),
)


@st.composite
def images(draw):
    shape = (*draw(batches), draw(sizes), draw(sizes))
    return noise(*shape, seed=draw(st.integers(0, 2**32 - 1)))


# Smoke: shapes, dtypes, devices -----------------------------------------------------------


@both_paths
@each_dtype
@each_filter
@pytest.mark.parametrize("shape", [(8, 8), (3, 7, 8), (2, 3, 8, 9), (1, 1), (2, 1, 5), (2, 5, 1)])
def test_filters_keep_shape_dtype_and_device(filtered, shape, dtype, device):
    x = noise(*shape, dtype=dtype, device=device)
    result = filtered(x)
    assert (result.shape, result.dtype, result.device) == (x.shape, x.dtype, x.device)
    assert torch.isfinite(result).all()


@each_dtype
def test_other_functions_keep_shape_dtype_and_device(dtype, device):
    x = noise(2, 3, 8, 9, dtype=dtype, device=device)
    amplitude, phase = amplitude_phase(x)
    at_least_float32 = torch.promote_types(dtype, torch.float32)
    for result in (amplitude, phase, recombine(amplitude, phase)):
        expected = (x.shape, at_least_float32, x.device)
        assert (result.shape, result.dtype, result.device) == expected
    assert recombine(amplitude.to(dtype), phase).dtype == dtype
    assert (amplitude >= 0).all()
    assert phase.abs().max() <= math.pi + TOLERANCE[dtype]
    spectrum = radial_spectrum(x)
    assert spectrum.energy.shape == spectrum.power.shape == (2, 3, len(spectrum.count))
    assert spectrum.energy.device == spectrum.count.device == x.device
    assert spectrum.count.sum() == 8 * 9
    mask = radial_mask(8, 9, 3, device=device)
    assert (mask.shape, mask.dtype, mask.device) == ((8, 9), torch.bool, x.device)
    wave = fourier_basis(8, 9, 1, -2)
    assert (wave.shape, wave.dtype) == ((8, 9), torch.float32)


@both_paths
@each_dtype
@each_closed
@pytest.mark.parametrize("radius", [0, 1, 2.5, 5, 100, math.inf])
def test_every_dtype_agrees_with_float64(radius, closed, dtype, device):
    x = noise(3, 2, 10, 11, dtype=dtype, device=device)
    low, high = split(x, radius, closed=closed)
    exact_low, exact_high = split(x.double(), radius, closed=closed)
    assert_close(low.double(), exact_low, dtype)
    assert_close(high.double(), exact_high, dtype)
    assert_close(low + high, x, dtype)
    assert_close(
        band_pass(x, radius / 2, radius, closed=closed).double(),
        band_pass(x.double(), radius / 2, radius, closed=closed),
        dtype,
    )


@each_dtype
def test_spectra_in_every_dtype(dtype, device):
    x = noise(3, 2, 10, 11, dtype=dtype, device=device)
    assert_close(recombine(*amplitude_phase(x)), x, dtype)
    exact = radial_spectrum(x.double()).energy
    relative = radial_spectrum(x).energy.double() / exact
    assert_close(relative, torch.ones_like(exact), dtype)


@both_paths
@each_filter
def test_memory_layout_does_not_matter(filtered, device):
    x = noise(4, 6, 8, 10, device=device)
    for layout in (
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(-2, -1).contiguous().transpose(-2, -1),
        x.repeat_interleave(2, dim=-1)[..., ::2],
        x.repeat_interleave(2, dim=0)[::2],
    ):
        assert not layout.is_contiguous()
        assert_close(filtered(layout), filtered(x))
    one = noise(8, 10, device=device)
    expanded = one.expand(3, 8, 10)
    assert_close(filtered(expanded), filtered(one).expand(3, 8, 10))


@both_paths
@each_filter
def test_input_is_never_modified(filtered, device):
    x = noise(2, 3, 8, 8, dtype=torch.float32, device=device)
    before, version = x.clone(), x._version
    filtered(x)
    radial_spectrum(x)
    recombine(*amplitude_phase(x))
    assert torch.equal(x, before)
    assert x._version == version


@both_paths
@each_filter
def test_results_may_be_modified_in_place(filtered, device):
    x = noise(2, 3, 8, 8, device=device).requires_grad_()
    result = filtered(x)
    expected = result.detach().clamp(0, 0.5)
    result.clamp_(0, 0.5).sum().backward()
    assert_close(result.detach(), expected)
    assert x.grad.abs().sum() > 0


# Values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("radius", "code", "paper"), [(4, 45, 49), (8, 193, 197), (12, 437, 441), (16, 793, 795)]
)
def test_number_of_coefficients_in_the_circle_of_a_cifar_image(radius, code, paper):
    assert radial_mask(32, 32, radius, closed=False).sum() == code
    assert radial_mask(32, 32, radius, closed=True).sum() == paper


@each_closed
def test_beyond_the_corner_of_a_cifar_image_there_is_nothing(closed):
    x = noise(3, 32, 32)
    assert radial_mask(32, 32, 23, closed=closed).all()
    assert not radial_mask(32, 32, 22.6, closed=closed).all()
    assert_close(high_pass(x, 23, closed=closed), torch.zeros_like(x))
    assert high_pass(x, 22.6, closed=closed).abs().max() > 1e-4  # the checkerboard is left


def test_radius_zero_keeps_the_mean_or_nothing():
    x = noise(2, 6, 7)
    mean = x.mean((-2, -1), keepdim=True).expand_as(x)
    assert_close(low_pass(x, 0), mean)
    assert_close(low_pass(x, 0, closed=False), torch.zeros_like(x))
    assert_close(high_pass(x, 0, closed=False), x)
    assert_close(high_pass(x, 0).mean((-2, -1)), torch.zeros(2, dtype=torch.float64))


@both_paths
@pytest.mark.parametrize(("u", "v"), [(0, 0), (3, 4), (-3, 4), (0, 5), (5, 0), (8, 0), (0, -9)])
def test_one_wave_is_kept_or_dropped_whole(u, v, device):
    wave = fourier_basis(16, 18, u, v).double().to(device)
    radius = math.hypot(u, v)
    nothing = torch.zeros_like(wave)
    assert_close(low_pass(wave, radius), wave, torch.float32)
    assert_close(low_pass(wave, radius, closed=False), nothing, torch.float32)
    assert_close(high_pass(wave, radius), nothing, torch.float32)
    assert_close(band_pass(wave, radius, 20), nothing, torch.float32)
    assert_close(band_pass(wave, radius, 20, closed=False), wave, torch.float32)


@each_closed
@given(height=sizes, width=sizes, radius=radii)
def test_mask_has_its_centre_at_half_the_size(closed, height, width, radius):
    shifted = torch.fft.fftshift(radial_mask(height, width, radius, closed=closed))
    expected = oracle.mask(height, width, radius, closed=closed)
    np.testing.assert_array_equal(shifted.numpy(), expected)
    # Real images need a mask that treats (u, v) and (-u, -v) alike.
    mask = radial_mask(height, width, radius, closed=closed)
    assert torch.equal(mask, mask.flip(0, 1).roll((1, 1), (0, 1)))


def test_a_centre_between_the_pixels_would_not_do():
    x = noise(32, 32).numpy()
    right = oracle.mask(32, 32, 8, closed=True)
    wrong = oracle.mask(32, 32, 8, closed=True, centre=(15.5, 15.5))

    def imaginary(mask):
        spectrum = np.fft.ifftshift(np.fft.fftshift(np.fft.fft2(x)) * mask)
        return np.abs(np.fft.ifft2(spectrum).imag).max()

    assert imaginary(right) < 1e-12
    assert imaginary(wrong) > 1e-3


@both_paths
@each_closed
@given(x=images(), radius=radii)
def test_split_agrees_with_the_authors_procedure(closed, x, radius):
    low, high = split(x, radius, closed=closed)
    expected_low, expected_high = oracle.split(x.numpy(), radius, closed=closed)
    assert_close(low, torch.from_numpy(expected_low))
    assert_close(high, torch.from_numpy(expected_high))


def test_agreement_notices_one_wave_too_many():
    x = noise(32, 32)
    low, _ = oracle.split(x.numpy(), 8, closed=False)
    with pytest.raises(AssertionError):
        assert_close(low_pass(x, 8, closed=True), torch.from_numpy(low))


@given(height=sizes, width=sizes, seed=st.integers(0, 99))
def test_spectrum_agrees_with_loops(height, width, seed):
    x = noise(height, width, seed=seed)
    energies, counts = oracle.radial_energy(x.numpy())
    spectrum = radial_spectrum(x)
    assert_close(spectrum.energy, torch.tensor(energies, dtype=torch.float64), scale=100)
    assert spectrum.count.tolist() == counts
    assert_close(spectrum.power * spectrum.count, spectrum.energy)


# Properties of the filters ----------------------------------------------------------------


@both_paths
@each_closed
@given(x=images(), radius=radii)
def test_components_add_up_and_are_projections(closed, x, radius):
    low, high = split(x, radius, closed=closed)
    assert_close(low + high, x)
    assert_close(low_pass(x, radius, closed=closed), low)
    assert_close(high_pass(x, radius, closed=closed), high)
    assert_close(low_pass(low, radius, closed=closed), low)
    assert_close(high_pass(high, radius, closed=closed), high)
    assert_close(low_pass(high, radius, closed=closed), torch.zeros_like(x))
    assert_close(high_pass(low, radius, closed=closed), torch.zeros_like(x))


@both_paths
@each_closed
@given(x=images(), radius=radii)
def test_energy_is_split_too(closed, x, radius):
    low, high = split(x, radius, closed=closed)
    assert_close(energy(low) + energy(high), energy(x), scale=100)


@given(x=images())
def test_rings_hold_the_energy_of_all_pixels(x):
    spectrum = radial_spectrum(x)
    assert_close(spectrum.energy.sum(-1), energy(x), scale=100)
    assert_close(spectrum.energy[..., 0], x.mean((-2, -1)) ** 2 * spectrum.count.sum(), scale=100)


@both_paths
@each_closed
@given(x=images(), a=radii, b=radii)
def test_energy_grows_with_the_radius_by_that_of_the_band(closed, x, a, b):
    inner, outer = sorted((a, b))
    small, large = (low_pass(x, r, closed=closed) for r in (inner, outer))
    band = band_pass(x, inner, outer, closed=closed)
    assert (energy(small) <= energy(large) + 1e-9).all()
    assert_close(small + band, large)
    assert_close(energy(small) + energy(band), energy(large), scale=100)


@both_paths
@each_closed
@given(x=images(), cuts=st.lists(radii, min_size=1, max_size=4))
def test_bands_telescope(closed, x, cuts):
    cuts = sorted(cuts)
    total = low_pass(x, cuts[0], closed=closed) + high_pass(x, cuts[-1], closed=closed)
    for inner, outer in itertools.pairwise(cuts):
        total = total + band_pass(x, inner, outer, closed=closed)
    assert_close(total, x)


@both_paths
@given(x=images(), radius=radii, a=st.floats(-2, 2), b=st.floats(-2, 2))
def test_filters_are_linear(x, radius, a, b):
    y = noise(*x.shape, seed=1)
    assert_close(low_pass(a * x + b * y, radius), a * low_pass(x, radius) + b * low_pass(y, radius))


@both_paths
@each_closed
@given(x=images(), radius=radii, down=st.integers(-20, 20), right=st.integers(-20, 20))
def test_filters_commute_with_shifts_flips_and_transposition(closed, x, radius, down, right):
    low = low_pass(x, radius, closed=closed)

    def same(change):
        assert_close(low_pass(change(x), radius, closed=closed), change(low))

    same(lambda t: t.roll((down, right), (-2, -1)))
    same(lambda t: t.flip(-1))
    same(lambda t: t.flip(-2))
    same(lambda t: t.transpose(-2, -1))


@both_paths
@given(x=images(), radius=radii)
def test_images_of_a_batch_do_not_touch_each_other(x, radius):
    assume(x.ndim > 2)
    low = low_pass(x, radius)
    for index in np.ndindex(x.shape[:-2]):
        assert_close(low[index], low_pass(x[index], radius))


@pytest.mark.parametrize("name", ["low", "high", "band"])
@pytest.mark.parametrize("radius", [0, 3, 8, 14.2, 40, 200])
@pytest.mark.parametrize("shape", [(2, 64, 48), (1, 33, 80)])
def test_both_paths_agree_on_larger_images(shape, radius, name, monkeypatch, device):
    x = noise(*shape, device=device)
    results = []
    for path in ("matrices", "fft"):
        take(path, monkeypatch)
        low, high = split(x, radius)
        results.append({"low": low, "high": high, "band": band_pass(x, radius / 2, radius)}[name])
    assert_close(*results)


def test_a_large_image_takes_the_fft(monkeypatch, device):
    def no_matrices(*args):
        raise AssertionError("matrices")

    monkeypatch.setattr(frequency, "_operators", no_matrices)
    x = noise(1, 512, 512, dtype=torch.float32, device=device)
    low, high = split(x, 100)
    assert_close(low + high, x, torch.float32)
    with pytest.raises(AssertionError, match="matrices"):
        split(x[:, :32, :32], 8)


@both_paths
@each_filter
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_chunks_meet_without_a_seam(filtered, count, monkeypatch, device):
    x = noise(count, 8, 9, device=device)
    whole = filtered(x)
    for chunk in (1, 4 * 8 * 9, 4 * 8 * 9 + 1):
        monkeypatch.setattr(frequency, "_CHUNK", chunk)
        assert_close(filtered(x), whole)


@both_paths
def test_more_images_than_one_chunk(device):
    x = noise(700, 32, 32, dtype=torch.float32, device=device)
    assert x.numel() > frequency._CHUNK
    low, high = split(x, 8)
    assert_close(low + high, x, torch.float32)
    for index in (0, 511, 512, 699):
        assert_close(low[index], low_pass(x[index], 8), torch.float32)


def test_clipping_breaks_the_sum():
    """What the claims about published code rest on: the sum is exact only without clipping."""
    x = noise(3, 32, 32).round()
    low, high = split(x, 8)
    assert_close(low + high, x)
    assert (low.clamp(0, 1) + high.clamp(0, 1) - x).abs().max() > 0.01


# Gradients --------------------------------------------------------------------------------


@both_paths
@each_closed
@given(x=images(), radius=radii)
def test_gradient_is_the_filter_itself(closed, x, radius):
    incoming = noise(*x.shape, seed=1)
    for change in (low_pass, high_pass, lambda t, r, closed: band_pass(t, r / 2, r, closed=closed)):
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(change(leaf, radius, closed=closed), leaf, incoming)
        assert_close(gradient, change(incoming, radius, closed=closed))


@both_paths
@pytest.mark.parametrize(
    "filtered", [*FILTERS.values(), lambda x: split(x, 2)], ids=[*FILTERS, "split both"]
)
def test_gradients_of_filters(filtered, device):
    x = noise(2, 5, 6, device=device).requires_grad_()
    assert torch.autograd.gradcheck(filtered, x)
    assert torch.autograd.gradgradcheck(filtered, x)


def test_gradients_of_recombine_and_spectra(device):
    amplitude, phase = (t.requires_grad_() for t in amplitude_phase(noise(4, 5, device=device)))
    assert torch.autograd.gradcheck(recombine, (amplitude, phase))
    assert torch.autograd.gradgradcheck(recombine, (amplitude, phase))
    x = noise(2, 4, 5, device=device).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: radial_spectrum(t).energy, x)
    assert torch.autograd.gradcheck(lambda t: recombine(*amplitude_phase(t)), x)


@both_paths
def test_inference_mode_leaves_nothing_behind(device):
    frequency._operators.cache_clear()
    x = noise(2, 8, 8, device=device)
    with torch.inference_mode():
        inferred = low_pass(x, 3)
    leaf = x.clone().requires_grad_()
    low = low_pass(leaf, 3)
    assert_close(low.detach(), inferred.clone())
    low.square().sum().backward()
    assert_close(leaf.grad, 2 * low.detach())


@both_paths
@each_filter
def test_autocast_does_not_lower_the_precision(filtered, device):
    x = noise(2, 3, 8, 8, dtype=torch.float32, device=device).requires_grad_()
    expected = filtered(x)
    with torch.autocast(device.type, torch.bfloat16):
        result = filtered(x)
    assert result.dtype == torch.float32
    assert_close(result, expected, torch.float32)
    result.sum().backward()
    assert x.grad.dtype == torch.float32


@both_paths
def test_number_of_threads_does_not_matter(device):
    x = noise(600, 3, 32, 32, dtype=torch.float32, device=device)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(torch.stack(split(x, 8)))
    finally:
        torch.set_num_threads(threads)
    assert_close(*results, torch.float32)


# Amplitude, phase and single waves --------------------------------------------------------


@given(x=images())
def test_amplitude_and_phase_make_the_image_again(x):
    amplitude, phase = amplitude_phase(x)
    assert_close(recombine(amplitude, phase), x)
    assert_close(amplitude.square().mean((-2, -1)), energy(x), scale=100)


@given(x=images())
def test_swapping_amplitudes_keeps_the_phase(x):
    other = noise(*x.shape[-2:], seed=1) + 0.1  # broadcasts over the batch
    amplitude, phase = amplitude_phase(other)[0], amplitude_phase(x)[1]
    swapped = recombine(amplitude, phase)
    assert swapped.shape == x.shape
    spectrum = torch.fft.fft2(swapped)
    # Not the product of amplitude and phase factor only where that is not Hermitian: nowhere.
    wanted = torch.polar(amplitude.expand_as(phase), phase)
    assert_close(torch.view_as_real(spectrum), torch.view_as_real(wanted), scale=100)


def test_phase_of_a_shifted_wave():
    wave = fourier_basis(8, 8, 0, 1).double()
    phase = amplitude_phase(wave.roll(2, -1))[1]
    assert phase[0, 1] == pytest.approx(-math.pi / 2, abs=1e-6)
    assert phase[0, -1] == pytest.approx(math.pi / 2, abs=1e-6)


@st.composite
def waves(draw):
    height, width = draw(sizes), draw(sizes)
    u = draw(st.integers(-(height // 2), height // 2))
    v = draw(st.integers(-(width // 2), width // 2))
    return height, width, u, v


@given(wave=waves())
def test_a_wave_has_unit_length_and_one_pair_of_coefficients(wave):
    height, width, u, v = wave
    basis = fourier_basis(*wave).double()
    assert basis.norm().item() == pytest.approx(1, abs=1e-6)
    amplitude = torch.fft.fft2(basis, norm="ortho").abs()
    pair = {(u % height, v % width), (-u % height, -v % width)}
    for index in pair:
        assert amplitude[index].item() == pytest.approx(1 / math.sqrt(len(pair)), abs=1e-6)
        amplitude[index] = 0
    assert amplitude.max() < 1e-6


def test_waves_are_orthogonal():
    # Half of the plane: (u, v) and (-u, -v) are the same wave.
    half = [(u, v) for u in range(-2, 3) for v in range(4) if v > 0 or u >= 0]
    half = [(u, v) for u, v in half if v < 3 or u >= 0]  # v = 3 is -3 on six pixels
    waves = torch.stack([fourier_basis(5, 6, u, v).flatten() for u, v in half])
    assert len(waves) == (5 * 6 + 2) // 2  # two of them, (0, 0) and (0, 3), are their own pair
    assert_close(waves @ waves.T, torch.eye(len(waves)), torch.float32)


# Memory -----------------------------------------------------------------------------------

PEAK_MEMORY = """
import json, re
import torch
from hfc.frequency import low_pass, split

def status(field):
    with open("/proc/self/status") as file:
        return int(re.search(field + r":\\s*(\\d+) kB", file.read())[1]) * 1024

def fft_split(x, radius):
    mask = torch.zeros(32, 32, dtype=torch.bool)
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), (-2, -1)) * mask
    low = torch.fft.ifft2(torch.fft.ifftshift(spectrum, (-2, -1))).real
    return low, x - low

x = torch.rand(4000, 3, 32, 32)
copies = {}
# The peak never falls, so the functions come in the order of their appetite.
for name, function in {"low_pass": low_pass, "split": split, "fft_split": fft_split}.items():
    function(x[:600], 8)
    before = status("VmRSS")
    function(x, 8)
    copies[name] = (status("VmHWM") - before) / x.nbytes
print(json.dumps(copies))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from Linux's /proc")
def test_peak_memory_on_the_cpu():
    """At most two copies of the input, in a process of its own, and a bit for one chunk."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY], capture_output=True, text=True, check=True
    )
    copies = json.loads(run.stdout)
    assert copies["low_pass"] < 2.2
    assert copies["split"] < 2.2
    assert copies["fft_split"] > 3  # the measurement sees a greedy function


def test_peak_memory_on_a_gpu(device):
    if device.type != "cuda":
        pytest.skip("needs --device cuda")
    x = torch.rand(4000, 3, 32, 32, device=device)
    for function in (low_pass, split):
        function(x[:4], 8)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function(x, 8)
        assert torch.cuda.max_memory_allocated(device) - before < 4 * x.nbytes


# Bad input --------------------------------------------------------------------------------

IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
HOLED = IMAGE.clone()
HOLED[1, 2, 3] = math.nan
BURNT = IMAGE.clone()
BURNT[0, 0, 0] = math.inf
CANCELLING = BURNT.clone()
CANCELLING[0, 0, 1] = -math.inf

BAD_IMAGES = {
    "array": (IMAGE.numpy(), TypeError, r"{} must be a torch.Tensor, got ndarray"),
    "list": ([[0.0]], TypeError, r"{} must be a torch.Tensor, got list"),
    "none": (None, TypeError, r"{} must be a torch.Tensor, got None"),
    "uint8": (
        IMAGE.mul(255).byte(),
        TypeError,
        r"{} must be a floating-point tensor, got torch.uint8; "
        r"for 8-bit images use images.float\(\) / 255",
    ),
    "int64": (IMAGE.long(), TypeError, r"{} must be a floating-point tensor, got torch.int64"),
    "bool": (IMAGE > 0, TypeError, r"{} must be a floating-point tensor, got torch.bool"),
    "complex": (IMAGE + 0j, TypeError, r"{} must be a floating-point tensor, got torch.complex64"),
    "vector": (IMAGE[0, 0], ValueError, r"{} must have shape \(..., H, W\), got \(8,\)"),
    "scalar": (IMAGE[0, 0, 0], ValueError, r"{} must have shape \(..., H, W\), got \(\)"),
    "empty batch": (IMAGE[:0], ValueError, r"{} must not be empty, got shape \(0, 8, 8\)"),
    "no pixels": (IMAGE[:, :0], ValueError, r"{} must not be empty, got shape \(3, 0, 8\)"),
    "nan": (HOLED, ValueError, r"{} must be finite, but holds NaN or infinity"),
    "inf": (BURNT, ValueError, r"{} must be finite, but holds NaN or infinity"),
    "inf - inf": (CANCELLING, ValueError, r"{} must be finite, but holds NaN or infinity"),
    "half inf": (BURNT.half(), ValueError, r"{} must be finite, but holds NaN or infinity"),
}
TAKE_IMAGES = {
    "low_pass": ("x", lambda x: low_pass(x, 3)),
    "high_pass": ("x", lambda x: high_pass(x, 3)),
    "split": ("x", lambda x: split(x, 3)),
    "band_pass": ("x", lambda x: band_pass(x, 1, 3)),
    "radial_spectrum": ("x", radial_spectrum),
    "amplitude_phase": ("x", amplitude_phase),
    "recombine amplitude": ("amplitude", lambda x: recombine(x, IMAGE)),
    "recombine phase": ("phase", lambda x: recombine(IMAGE, x)),
}


@pytest.mark.parametrize(("name", "function"), TAKE_IMAGES.values(), ids=TAKE_IMAGES)
@pytest.mark.parametrize(("x", "error", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(x, error, message, name, function):
    with pytest.raises(error, match="^" + message.format(name)):
        function(x)


@pytest.mark.parametrize("name", ["array", "uint8", "vector", "nan"])
def test_good_images_pass_the_same_checks(name):
    """The checks above fail for the reason they give: its cure makes them pass."""
    x = BAD_IMAGES[name][0]
    cure = {
        "array": lambda: torch.from_numpy(x),
        "uint8": lambda: x.float() / 255,
        "vector": lambda: x[None],
        "nan": lambda: x.nan_to_num(),
    }[name]
    for _, function in TAKE_IMAGES.values():
        function(cure())


TAKE_RADII = {
    "radial_mask": ("radius", lambda r: radial_mask(8, 8, r)),
    "low_pass": ("radius", lambda r: low_pass(IMAGE, r)),
    "high_pass": ("radius", lambda r: high_pass(IMAGE, r)),
    "split": ("radius", lambda r: split(IMAGE, r)),
    "band_pass inner": ("inner", lambda r: band_pass(IMAGE, r, 3)),
    "band_pass outer": ("outer", lambda r: band_pass(IMAGE, 0, r)),
}


@pytest.mark.parametrize(("name", "function"), TAKE_RADII.values(), ids=TAKE_RADII)
@pytest.mark.parametrize("radius", [-1, -1e-9, math.nan, -math.inf])
def test_bad_radius(radius, name, function):
    text = rf"^{name} must be a number >= 0 \(waves per image\), got {float(radius)}$"
    with pytest.raises(ValueError, match=text):
        function(radius)


def test_radius_may_be_any_number():
    expected = low_pass(IMAGE, 3)
    for radius in (3.0, np.float32(3), np.int64(3), torch.tensor(3)):
        assert torch.equal(low_pass(IMAGE, radius), expected)


def test_bad_band():
    with pytest.raises(
        ValueError, match=r"^inner must not exceed outer, got inner=5.0 and outer=2.0$"
    ):
        band_pass(IMAGE, 5, 2)


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (-1, 8)])
def test_bad_sizes(size):
    text = rf"^height and width must be at least 1, got {size[0]} and {size[1]}$"
    with pytest.raises(ValueError, match=text):
        radial_mask(*size, 3)
    with pytest.raises(ValueError, match=text):
        fourier_basis(*size, 0, 0)


@pytest.mark.parametrize(
    ("u", "v", "text"),
    [
        (5, 0, "u must be a whole number from -4 to 4, got 5"),
        (-5, 0, "u must be a whole number from -4 to 4, got -5"),
        (0, 4, "v must be a whole number from -3 to 3, got 4"),
        (0.5, 0, "u must be a whole number from -4 to 4, got 0.5"),
        (0, math.nan, "v must be a whole number from -3 to 3, got nan"),
        (0, -4, "v must be a whole number from -3 to 3, got -4"),
    ],
)
def test_wave_out_of_range(u, v, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        fourier_basis(8, 7, u, v)


def test_sixteen_bits_do_not_overflow():
    x = torch.ones(256, 256, dtype=torch.float16)
    assert amplitude_phase(x)[0][0, 0] == 256 * 256
    assert radial_spectrum(x).energy[0] == pytest.approx(256 * 256)


def test_recombine_wants_one_device(device):
    if device.type == "cpu":
        pytest.skip("one device only; try --device cuda")
    text = f"^amplitude and phase must be on one device, got amplitude on cpu and phase on {device}"
    with pytest.raises(ValueError, match=text):
        recombine(IMAGE, IMAGE.to(device))


def test_recombine_wants_shapes_that_broadcast():
    text = r"^amplitude and phase must have shapes that broadcast, got \(3, 8, 8\) and \(3, 8, 7\)$"
    with pytest.raises(ValueError, match=text):
        recombine(IMAGE, IMAGE[..., :7])


# Copies as experiments show them ----------------------------------------------------------


@st.composite
def colour_images(draw):
    """``(N, C, H, W)``, some wholly below 0."""
    x = noise(*draw(st.tuples(*[st.integers(1, n) for n in (4, 3, 9, 9)])), seed=draw(sizes))
    shift = [draw(st.sampled_from([0, 0.5, 1, 1.5])) for _ in x]
    return x - torch.tensor(shift, dtype=x.dtype)[:, None, None, None]


@given(colour_images())
def test_max_scale_against_the_oracle(x):
    before = x.clone()
    scaled = max_scale(x)
    np.testing.assert_allclose(scaled, oracle.max_scaled(x.numpy()), rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)
    for image, result in zip(x, scaled, strict=True):
        if image.max() > 0:
            assert result.max() == 1
        else:
            assert torch.equal(result, image)


def test_black_and_negative_images_stay():
    x = torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), -0.5), torch.full((3, 4, 4), 0.5)])
    assert max_scale(x).unique().tolist() == [-0.5, 0, 1]
    assert torch.equal(max_scale(x)[:2], x[:2])


@given(colour_images(), st.sampled_from([0.25, 255.0, 1000.0]))
def test_units_do_not_matter_to_max_scale(x, factor):
    positive = x[x.amax(dim=(1, 2, 3)) > 0]
    if len(positive):
        assert_close(max_scale(factor * positive), max_scale(positive))
    assert_close(max_scale(max_scale(x)), max_scale(x))


def test_max_scale_is_per_image_not_per_channel_or_batch():
    x = noise(2, 3, 3, 8, 8) * torch.tensor([0.1, 0.5, 1.0])[:, None, None]
    scaled = max_scale(x)
    for index in np.ndindex(2, 3):
        assert_close(scaled[index], x[index] / x[index].max())
        assert_close(scaled[index], max_scale(x[index]))


@each_dtype
@pytest.mark.parametrize("name", COMPONENTS)
def test_copies_keep_shape_dtype_and_device(name, dtype, device):
    x = noise(2, 3, 8, 9, dtype=dtype, device=device)
    mean = torch.zeros(3, 1, 1)  # wherever and whatever it is
    copies = component(x, name, 3, mean=mean)
    assert (copies.shape, copies.dtype, copies.device) == (x.shape, x.dtype, x.device)
    exact = component(x.double(), name, 3, mean=mean)
    assert_close(copies.double(), exact, dtype, scale=4 if name.endswith("scaled") else 1)


@both_paths
@pytest.mark.parametrize("name", COMPONENTS)
@given(colour_images(), radii)
def test_copies_against_the_oracle(name, x, radius):
    mean = torch.linspace(0.2, 0.7, x.shape[1], dtype=torch.float64)
    wanted = oracle.copies(x.numpy(), name, radius, mean.tolist())
    copies = component(x, name, radius, mean=mean[:, None, None]).numpy()
    if name.endswith("scaled"):  # leave out images of which only roundings are left to scale
        tops = oracle.copies(x.numpy(), name.split(",")[0], radius).max(axis=(1, 2, 3))
        copies, wanted = copies[abs(tops) > 1e-6], wanted[abs(tops) > 1e-6]
    np.testing.assert_allclose(copies, wanted, rtol=1e-5, atol=1e-8)


@given(colour_images(), radii)
def test_identities_of_copies(x, radius):
    mean = noise(x.shape[1], 1, 1, seed=1)
    low, high = component(x, "low", radius), component(x, "high", radius)
    assert torch.equal(low, low_pass(x, radius))
    assert torch.equal(high, high_pass(x, radius))
    assert_close(low + high, x)
    assert_close(component(x, "low + half high", radius), (x + low) / 2)
    assert_close(component(x, "high + mean", radius, mean=mean) - high, mean.expand_as(x))
    assert torch.equal(component(x, "low, scaled", radius), max_scale(low))
    assert torch.equal(component(x, "high, scaled", radius), max_scale(high))
    # A mean is for one kind of copies only.
    for name in COMPONENTS:
        if name != "high + mean":
            assert torch.equal(component(x, name, radius, mean=mean), component(x, name, radius))


def test_half_high_is_a_mask_of_a_half_in_fourier_space():
    x = noise(2, 3, 12, 10)
    copies = torch.fft.fft2(component(x, "low + half high", 3.5))
    inside = radial_mask(12, 10, 3.5)
    ratio = (copies / torch.fft.fft2(x)).real
    assert_close(ratio[..., inside], torch.ones_like(ratio[..., inside]), scale=100)
    assert_close(ratio[..., ~inside], torch.full_like(ratio[..., ~inside], 0.5), scale=100)


def test_mean_added_is_the_mean_of_the_copies():
    x, mean = noise(4, 3, 8, 8), torch.tensor([0.1, 0.5, 0.9]).double()[:, None, None]
    copies = component(x, "high + mean", 2, mean=mean)
    assert_close(copies.mean(dim=(-2, -1), keepdim=True), mean.expand(4, 3, 1, 1))


@pytest.mark.parametrize("name", ["", "Low", "middle", "low,scaled"])
def test_unknown_copies(name):
    text = f"^name must be one of low, high, high \\+ mean, low, scaled, .*, got {name!r}$"
    with pytest.raises(ValueError, match=text):
        component(IMAGE, name, 3)


def test_mean_is_needed():
    with pytest.raises(ValueError, match=r'^mean must be given for "high \+ mean", got None$'):
        component(IMAGE, "high + mean", 3)


@pytest.mark.parametrize("function", [max_scale, lambda x: component(x, "low, scaled", 3)])
def test_a_channel_axis_is_needed(function):
    with pytest.raises(ValueError, match=r"^x must have shape \(..., C, H, W\), got \(8, 8\)$"):
        function(noise(8, 8))


@pytest.mark.parametrize("function", [max_scale, lambda x: component(x, "low", 3)])
def test_copies_of_what_is_no_image(function):
    with pytest.raises(TypeError, match="x must be a floating-point tensor"):
        function(torch.zeros(3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="x must be finite"):
        function(torch.full((3, 8, 8), math.nan))


@pytest.mark.parametrize("name", COMPONENTS)
def test_radius_of_copies(name):
    with pytest.raises(ValueError, match=r"^radius must be a number >= 0"):
        component(IMAGE, name, -1, mean=torch.zeros(3, 1, 1))


def test_gradient_of_max_scale_is_finite_at_black_images():
    x = torch.stack([torch.zeros(1, 4, 4), torch.rand(1, 4, 4)]).requires_grad_()
    max_scale(x).sum().backward()
    assert x.grad[0].eq(1).all()
    assert x.grad.isfinite().all()
