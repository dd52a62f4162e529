"""Where numbers come from: versions, machine and commit."""

import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

__all__ = ["provenance", "versions"]

_PACKAGE = Path(__file__).resolve().parent.parent


def versions() -> dict[str, str]:
    """Versions of the libraries that numbers depend on, without the build ("+cpu")."""
    return {name: metadata.version(name).split("+")[0] for name in ("torch", "numpy")}


def provenance(device, threads: int, code: str) -> dict:
    """What to know about a measurement that begins now.

    Parameters
    ----------
    device : torch.device
    threads : int
        Threads of the computation.
    code : str
        :func:`hfc.study.code.code_hash` of what computes it. Ask before a long run: files may be
        edited while it runs.

    Returns
    -------
    dict
        Device, threads, machine, versions, commit and code; JSON can hold it.
    """
    device = torch.device(device)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": threads,
        "machine": platform.machine(),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")},
        "commit": _commit(),
        "code": code,
    }


@lru_cache(maxsize=1)
def _commit():
    """Commit of the checkout that tracks this file, with a "+" if code differs; else None."""
    git = ["git", "-C", str(_PACKAGE)]

    def said(*arguments):
        return subprocess.run([*git, *arguments], capture_output=True, text=True, check=True).stdout

    try:
        said("ls-files", "--error-unmatch", Path(__file__).resolve().as_posix())
        commit = said("rev-parse", "--short=12", "HEAD").strip()
        changed = said("status", "--porcelain", "--", "*.py").strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")
