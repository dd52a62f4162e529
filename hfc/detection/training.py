"""Train a detector."""

import math
import os
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hfc import checkpoints
from hfc.arguments import Count, Seed, checked
from hfc.detection.sets import DetectionSet, of_one_size
from hfc.machine import progress_bar
from hfc.training import History

__all__ = ["fit_detector", "mirror"]


@checked
def fit_detector(
    model: nn.Module,
    data: DetectionSet,
    *,
    epochs: Count,
    batch_size: Count = 8,
    lr: float = 2e-3,
    seed: Seed = 0,
    prepare: Callable | None = None,
    resume: str | os.PathLike | None = None,
    progress: bool = True,
) -> History:
    """Train a detector in place.

    AdamW, a learning rate that rises for a quarter of the steps and falls to zero, gradients
    clipped to a norm of 1, pictures mirrored at random.

    Parameters
    ----------
    model : nn.Module
        As :func:`hfc.detection.networks.build_detector` returns it.
    data : DetectionSet
        The training set. The last, smaller batch of an epoch is left out.
    epochs, batch_size : int
    lr : float
        Learning rate, at its highest.
    seed : int
        Order and mirroring of the pictures. The initial weights are the model's.
    prepare : callable, optional
        What is done to a batch ``(n, 3, H, W)`` before the network sees it, a low-pass for
        example; it may draw from torch's global random state.
    resume : path, optional
        Checkpoint file, as in :func:`hfc.training.fit`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    History
        ``epoch``, ``loss`` (mean over the epoch) and ``seconds``.

    Raises
    ------
    ValueError
        If the set is smaller than a batch, ``lr`` is not above 0, or ``resume`` belongs to another
        training.
    FloatingPointError
        If the loss becomes NaN or infinite; the last good checkpoint stays.
    """
    if len(data) < batch_size:
        raise ValueError(
            f"data must hold at least one batch of {batch_size} images, got {len(data)}"
        )
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f"lr must be a finite number above 0, got {lr}")
    device = next(model.parameters()).device
    data = data.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    recipe = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    identity = {"recipe": recipe, "data": data.fingerprint, "model": repr(model)}
    history, steps = History(), len(data) // batch_size
    if resume is not None:
        history.rows = checkpoints.load(resume, model, optimizer, identity, device)
    done = len(history.rows)
    with progress_bar(
        epochs * steps,
        initial=done * steps,
        desc=f"training on {data.name}",
        unit="step",
        show=progress,
    ) as bar:
        for epoch in range(done, epochs):
            start, generator = time.perf_counter(), torch.Generator().manual_seed(seed)
            generator.manual_seed(int(torch.randint(2**62, (epoch + 1,), generator=generator)[-1]))
            model.train()
            total = 0.0
            order = torch.randperm(len(data), generator=generator)
            for step in range(steps):
                for group in optimizer.param_groups:
                    group["lr"] = lr * _triangle((epoch * steps + step + 0.5) / (epochs * steps))
                chosen = order[step * batch_size :][:batch_size].tolist()
                images, targets = _batch(data.take(chosen), prepare, generator)
                loss = sum(model(images, targets).values())
                if not loss.isfinite():
                    raise FloatingPointError(
                        f"loss became {loss.item()} in epoch {epoch + 1}; try a smaller lr"
                    )
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                total += loss.item()
                bar.update()
            row = {"epoch": epoch + 1, "loss": total / steps}
            history.rows.append(row | {"seconds": time.perf_counter() - start})
            if resume is not None:
                checkpoints.save(resume, model, optimizer, identity, history.rows)
            bar.set_postfix(epoch=epoch + 1, loss=f"{row['loss']:.3f}")
    model.eval()
    return history


def _triangle(part):
    """Share of the highest learning rate after this part of the training."""
    return min(part / 0.25, (1 - part) / 0.75)


def _batch(data, prepare, generator):
    """Images and targets as a detector takes them, half of them mirrored."""
    images = data.images if prepare is None else of_one_size(data.images, prepare)
    mirrored = (torch.rand(len(data), generator=generator) < 0.5).tolist()
    shown, targets = [], []
    for image, boxes, labels, flip in zip(images, data.boxes, data.labels, mirrored, strict=True):
        shown.append(image.flip(-1) if flip else image)
        targets.append({"boxes": mirror(boxes, image.shape[-1]) if flip else boxes})
        targets[-1]["labels"] = labels
    return shown, targets


@checked
def mirror(boxes: Tensor, width: Count) -> Tensor:
    """Boxes of a picture that is mirrored left to right.

    Parameters
    ----------
    boxes : Tensor
        ``(n, 4)``: corners x1, y1, x2, y2 in pixels.
    width : int
        Of the picture, in pixels.

    Returns
    -------
    Tensor
        ``(n, 4)``, in the same order.
    """
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=1)
