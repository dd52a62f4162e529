"""What chapter 2's claims are judged by: estimates for the steps in ``claims.toml``."""

from functools import partial

import torch

from hfc.frequency import radial_mask, split
from hfc.study.criteria import Estimate

__all__ = ["RULES"]


def _definition(claim):
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    close = partial(torch.allclose, atol=1e-5)
    holds = True
    for radius in (4, 8, 12, 16):
        inside = sum(
            u * u + v * v <= radius * radius for u in range(-16, 16) for v in range(-16, 16)
        )
        low, high = split(x, radius)
        mask = radial_mask(32, 32, radius)
        masked = torch.fft.ifft2(torch.fft.fft2(x) * mask).real
        holds &= mask.sum().item() == inside and close(low, masked) and close(low + high, x)
    return {"mask": bool(holds)}


def _observation(claim, result):
    raw = result.at(copies="raw")
    images, constant = {}, {}
    for radius in (r for r in raw.labels("radius") if r >= 4):
        at, label = raw.at(radius=radius), f"r = {radius:g}"
        n = round(at.n.mean)
        # Every seed is tested on the same images.
        share = partial(Estimate.of, images=n, fixed=True)
        images[label] = share((at.only_high_and_original / n).values)
        constant[label] = share(((at.only_high + at.both - at.high_constant) / n).values)
    return {"images": images, "constant": constant}


RULES = {
    "C01": _definition,
    "C02": _observation,
    "C23": lambda claim, result: {},
}
