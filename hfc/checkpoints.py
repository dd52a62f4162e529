"""A training that was stopped, or finished, as a file: whole, sealed, and of one training only."""

import copy
import hashlib
import io
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from hfc.files import write_whole

__all__ = ["load", "save"]


def save(
    path: str | os.PathLike,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: dict,
    rows: list[dict],
) -> None:
    """Write a checkpoint whole, with its checksum.

    Parameters
    ----------
    path : path
    model, optimizer
        Their states are kept.
    identity : dict
        What the training is: ``recipe`` (a dict), ``data`` and ``model``.
    rows : list of dict
        What happened in each epoch so far.
    """
    buffer = io.BytesIO()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rows": rows}
    torch.save(state | {"identity": identity}, buffer)
    content = buffer.getvalue()
    write_whole(path, hashlib.sha256(content).digest() + content)


def load(
    path: str | os.PathLike,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: dict,
    device: torch.device,
) -> list[dict]:
    """Put a checkpoint into model and optimizer.

    Parameters
    ----------
    path, model, optimizer, identity
        As in :func:`save`.
    device : torch.device

    Returns
    -------
    list of dict
        The rows so far; none, with model and optimizer as they came, if there is no file, or if
        it is damaged, which is warned of.

    Raises
    ------
    ValueError
        If it is a checkpoint of another training; the text says what is different.
    """
    if not Path(path).exists():
        return []
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    try:
        content = Path(path).read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:  # torch.load would not notice
            raise ValueError("its checksum does not match")
        checkpoint = torch.load(io.BytesIO(content[32:]), map_location=device, weights_only=True)
        different = _different(checkpoint["identity"], identity)
        rows = checkpoint["rows"]
        if not different:
            model.load_state_dict(checkpoint["model"])
            optimizer.load_state_dict(checkpoint["optimizer"])
            _check_training(model, optimizer, rows, identity["recipe"]["epochs"])
    except Exception as error:  # whatever a damaged file makes torch raise
        model.load_state_dict(before[0])
        optimizer.load_state_dict(before[1])
        reason = str(error).partition("\n")[0] or type(error).__name__
        warnings.warn(f"resume: {path} is damaged ({reason}); starting afresh", stacklevel=4)
        return []
    if different:
        raise ValueError(f"resume: {path} is of another training (different {different})")
    return rows


def _check_training(model, optimizer, rows, epochs):
    """Refuse the state of a training that cannot have been saved so."""
    if [row["epoch"] for row in list(rows)] != list(range(1, len(rows) + 1)) or len(rows) > epochs:
        raise ValueError("its epochs are not in order")
    if not isinstance(rows, list) or not all({"loss", "seconds"} <= {*row} for row in rows):
        raise ValueError("its rows are no epochs")
    if not all(weight.isfinite().all() for weight in model.state_dict().values()):
        raise ValueError("its weights are not finite")
    for group in optimizer.param_groups:
        if not {*optimizer.defaults} <= {*group}:
            raise ValueError("its optimizer is incomplete")
    for weight, state in optimizer.state.items():
        for kept in state.values():
            if isinstance(kept, Tensor) and kept.ndim and kept.shape != weight.shape:
                raise ValueError("its optimizer is of another model")


def _different(found, identity):
    """In what a checkpoint's training differs from this one, in words; empty if in nothing."""
    wanted, had = identity["recipe"], found["recipe"]
    names = [k for k in wanted if k not in had or wanted[k] != had[k]]
    names += [] if found["data"] == identity["data"] else ["data set"]
    names += [] if names or found["model"] == identity["model"] else ["model"]
    return ", ".join(names)
