"""Time ``hfc.frequency`` against other ways to do the same. README.md says how to read it."""

import math

import numpy as np
import pytest
import scipy.fft
import torch

import hfc.frequency as frequency
from hfc.frequency import low_pass, radial_mask, split
from tests.oracles import frequency as oracle

RADIUS = 8
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def random_images(*shape, device="cpu"):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)


def authors_loop(x):
    return oracle.split(x, RADIUS, closed=True)


def fft2(x):
    mask = torch.fft.fftshift(radial_mask(*x.shape[-2:], RADIUS, device=x.device))
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1)) * mask
    low = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real
    return low, x - low


def rfft2(x):
    mask = radial_mask(*x.shape[-2:], RADIUS, device=x.device)[:, : x.shape[-1] // 2 + 1]
    low = torch.fft.irfft2(torch.fft.rfft2(x) * mask, s=x.shape[-2:])
    return low, x - low


def scipy_fft(x):
    x = x.numpy()
    mask = radial_mask(*x.shape[-2:], RADIUS)[:, : x.shape[-1] // 2 + 1].numpy()
    low = scipy.fft.irfft2(scipy.fft.rfft2(x, workers=2) * mask, s=x.shape[-2:], workers=2)
    return low, x - low


def two_copies(x):
    return x.clone(), x.clone()


CPU = {
    "hfc.split": lambda x: split(x, RADIUS),
    "two copies": two_copies,
    "torch fft2 + fftshift": fft2,
    "torch rfft2": rfft2,
    "scipy rfft2, 2 workers": scipy_fft,
    "authors' loop": authors_loop,
}


@pytest.mark.parametrize("name", CPU)
def test_split_on_the_cpu(name, timed):
    x = random_images(4000, 3, 32, 32)
    group = f"split 4,000 CIFAR-size images, r = 8, {torch.get_num_threads()} threads"
    rounds = 1 if name == "authors' loop" else 15
    low, high = timed(CPU[name], x, group=group, name=name, rounds=rounds)
    if name != "two copies":
        expected_low, expected_high = split(x, RADIUS)
        np.testing.assert_allclose(low, expected_low, atol=1e-5)
        np.testing.assert_allclose(high, expected_high, atol=1e-5)


@needs_cuda
@pytest.mark.parametrize(
    "name", ["hfc.split", "two copies", "torch fft2 + fftshift", "torch rfft2"]
)
def test_split_on_cuda(name, timed):
    def run(x):
        result = CPU[name](x)
        torch.cuda.synchronize()
        return result

    x = random_images(50_000, 3, 32, 32, device="cuda")
    group = f"split 50,000 CIFAR-size images, r = 8, {torch.cuda.get_device_name()}"
    timed(run, x, group=group, name=name)


# Where the matrices stop to pay. Their cost for a pixel grows with the number of waves to the
# right, 2 r + 1, that of the FFT with the logarithm of the size.
@pytest.mark.parametrize("path", ["matrices", "fft"])
@pytest.mark.parametrize("radius", [8, 16, 32, 64])
@pytest.mark.parametrize("size", [32, 64, 128, 256, 512])
def test_matrices_or_fft(size, radius, path, timed, monkeypatch):
    if 2 * radius > size:
        pytest.skip("there are no such waves")
    monkeypatch.setattr(frequency, "_LARGEST_OPERATOR", math.inf)
    monkeypatch.setattr(frequency, "_MOST_WAVES", {"matrices": math.inf, "fft": 0}[path])
    x = random_images(2**22 // size**2, size, size)  # always 16 MB
    group = f"low_pass {2**22 // size**2:,} images of {size} x {size}, r = {radius}"
    timed(low_pass, x, radius, group=group, name=path, rounds=5)
