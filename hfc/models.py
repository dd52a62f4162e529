"""Networks that take pixels in [0, 1] and return logits; normalisation is inside.

>>> import torch
>>> model = build("small", num_classes=10)
>>> model(torch.rand(2, 3, 32, 32)).shape
torch.Size([2, 10])
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

from hfc.arguments import checked

__all__ = ["NAMES", "build", "check_labels", "check_pixels", "evaluation_mode", "frozen"]


@checked
def build(
    name: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    norm: str | None = "batch",
    dropout: float = 0.0,
    width: int | None = None,
    normalise: bool = True,
    kernel_size: int | None = None,
) -> nn.Module:
    """Build a network with fresh random weights (from torch's global random state).

    Parameters
    ----------
    name : str
        ``"small"``: four convolutions, the first 5x5 with stride 2; seconds on a laptop.
        ``"plain"``: four 3x3 convolutions, pooled by maxima in between, the first at full
        resolution, so that no frequency is lost before it: a minute for ten epochs of 20,000
        images on one core.
        ``"convnet"``: seven 3x3 convolutions in three stages, the shape of a CIFAR speed-run
        network at half its width; 91 % on CIFAR-10 in minutes on two cores.
        ``"resnet18"``: the CIFAR-sized ResNet-18 that most re-runs use.
        ``"resnet32"``: the authors' "ResNet-18", which is a 32-layer pre-activation network
        with average-pooled, zero-padded shortcuts.
        ``"resnet32-authors"``: the same with the details of the authors' code: no biases, Xavier
        weights, TensorFlow's padding, no normalisation before the last activation.
        ``"lenet"``, ``"alexnet"``, ``"vgg"``: the classics for 32x32 images. LeNet-5 with 8 and
        16 channels; AlexNet's five convolutions and VGG-11's eight at a quarter to a half of
        their width.
    num_classes, in_channels : int
        Sizes of the output and of the input's channel axis.
    norm : {"batch", "group", None}
        Normalisation after (``resnet32``: before) convolutions; ``None`` leaves it out.
    dropout : float
        Probability of dropping a feature before the last layer, 0 to below 1.
    width : int, optional
        Channels of the first stage; default 24, 16, 32, 64, 16, 16, 8, 32 and 32, in the order
        above.
    normalise : bool
        Whether pixels are first shifted and stretched to values around 0; ``False`` feeds them
        as they are, like the authors' code.
    kernel_size : {3, 5, 7}, optional
        Height and width, in pixels, of the first convolution's kernels; default 5 for ``small``,
        ``lenet`` and ``alexnet``, 3 for the others. No map changes its size.

    Returns
    -------
    nn.Module
        Maps ``(N, in_channels, H, W)`` float in [0, 1], H and W at least 8, to logits
        ``(N, num_classes)``.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Wang et al. 2020, section 4 (``resnet32``, with ``norm=None``, as their code has it).
    """
    if name not in _BUILDERS:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    if norm not in ("batch", "group", None):
        raise ValueError(f'norm must be "batch", "group" or None, got {norm!r}')
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
    for argument, size in (("num_classes", num_classes), ("in_channels", in_channels)):
        if size < 1:
            raise ValueError(f"{argument} must be at least 1, got {size}")
    builder, default_width, default_size = _BUILDERS[name]
    width = default_width if width is None else width
    if width < 8 or width % 8:
        raise ValueError(f"width must be a positive multiple of 8, got {width}")
    kernel_size = default_size if kernel_size is None else kernel_size
    if kernel_size not in (3, 5, 7):
        raise ValueError(f"kernel_size must be 3, 5 or 7, got {kernel_size}")
    features, size = builder(in_channels, width, norm, kernel_size)
    head = [nn.Dropout(dropout), nn.Linear(size, num_classes)]
    first = _Normalise() if normalise else nn.Identity()
    model = nn.Sequential(first, *features, *head)
    if name == "resnet32-authors":
        _as_the_authors(model)
    return model


@contextmanager
def evaluation_mode(*models: nn.Module) -> Iterator[None]:
    """Put models into evaluation mode; afterwards every layer is in the mode it came in."""
    modes = [(module, module.training) for model in models for module in model.modules()]
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def frozen(*models: nn.Module) -> Iterator[None]:
    """Spare the gradients of weights, while those of images are wanted."""
    weights = [p for model in models for p in model.parameters() if p.requires_grad]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def check_pixels(images: Tensor) -> None:
    """Refuse images with pixels outside [0, 1].

    Raises
    ------
    ValueError
        If there is one, or it is NaN.
    """
    low, high = images.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images must hold pixels in [0, 1], got [{low:.3g}, {high:.3g}]")


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Refuse labels, ``(N,)`` int64, that name none of a model's classes.

    Raises
    ------
    ValueError
        If a label is negative (-100 would silence PyTorch's loss) or too large.
    """
    low, high = labels.aminmax()
    if low < 0 or high >= num_classes:
        wanted, got = f"from 0 to {num_classes - 1}", f"from {low} to {high}"
        raise ValueError(f"labels must name classes of model, {wanted}, got values {got}")


class _Normalise(nn.Module):
    """Pixels in [0, 1] to values around 0, about one deviation wide."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5) / 0.25


def _pool(size):
    """A map of ``size`` x ``size`` averages, flat."""
    return [nn.AdaptiveAvgPool2d(size), nn.Flatten()]


def _conv(in_channels, out_channels, norm, *, size=3, stride=1, activation=nn.ReLU):
    padding = (size - 1) // 2
    bias = norm is None
    conv = nn.Conv2d(in_channels, out_channels, size, stride, padding, bias=bias)
    return nn.Sequential(conv, *_norm(norm, out_channels), activation())


def _norm(norm, channels):
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "group":
        return [nn.GroupNorm(8, channels)]
    return []


def _small(in_channels, width, norm, size):
    return [
        _conv(in_channels, width, norm, size=size, stride=2),
        _conv(width, 32, norm),
        nn.MaxPool2d(2),
        _conv(32, 64, norm),
        _conv(64, 64, norm),
        nn.MaxPool2d(2),
        *_pool(2),  # keeps a 2x2 map, so that it knows where a shape's parts are
    ], 4 * 64


def _plain(in_channels, width, norm, size):
    layers, channels = [], in_channels
    for stage in (1, 2, 2, 4):
        if layers:
            layers.append(nn.MaxPool2d(2))
        own = size if not layers else 3
        layers.append(_conv(channels, stage * width, norm, size=own, activation=nn.GELU))
        channels = stage * width
    return [*layers, *_pool(2)], 4 * channels


def _convnet(in_channels, width, norm, size):
    layers = [_conv(in_channels, 24, norm, size=size, activation=nn.GELU)]
    channels = 24
    for stage in (width, 4 * width, 4 * width):
        layers += [
            _conv(channels, stage, norm, activation=nn.GELU),
            nn.MaxPool2d(2),
            _conv(stage, stage, norm, activation=nn.GELU),
        ]
        channels = stage
    return [*layers, *_pool(1)], channels


class _BasicBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride, norm):
        super().__init__()
        self.first = _conv(in_channels, out_channels, norm, stride=stride)
        second = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=norm is None)
        self.second = nn.Sequential(second, *_norm(norm, out_channels))
        self.shortcut = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            one = nn.Conv2d(in_channels, out_channels, 1, stride, bias=norm is None)
            self.shortcut = nn.Sequential(one, *_norm(norm, out_channels))

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


def _resnet18(in_channels, width, norm, size):
    layers, channels = [_conv(in_channels, width, norm, size=size)], width
    for stage in range(4):
        for block in range(2):
            out = width * 2**stage
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(_BasicBlock(channels, out, stride, norm))
            channels = out
    return [*layers, *_pool(1)], channels


class _PreActivationBlock(nn.Module):
    """Normalise, activate, convolve, twice; the first block of all skips its activation."""

    def __init__(self, in_channels, out_channels, stride, norm, *, first=False):
        super().__init__()
        before = [] if first else [*_norm(norm, in_channels), nn.ReLU()]
        self.residual = nn.Sequential(
            *before,
            nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=norm is None),
            *_norm(norm, out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=norm is None),
        )
        self.stride, self.extra = stride, out_channels - in_channels

    def forward(self, x):
        shortcut = F.avg_pool2d(x, self.stride, ceil_mode=True) if self.stride > 1 else x
        # New channels start as zeros on both sides of the old ones.
        shortcut = F.pad(shortcut, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return shortcut + self.residual(x)


def _resnet32(in_channels, width, norm, size):
    layers, channels = [_conv(in_channels, width, norm, size=size)], width
    for stage in range(3):
        for block in range(5):
            out = width * 2**stage
            stride = 2 if stage > 0 and block == 0 else 1
            first = stage == block == 0
            layers.append(_PreActivationBlock(channels, out, stride, norm, first=first))
            channels = out
    return [*layers, *_norm(norm, channels), nn.ReLU(), *_pool(1)], channels


def _resnet32_authors(in_channels, width, norm, size):
    layers, channels = _resnet32(in_channels, width, norm, size)
    last = layers.index(next(layer for layer in layers if isinstance(layer, nn.ReLU)))
    return layers[: last - len(_norm(norm, channels))] + layers[last:], channels


class _SamePadded(nn.Conv2d):
    """A convolution of stride 2 that is padded behind only, as TensorFlow pads even sizes."""

    def forward(self, x):
        rest = [(size - 1) % 2 for size in x.shape[-2:]]  # odd sizes are padded before, too
        return super().forward(F.pad(x, (1 - rest[1], 1, 1 - rest[0], 1)))


def _as_the_authors(model):
    """Details of the authors' code, in place: weights, biases, padding, epsilon."""
    for block in model.modules():
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
                size, channels = layer.kernel_size, (layer.in_channels, layer.out_channels)
                block[int(name)] = _SamePadded(*channels, size, stride=2)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.bias = None
            nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            layer.eps = 1e-3
        elif isinstance(layer, nn.Linear):
            bound = (3 / layer.in_features) ** 0.5
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)


