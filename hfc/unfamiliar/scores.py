"""How unfamiliar an image is to a classifier, and how well such scores tell sets apart."""

import torch
from torch import Tensor, nn

from hfc.arguments import Images, Labels, checked
from hfc.compat import import_torchvision
from hfc.evaluation import logits
from hfc.models import check_labels

__all__ = ["SCORES", "calibration_error", "features", "outlier_scores", "separation"]

SCORES = ("max softmax", "max logit", "energy", "KNN")
_BINS = 15


@checked
def outlier_scores(
    model: nn.Module, images: Images, score: str, *, familiar: Images | None = None
) -> Tensor:
    """How unfamiliar images are to a model, by a detector of pytorch-ood.

    Parameters
    ----------
    model : nn.Module
    images : Tensor
        ``(N, C, H, W)``, float. Components may leave [0, 1].
    score : str
        ``"max softmax"`` (Hendrycks and Gimpel 2017), ``"max logit"`` (Hendrycks et al. 2022),
        ``"energy"`` (Liu et al. 2020) or ``"KNN"``: distance of the image's features to the 50th
        nearest of ``familiar`` images (Sun et al. 2022).
    familiar : Tensor, optional
        ``(M, C, H, W)``: training images; for ``"KNN"`` only, at least 50.

    Returns
    -------
    Tensor
        ``(N,)``, float32, finite; the higher, the more unfamiliar.

    Raises
    ------
    ValueError
        If the score is unknown, ``familiar`` is missing or of no use, or the model does not
        answer with finite logits.
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got {score!r}")
    if (familiar is not None) != (score == "KNN"):
        wanted = "given" if score == "KNN" else "left out"
        raise ValueError(f"familiar must be {wanted} for {score!r}")
    if familiar is not None and len(familiar) < 50:
        raise ValueError(f"familiar must hold at least 50 images, got {len(familiar)}")
    import_torchvision()
    from pytorch_ood.detector import KNN, EnergyBased, MaxLogit, MaxSoftmax

    if score == "KNN":
        known = features(model, familiar).cpu()
        detector = KNN(None).fit_features(known, torch.zeros(len(known), dtype=torch.int64))
        return detector.predict_features(features(model, images).cpu()).float().to(images.device)
    detector = {"max softmax": MaxSoftmax, "max logit": MaxLogit, "energy": EnergyBased}[score]
    return detector(None).predict_logits(logits(model, images)).float()


@checked
def features(model: nn.Module, images: Images) -> Tensor:
    """What the last linear layer of a model sees.

    Returns
    -------
    Tensor
        ``(N, features)``, float32.

    Raises
    ------
    ValueError
        If the model has no linear layer, or fails as in :func:`hfc.evaluation.logits`.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError("model must have a linear layer, got none")
    seen = []
    hook = layers[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        logits(model, images)
    finally:
        hook.remove()
    return torch.cat(seen).detach().float()


@checked
def separation(familiar: Tensor, unfamiliar: Tensor) -> dict:
    """How well a score tells unfamiliar images from familiar ones.

    Parameters
    ----------
    familiar, unfamiliar : Tensor
        ``(N,)`` and ``(M,)``, float: scores, higher for what is more unfamiliar.

    Returns
    -------
    dict of str to float
        ``AUROC`` in [0, 1], ties counted half; ``FPR95``, the share of the unfamiliar that passes
        for familiar where 95 % of the familiar do.

    Raises
    ------
    ValueError
        If one of them is empty or holds NaN.
    """
    for name, scores in (("familiar", familiar), ("unfamiliar", unfamiliar)):
        if scores.ndim != 1 or not len(scores) or scores.isnan().any():
            got = f"shape {tuple(scores.shape)}, {int(scores.isnan().sum())} NaN"
            raise ValueError(
                f"{name} must be scores of shape (N,), no NaN, at least one, got {got}"
            )
    import_torchvision()
    from pytorch_ood.metrics.functional import auroc, fpr_at_tpr

    scores = torch.cat([familiar, unfamiliar]).cpu()
    outside = torch.cat([torch.zeros(len(familiar)), torch.ones(len(unfamiliar))]).long()
    return {
        "AUROC": auroc(scores, -outside).item(),
        # Its positives are what it calls out of distribution: here the familiar, by minus the score
        "FPR95": fpr_at_tpr(-scores, outside - 1, 0.95).item(),
    }


@checked
def calibration_error(found: Tensor, labels: Labels) -> float:
    """Expected calibration error of logits: how far confidence is from accuracy.

    Parameters
    ----------
    found : Tensor
        ``(N, classes)``, float: logits.
    labels : Tensor
        ``(N,)``, int64.

    Returns
    -------
    float
        In [0, 1]: mean distance over 15 bins of confidence, weighted by how many fall into each.

    Raises
    ------
    ValueError
        If a label names none of the classes.

    Notes
    -----
    Guo et al. 2017, "On calibration of modern neural networks"; by torchmetrics.
    """
    check_labels(labels, found.shape[1])
    import_torchvision()
    from torchmetrics.functional.classification import multiclass_calibration_error

    error = multiclass_calibration_error(
        found.softmax(dim=1), labels, num_classes=found.shape[1], n_bins=_BINS, norm="l1"
    )
    return error.item()
