"""The rules of chapter 2's claims, as ``claims.toml`` words them."""

from functools import partial

import torch

from hfc.frequency import radial_mask, split

__all__ = ["RULES"]


def _definition(claim):
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    close = partial(torch.allclose, atol=1e-5)
    for radius in (4, 8, 12, 16):
        inside = sum(
            u * u + v * v <= radius * radius for u in range(-16, 16) for v in range(-16, 16)
        )
        low, high = split(x, radius)
        mask = radial_mask(32, 32, radius)
        masked = torch.fft.ifft2(torch.fft.fft2(x) * mask).real
        if mask.sum() != inside or not close(low, masked) or not close(low + high, x):
            return "not"
    return "reproduced"


def _observation(claim, result):
    raw = result.at(copies="raw")
    verdict = "not"
    for radius in (r for r in raw.labels("radius") if r >= 4):
        at = raw.at(radius=radius)
        images = at.only_high_and_original * (10_000 / at.n.mean)
        if not (at.only_high + at.both - at.high_constant).clearly_above():
            continue
        if images.low >= claim["paper_images"]:
            return "reproduced"
        if images.clearly_above():
            verdict = "partly"
    return verdict


RULES = {
    "C01": _definition,
    "C02": _observation,
    "C23": lambda claim, result: "adopted",
}
