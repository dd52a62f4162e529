"""Detectors of adversarial examples that look at frequencies, and what an attacker does then.

>>> import torch
>>> from hfc import models
>>> model = models.build("small", num_classes=10, width=8).eval()
>>> disagreement(model, torch.rand(2, 3, 32, 32), radius=4).shape
torch.Size([2])
"""

import numpy as np
import torch
from torch import Tensor, nn

from hfc.arguments import Images, checked
from hfc.evaluation import logits
from hfc.wrappers import OnComponent

__all__ = ["AgreedAnswer", "SpectralDetector", "disagreement"]


@checked
def disagreement(model: nn.Module, images: Images, radius: float) -> Tensor:
    """How far a model's answers to images and to their LFC copies are apart.

    Parameters
    ----------
    model : nn.Module
    images : Tensor
        ``(N, C, H, W)``, float.
    radius : float
        Of the low-pass, in waves per image.

    Returns
    -------
    Tensor
        ``(N,)``, float32 in [0, 1]: half of the sum over classes of the distance between both
        probabilities (total variation).

    Notes
    -----
    The idea of feature squeezing (Xu et al. 2018), with the low-pass as the squeezer.
    """
    low = OnComponent(model, "low", radius)
    first, second = (logits(which, images).softmax(dim=1) for which in (model, low))
    return (first - second).abs().sum(dim=1) / 2


class AgreedAnswer(nn.Module):
    """What a model says of an image and of its LFC copy alike: the target of an adaptive attack.

    Its logits are, class by class, the smaller of both log-probabilities. They are high for a wrong
    class only if the model believes in it both times, so an attack on them leads both answers to
    the same class, and :func:`disagreement` sees nothing.

    Parameters
    ----------
    model : nn.Module
    radius : float
        Of the low-pass, in waves per image.
    """

    @checked
    def __init__(self, model: nn.Module, radius: float):
        super().__init__()
        self.model, self.low = model, OnComponent(model, "low", radius)
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)`` for images ``(N, C, H, W)``."""
        both = (which(x).log_softmax(dim=1) for which in (self.model, self.low))
        return torch.minimum(*both)


class SpectralDetector:
    """Tells attacked images from clean ones by logistic regression on their amplitudes.

    >>> images = torch.rand(20, 3, 8, 8)
    >>> detector = SpectralDetector().fit(images, (images + 0.3 * torch.rand(20, 3, 8, 8)) / 1.3)
    >>> detector.scores(images).shape
    torch.Size([20])

    Notes
    -----
    Harder et al. 2021, "SpectralDefense", the variant that looks at input images (InputMFS). The
    regression is scikit-learn's.
    """

    def __init__(self):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._regression = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000, C=0.01)
        )
        self._shape = None

    @checked
    def fit(self, clean: Images, attacked: Images) -> "SpectralDetector":
        """Learn to tell attacked images from clean ones.

        Parameters
        ----------
        clean, attacked : Tensor
            ``(N, C, H, W)`` and ``(M, C, H, W)``, float.

        Returns
        -------
        SpectralDetector
            Itself.

        Raises
        ------
        ValueError
            If the images differ in shape.
        """
        if clean.shape[1:] != attacked.shape[1:]:
            wanted, got = tuple(clean.shape[1:]), tuple(attacked.shape[1:])
            raise ValueError(f"attacked must be images of shape {wanted} as clean, got {got}")
        self._shape = clean.shape[1:]
        seen = np.concatenate([_amplitudes(clean), _amplitudes(attacked)])
        self._regression.fit(seen, np.repeat([0, 1], [len(clean), len(attacked)]))
        return self

    @checked
    def scores(self, images: Images) -> Tensor:
        """How much images look attacked.

        Parameters
        ----------
        images : Tensor
            ``(N, C, H, W)``, float.

        Returns
        -------
        Tensor
            ``(N,)``, float32 in [0, 1]: the probability.

        Raises
        ------
        ValueError
            If nothing was fitted yet, or the images have another shape.
        """
        if self._shape is None:
            raise ValueError("fit must come before scores")
        if images.shape[1:] != self._shape:
            wanted, got = tuple(self._shape), tuple(images.shape[1:])
            raise ValueError(f"images must have shape {wanted} as those fitted, got {got}")
        found = self._regression.predict_proba(_amplitudes(images))[:, 1]
        return torch.from_numpy(found).float().to(images.device)


def _amplitudes(images):
    return torch.fft.rfft2(images.float()).abs().flatten(1).double().cpu().numpy()
