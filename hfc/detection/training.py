"""Train a detector."""

import math
import os
import time

import torch
from torch import Tensor, nn

from hfc import checkpoints
from hfc.arguments import Count, Seed, checked
from hfc.detection.sets import DetectionSet, components
from hfc.machine import progress_bar
from hfc.training import SCHEDULES, History

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
    trained_on: str | None = None,
    train_radius: float | None = None,
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
    trained_on, train_radius : str and float, optional
        Name and radius of a component (:func:`hfc.frequency.component`) that takes the place of
        every picture; a mean colour is that of ``data``. Both or none.
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
        If the set is smaller than a batch, ``lr`` is not above 0, a component lacks its radius or
        is unknown, or ``resume`` belongs to another training.
    FloatingPointError
        If the loss becomes NaN or infinite; the last good checkpoint stays.
    """
    if len(data) < batch_size:
        raise ValueError(
            f"data must hold at least one batch of {batch_size} images, got {len(data)}"
        )
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f"lr must be a finite number above 0, got {lr}")
    if (trained_on is None) != (train_radius is None):
        raise ValueError(
            f"trained_on and train_radius must come together, got {trained_on} and {train_radius}"
        )
    recipe = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    recipe |= {"trained_on": trained_on, "train_radius": train_radius}
    identity = {"recipe": recipe, "data": data.fingerprint, "model": repr(model)}
    device = next(model.parameters()).device
    data = data.to(device)
    images = data.images
    if trained_on is not None:
        images = components(images, trained_on, train_radius, mean=data.mean_colour)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
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
            history.rows.append(_epoch(model, images, data, recipe, optimizer, epoch, bar))
            if resume is not None:
                checkpoints.save(resume, model, optimizer, identity, history.rows)
            bar.set_postfix(epoch=epoch + 1, loss=f"{history.rows[-1]['loss']:.3f}")
    model.eval()
    return history


def _epoch(model, images, data, recipe, optimizer, epoch, bar):
    start, total, size = time.perf_counter(), 0.0, recipe["batch_size"]
    model.train()
    # Each epoch has a random stream of its own, so that a resumed training repeats it.
    generator = torch.Generator().manual_seed(recipe["seed"] * 10_000 + epoch)
    order = torch.randperm(len(data), generator=generator)
    steps = len(data) // size
    for step in range(steps):
        part = (epoch * steps + step + 0.5) / (recipe["epochs"] * steps)
        for group in optimizer.param_groups:
            group["lr"] = recipe["lr"] * SCHEDULES["triangle"](part)
        chosen = order[step * size : (step + 1) * size].tolist()
        loss = sum(model(*_batch(images, data, chosen, generator)).values())
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
    seconds = time.perf_counter() - start
    return {"epoch": epoch + 1, "loss": total / steps, "seconds": seconds}


def _batch(images, data, chosen, generator):
    """Images and targets as a detector takes them, about half of them mirrored."""
    mirrored = (torch.rand(len(chosen), generator=generator) < 0.5).tolist()
    shown, targets = [], []
    for k, flip in zip(chosen, mirrored, strict=True):
        image, boxes = images[k], data.boxes[k]
        if flip:
            image, boxes = image.flip(-1), mirror(boxes, image.shape[-1])
        shown.append(image)
        targets.append({"boxes": boxes, "labels": data.labels[k]})
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