def _lenet(in_channels, width, norm, size):
    return [
        _conv(in_channels, width, norm, size=size),
        nn.MaxPool2d(2),
        _conv(width, 2 * width, norm, size=5),
        nn.MaxPool2d(2),
        *_pool(4),
        nn.Sequential(nn.Linear(16 * 2 * width, 120), nn.ReLU()),
        nn.Sequential(nn.Linear(120, 84), nn.ReLU()),
    ], 84


def _alexnet(in_channels, width, norm, size):
    return [
        _conv(in_channels, width, norm, size=size),
        nn.MaxPool2d(2),
        _conv(width, 3 * width, norm, size=5),
        nn.MaxPool2d(2),
        _conv(3 * width, 6 * width, norm),
        _conv(6 * width, 4 * width, norm),
        _conv(4 * width, 4 * width, norm),
        nn.MaxPool2d(2),
        *_pool(2),
        nn.Sequential(nn.Linear(4 * 4 * width, 16 * width), nn.ReLU()),
        nn.Sequential(nn.Linear(16 * width, 16 * width), nn.ReLU()),
    ], 16 * width


def _vgg(in_channels, width, norm, size):
    layers, channels = [], in_channels
    for stage, convolutions in ((1, 1), (2, 1), (4, 2), (8, 2), (8, 2)):
        for _ in range(convolutions):
            layers.append(_conv(channels, stage * width, norm, size=3 if layers else size))
            channels = stage * width
        layers.append(nn.MaxPool2d(2, ceil_mode=True))  # images below 32x32 may shrink to 1x1
    return [*layers, *_pool(1)], channels


_BUILDERS = {  # default width, default size of the first kernels
    "small": (_small, 24, 5),
    "plain": (_plain, 16, 3),
    "convnet": (_convnet, 32, 3),
    "resnet18": (_resnet18, 64, 3),
    "resnet32": (_resnet32, 16, 3),
    "resnet32-authors": (_resnet32_authors, 16, 3),
    "lenet": (_lenet, 8, 5),
    "alexnet": (_alexnet, 32, 5),
    "vgg": (_vgg, 32, 3),
}
NAMES = tuple(_BUILDERS)
