"""Which code a number depends on, as a digest: no import but the standard library's."""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

__all__ = ["closure", "code_hash", "digest"]

_PACKAGE = Path(__file__).resolve().parent.parent


def digest(content) -> str:
    """The sha256 of what JSON can hold, however its keys are ordered."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
            left += _read(path.read_bytes(), package)[0]
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
    files = closure(modules, package).items()
    return digest({name: _read(path.read_bytes(), package)[1] for name, path in files})[:16]


@lru_cache(maxsize=1000)
def _read(content, package):
    """What a file imports, and the digest of what it does."""
    tree = ast.parse(content)
    return list(_imports(tree, package)), digest(_code(tree))


def _code(node):
    """Syntax tree as lists. Empty fields are left out, since versions of Python differ in them."""
    if isinstance(node, list):
        return [_code(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = dict(ast.iter_fields(node))
    body = parts.get("body")
    if isinstance(body, list):
        parts["body"] = [part for part in body if not _is_text(part)]
    kept = {name: part for name, part in parts.items() if part not in (None, [])}
    return [type(node).__name__, {name: _code(part) for name, part in kept.items()}]


def _is_text(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
