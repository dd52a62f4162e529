"""Where numbers come from: the code that made them, versions, machine and commit."""

import ast
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

__all__ = ["closure", "code_hash", "digest", "provenance", "versions"]

_PACKAGE = Path(__file__).resolve().parent.parent


def digest(content) -> str:
    """The sha256 of what JSON can hold, however its keys are ordered."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
        :func:`code_hash` of what computes it. Ask before a long run: files may be edited while
        it runs.

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


def closure(modules: Iterable[str], package: Path = _PACKAGE) -> dict[str, Path]:
    """Modules of the package that some modules import, however deep, and these themselves.

    Parameters
    ----------
    modules : iterable of str
        Full names, such as ``"hfc.evaluation"``.
    package : Path
        The folder of ``hfc``.

    Returns
    -------
    dict of str to Path
        Files by module, sorted. An import counts wherever it stands, inside functions too.
        What a package's ``__init__`` merely re-exports counts where it is imported from there.
    """
    found, left = {}, list(modules)
    while left:
        name = left.pop()
        path = _file(name, package)
        if name not in found and path is not None:
            found[name] = path
            left += _imports(ast.parse(path.read_text()), package)
    return dict(sorted(found.items()))


def _file(name, package):
    """File of a module of the package; None for another, and for what is no module."""
    top, *parts = name.split(".")
    if top != package.name or not parts:
        return None
    place = package.joinpath(*parts)
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(tree, package):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in names if _file(name, package) is not None]
            yield from modules
            if len(modules) < len(names):  # something that is defined in the module itself
                yield node.module


def code_hash(modules: tuple[str, ...], package: Path = _PACKAGE) -> str:
    """First 16 digits of the sha256 of what some modules and their :func:`closure` do.

    Comments, docstrings and layout do not count, nor does the version of Python that asks.
    """
    code = {
        name: _code(ast.parse(path.read_text())) for name, path in closure(modules, package).items()
    }
    return digest(code)[:16]


def _code(node):
    """Syntax tree as lists. Empty fields are left out, since versions of Python differ in them."""
    if isinstance(node, list):
        return [_code(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = dict(ast.iter_fields(node))
    body = parts.get("body")
    if isinstance(body, list) and body and _is_text(body[0]):
        parts["body"] = body[1:]
    kept = {name: part for name, part in parts.items() if part not in (None, [])}
    return [type(node).__name__, {name: _code(part) for name, part in kept.items()}]


def _is_text(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


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
