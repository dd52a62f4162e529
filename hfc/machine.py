"""The machine that computes: its device, its threads, and the bar that shows its progress."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from tqdm.auto import tqdm

__all__ = ["autocast", "default_device", "progress_bar", "threads", "using_threads"]


def default_device() -> torch.device:
    """The GPU if PyTorch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device) -> torch.autocast:
    """Context for forward passes: bfloat16 where ``device`` computes in it, else float32."""
    device = torch.device(device)
    if device.type == "cuda":
        enabled = torch.cuda.is_bf16_supported()
    else:
        # torch has no public question for this.
        enabled = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def threads() -> int:
    """Threads that the environment allows one process: ``OMP_NUM_THREADS``, by default 1.

    Raises
    ------
    ValueError
        If the variable is set to anything but a whole number of at least 1.
    """
    text = os.environ.get("OMP_NUM_THREADS", "1")
    if not (text.isdecimal() and int(text) >= 1):
        raise ValueError(f"OMP_NUM_THREADS must be a whole number of at least 1, got {text!r}")
    return int(text)


@contextmanager
def using_threads(n: int) -> Iterator[None]:
    """Let PyTorch compute with ``n`` threads, and with as many as before afterwards.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    ValueError
        If ``n`` is below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def progress_bar(total: int, *, initial: int = 0, desc: str, unit: str, show: bool = True):
    """Progress bar for a terminal or a notebook, which goes away when it is done.

    Parameters
    ----------
    total, initial : int
        Steps in all, and steps done before.
    desc, unit : str
        What is counted.
    show : bool
        ``False``, or the environment variable ``TQDM_DISABLE``, hides the bar.

    Returns
    -------
    tqdm.tqdm
    """
    # tqdm itself heeds the variable in terminals only.
    hidden = not show or bool(os.environ.get("TQDM_DISABLE"))
    return tqdm(total=total, initial=initial, desc=desc, unit=unit, leave=False, disable=hidden)
