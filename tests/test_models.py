"""``hfc.models``: shapes, sizes, and that each network is the one its name says."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from hfc import models
from hfc.models import build, check_labels, check_pixels, evaluation_mode, frozen

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(name, seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(name, **{"num_classes": 10} | settings)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def narrow(name):
    return {"width": 8} if name.startswith(("resnet", "alexnet", "vgg")) else {}


each_name = pytest.mark.parametrize("name", models.NAMES)


@each_name
@pytest.mark.parametrize("norm", ["batch", "group", None])
@pytest.mark.parametrize(
    ("channels", "height", "width", "classes"), [(3, 32, 32, 10), (1, 28, 28, 3), (2, 8, 19, 1)]
)
def test_logits(name, norm, channels, height, width, classes, device):
    model = seeded(name, norm=norm, in_channels=channels, num_classes=classes, **narrow(name))
    logits = model.to(device)(torch.rand(4, channels, height, width, device=device))
    assert logits.shape == (4, classes)
    assert logits.isfinite().all()
    kinds = {type(module) for module in model.modules()}
    assert (nn.BatchNorm2d in kinds) == (norm == "batch")
    assert (nn.GroupNorm in kinds) == (norm == "group")


@each_name
def test_gradient_reaches_every_weight_and_the_pixels(name):
    model, images = seeded(name, **narrow(name)), torch.rand(4, 3, 16, 16, requires_grad=True)
    model(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert images.grad.abs().sum() > 0


@each_name
def test_normalisation_is_inside(name):
    model = seeded(name, norm=None, **narrow(name))
    seen = []
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(torch.full((2, 3, 32, 32), 0.5))
    assert not seen[0].any()
    model(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 3, 32, 32))
    assert seen[1][0].unique().tolist() == [-2]
    assert seen[1][1].unique().tolist() == [2]


@each_name
def test_pixels_as_they_are(name):
    settings = {"norm": None, **narrow(name)}
    raw, model = seeded(name, normalise=False, **settings).eval(), seeded(name, **settings).eval()
    seen = []
    first = next(m for m in raw.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = torch.rand(2, 3, 32, 32)
    logits = raw(images)
    assert seen[0].equal(images)
    # The weights are the same, so only the scale of the pixels differs.
    torch.testing.assert_close(raw((images - 0.5) / 0.25), model(images), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits, model(images))
    assert parameters(raw) == parameters(model)


@each_name
def test_evaluation_treats_images_one_by_one(name):
    model = seeded(name, **narrow(name)).eval()
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    together, alone = model(images), torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@each_name
def test_seed_decides_the_weights(name):
    first, same, other = (seeded(name, seed, **narrow(name)) for seed in (0, 0, 1))
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (first, same, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


@each_name
def test_dropout_is_before_the_last_layer(name):
    model = seeded(name, norm=None, dropout=0.25, **narrow(name))
    inputs = []
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    last.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach()))
    images = torch.rand(200, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    model.eval()(images)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()(images)
    whole, thinned = inputs
    alive = whole != 0
    kept = thinned[alive] != 0
    assert abs(kept.float().mean() - 0.75) < 0.03
    # Nothing else is random, and what is kept makes up for what is dropped.
    torch.testing.assert_close(thinned[alive][kept], whole[alive][kept] / 0.75)
    # Features are dropped one by one, not whole images.
    assert ((thinned != 0) & alive).any(dim=1).sum() == alive.any(dim=1).sum()


def convolutions(model):
    return [
        (m.in_channels, m.out_channels, *m.kernel_size, *m.stride)
        for m in model.modules()
        if isinstance(m, nn.Conv2d)
    ]


def test_small():
    assert convolutions(seeded("small")) == [
        (3, 24, 5, 5, 2, 2),
        (24, 32, 3, 3, 1, 1),
        (32, 64, 3, 3, 1, 1),
        (64, 64, 3, 3, 1, 1),
    ]
    norms = 2 * (24 + 32 + 64 + 64)
    layers = 3 * 24 * 25 + 9 * (24 * 32 + 32 * 64 + 64 * 64) + 4 * 64 * 10 + 10
    assert parameters(seeded("small")) == norms + layers


def linears(model):
    return [(m.in_features, m.out_features) for m in model.modules() if isinstance(m, nn.Linear)]


CLASSICS = {  # channels after each convolution and kernel sizes; linear layers
    "lenet": ([8, 16], [5, 5], [(16 * 4 * 4, 120), (120, 84), (84, 10)]),
    "alexnet": (
        [32, 96, 192, 128, 128],
        [5, 5, 3, 3, 3],
        [(128 * 2 * 2, 512), (512, 512), (512, 10)],
    ),
    "vgg": ([32, 64, 128, 128, 256, 256, 256, 256], [3] * 8, [(256, 10)]),
}


@pytest.mark.parametrize("name", CLASSICS)
@pytest.mark.parametrize("norm", ["batch", None])
def test_classics(name, norm):
    channels, sizes, flat = CLASSICS[name]
    model = seeded(name, norm=norm)
    wanted = [
        (before, after, size, size, 1, 1)
        for before, after, size in zip([3, *channels[:-1]], channels, sizes, strict=True)
    ]
    assert convolutions(model) == wanted
    assert linears(model) == flat
    weights = sum(before * after * size * size for before, after, size, *_ in wanted)
    weights += (2 if norm else 1) * sum(channels)  # scale and shift, or a bias
    assert parameters(model) == weights + sum((before + 1) * after for before, after in flat)


@pytest.mark.parametrize(("name", "last"), [("lenet", 8), ("alexnet", 4), ("vgg", 1)])
def test_classics_shrink_the_map(name, last):
    """Two, three and five times by a half, before the average."""
    model, maps = seeded(name, **narrow(name)), []
    for layer in model.modules():
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda module, given, out: maps.append(out.shape[-1]))
    model.eval()(torch.rand(1, 3, 32, 32))
    assert maps == [32 // 2**k for k in range(1, len(maps) + 1)]
    assert maps[-1] == last


@pytest.mark.parametrize("name", CLASSICS)
def test_every_linear_layer_but_the_last_is_activated(name):
    model = seeded(name, norm=None, **narrow(name)).eval()
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    given = []
    for layer in layers[1:]:
        layer.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    logits = model(torch.rand(20, 3, 16, 16))
    assert len(given) == len(layers) - 1
    assert all(x.min() >= 0 for x in given)
    assert logits.min() < 0


def test_resnet18_is_the_one_of_the_re_runs():
    # The count that re-runs report for the CIFAR-sized ResNet-18.
    assert parameters(seeded("resnet18")) == 11_173_962
    strided = [c for c in convolutions(seeded("resnet18")) if c[-1] == 2]
    assert [(c[0], c[1], c[2]) for c in strided] == [
        (64, 128, 3), (64, 128, 1), (128, 256, 3), (128, 256, 1), (256, 512, 3), (256, 512, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("norm", ["batch", None])
def test_resnet32_is_the_authors(norm):
    """Widths 16, 32 and 64, five blocks of two convolutions each, no weights in shortcuts."""
    model = seeded("resnet32", norm=norm)
    wanted = [(3, 16, 3, 3, 1, 1)]
    for before, width in ((16, 16), (16, 32), (32, 64)):
        stride = 1 if width == 16 else 2
        wanted += [(before, width, 3, 3, stride, stride), (width, width, 3, 3, 1, 1)]
        wanted += [(width, width, 3, 3, 1, 1)] * 8
    assert convolutions(model) == wanted
    assert len(wanted) + 1 == 32  # and the linear layer
    weights = sum(9 * a * b for a, b, *_ in wanted) + 64 * 10 + 10
    if norm is None:
        extra = sum(b for _, b, *_ in wanted)  # a bias for each channel
    else:
        # Before each convolution but the stem and the one after it, after the stem, at the end.
        extra = 2 * (16 + sum(a for a, *_ in wanted[2:]) + 64)
    assert parameters(model) == weights + extra


def test_resnet32_stage_by_stage():
    """As in the authors' code: no normalisation at all, every convolution with a bias."""
    model, maps = seeded("resnet32", norm=None).eval(), []
    for layer in [first_convolution(model), *blocks(model)]:
        layer.register_forward_hook(lambda module, given, out: maps.append(tuple(out.shape[1:])))
    model(torch.rand(1, 3, 32, 32))
    sizes = [(16, 32, 32)] * 6 + [(32, 16, 16)] * 5 + [(64, 8, 8)] * 5
    assert maps == sizes  # the stem's, and three stages of five blocks
    assert len(convolutions(model)) == 31
    assert linears(model) == [(64, 10)]
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d))
    with_weights = {type(m) for m in model.modules() if list(m.parameters(recurse=False))}
    assert with_weights == {nn.Conv2d, nn.Linear}
    assert not list(model.buffers())
    # 3x3 kernels and biases: stem, ten of 16, one to 32 and nine of 32, one to 64 and nine of 64.
    stages = (27 + 1) * 16 + 10 * (144 + 1) * 16
    stages += (144 + 1) * 32 + 9 * (288 + 1) * 32 + (288 + 1) * 64 + 9 * (576 + 1) * 64
    assert parameters(model) == stages + 65 * 10 == 463_018


def first_convolution(model):
    return next(m for m in model.modules() if isinstance(m, nn.Conv2d))


def test_resnet32_ends_with_an_activation_and_an_average():
    model = seeded("resnet32", norm=None).eval()
    seen = {}
    blocks(model)[-1].register_forward_hook(lambda module, given, out: seen.update(last=out))
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    last.register_forward_pre_hook(lambda module, given: seen.update(flat=given[0]))
    model(torch.rand(2, 3, 32, 32))
    assert seen["last"].min() < 0
    torch.testing.assert_close(seen["flat"], seen["last"].relu().mean(dim=(2, 3)))


def blocks(model):
    return [m for m in model.modules() if isinstance(m, models._PreActivationBlock)]


def test_resnet32_shortcuts_by_hand():
    """Average pooling, and zeros as new channels on both sides of the old ones."""
    for index, block in enumerate(blocks(seeded("resnet32", norm=None))):
        for p in block.parameters():
            nn.init.zeros_(p)
        channels = {5: 16, 10: 32}.get(index)
        x = torch.rand(2, channels or 16 * 2 ** (index // 5), 6, 4)
        result = block(x).detach().numpy()
        if channels is None:
            assert np.array_equal(result, x.numpy())
            continue
        wanted = np.zeros((2, 2 * channels, 3, 2))
        for i in range(3):
            for j in range(2):
                pixels = x.numpy()[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                wanted[:, channels // 2 : channels // 2 + channels, i, j] = pixels.mean(axis=(2, 3))
        np.testing.assert_allclose(result, wanted, rtol=1e-5)


def test_resnet32_activates_before_it_convolves():
    first, second = blocks(seeded("resnet32"))[:2]

    def order(block):
        return [type(m).__name__ for m in block.residual]

    rest = ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]
    assert order(first) == rest
    assert order(second) == ["BatchNorm2d", "ReLU", *rest]
    # After the addition nothing is cut off: negative values go on.
    for p in second.parameters():
        nn.init.zeros_(p)
    assert second(torch.full((1, 16, 4, 4), -1.0)).unique().tolist() == [-1]


def test_width_is_that_of_the_first_stage():
    assert convolutions(seeded("lenet", width=16))[0][:2] == (3, 16)
    assert convolutions(seeded("alexnet", width=16))[-1][:2] == (64, 64)
    assert convolutions(seeded("vgg", width=16))[-1][:2] == (128, 128)
    assert convolutions(seeded("resnet18", width=16))[0][:2] == (3, 16)
    assert convolutions(seeded("resnet32", width=24))[-1][:2] == (96, 96)


FIRST = {  # channels, kernel size, stride and padding
    "small": (24, 5, 2, 2),
    "plain": (16, 3, 1, 1),
    "convnet": (24, 3, 1, 1),
    "resnet18": (64, 3, 1, 1),
    "resnet32": (16, 3, 1, 1),
    "resnet32-authors": (16, 3, 1, 1),
    "lenet": (8, 5, 1, 2),
    "alexnet": (32, 5, 1, 2),
    "vgg": (32, 3, 1, 1),
}


@each_name
def test_first_kernels_by_default(name):
    """Checkpoints know a network by its text."""
    model, (channels, size, stride, padding) = seeded(name), FIRST[name]
    assert str(first_convolution(model)) == (
        f"Conv2d(3, {channels}, kernel_size=({size}, {size}), stride=({stride}, {stride}), "
        f"padding=({padding}, {padding}), bias=False)"
    )
    same = seeded(name, kernel_size=size)
    assert repr(same) == repr(model)
    weights = zip(model.state_dict().values(), same.state_dict().values(), strict=True)
    assert all(mine.equal(its) for mine, its in weights)


@each_name
@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("shape", [(32, 32), (8, 19)])
def test_kernel_size(name, size, shape):
    model, default = (seeded(name, **narrow(name), **k) for k in ({"kernel_size": size}, {}))
    first, usual = first_convolution(model), first_convolution(default)
    assert first.weight.shape == (usual.out_channels, 3, size, size)
    assert convolutions(model)[1:] == convolutions(default)[1:]
    grown = 3 * usual.out_channels * (size**2 - FIRST[name][1] ** 2)
    assert parameters(model) - parameters(default) == grown
    images, maps = torch.rand(2, 3, *shape), []
    for layer in (first, usual):
        layer.register_forward_hook(lambda layer, given, out: maps.append(out))
    assert model(images).shape == default(images).shape == (2, 10)
    assert maps[0].shape == maps[1].shape
    # The middle of each kernel lies on the same pixel as before.
    stride = FIRST[name][2]
    with torch.no_grad():
        first.weight.zero_()[:, 1, size // 2, size // 2] = 1
        torch.testing.assert_close(first(images)[:, 0], images[:, 1, ::stride, ::stride])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"name": "resnet50"},
            f"name must be one of {', '.join(models.NAMES)}, got 'res",
        ),
        ({"norm": "layer"}, 'norm must be "batch", "group" or None, got \'layer\''),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"width": 0}, "width must be a positive multiple of 8, got 0"),
        ({"width": 12}, "width must be a positive multiple of 8, got 12"),
        ({"kernel_size": 4}, "kernel_size must be 3, 5 or 7, got 4"),
        ({"kernel_size": 1}, "kernel_size must be 3, 5 or 7, got 1"),
        ({"kernel_size": 9}, "kernel_size must be 3, 5 or 7, got 9"),
        ({"kernel_size": 0}, "kernel_size must be 3, 5 or 7, got 0"),
    ],
)
def test_build_refuses(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        build(**{"name": "small", "num_classes": 10} | changes)


# How networks are asked -------------------------------------------------------------------


def two_minds():
    """A network in training mode, but for one layer; one weight is frozen."""
    model = seeded("small", dropout=0.5).train()
    model[1].eval()
    next(model.parameters()).requires_grad_(False)
    return model


def state(*given):
    modes = [module.training for model in given for module in model.modules()]
    return modes, [p.requires_grad for model in given for p in model.parameters()]


@pytest.mark.parametrize("fails", [False, True])
def test_evaluation_mode_and_frozen_weights(fails):
    one, other = two_minds(), seeded("lenet").eval()
    around = nn.Sequential(one, nn.Dropout())  # shares all its weights with the first
    before = state(one, other, around)
    try:
        with evaluation_mode(one, other, around), frozen(one, other, around):
            modes, wanted = state(one, other, around)
            assert not any(modes)
            assert not any(wanted)
            if fails:
                raise RuntimeError("broken")
    except RuntimeError:
        assert fails
    assert state(one, other, around) == before


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_pixels_out_of_range_are_refused(value):
    images = torch.rand(2, 1, 3, 3)
    check_pixels(images)
    images[1, 0, 2, 2] = value
    with pytest.raises(ValueError, match=r"images must hold pixels in \[0, 1\], got \["):
        check_pixels(images)


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_labels_that_are_no_classes_are_refused(label):
    check_labels(torch.tensor([0, 2, 1]), 3)
    with pytest.raises(ValueError, match="labels must name classes of model, from 0 to 2, got val"):
        check_labels(torch.tensor([0, label, 1]), 3)


# The details of the authors' code ---------------------------------------------------------------


def details(**settings):
    return seeded("resnet32-authors", **settings)


@pytest.mark.parametrize("norm", ["batch", "group", None])
def test_the_authors_convolutions_have_no_bias(norm):
    model = details(norm=norm)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 31
    assert all(layer.bias is None for layer in layers)
    for layer in layers:
        fans = sum(layer.weight.shape[:2]) * layer.weight[0, 0].numel()
        bound = (6 / fans) ** 0.5  # Xavier
        assert 0.9 * bound < layer.weight.abs().max() <= bound


def test_the_authors_last_layer():
    layer = details(norm="batch")[-1]
    bound = (3 / 64) ** 0.5
    assert 0.95 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()


def test_the_authors_normalise_before_every_activation_but_the_last():
    plain, theirs = seeded("resnet32", norm="batch"), details(norm="batch")
    layers = [
        [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)] for model in (plain, theirs)
    ]
    assert len(layers[1]) == len(layers[0]) - 1
    assert {layer.eps for layer in layers[1]} == {1e-3}
    before_last = [type(layer) for layer in theirs][-6:-4]
    assert nn.BatchNorm2d not in before_last
    assert nn.ReLU in before_last


def test_without_biases_contrast_only_scales_logits():
    model = details(norm=None, normalise=False).eval()
    images = torch.rand(3, 3, 32, 32)
    bias = model[-1].bias
    torch.testing.assert_close(2.5 * (model(images) - bias), model(2.5 * images) - bias)


@pytest.mark.parametrize("size", [8, 9, 16, 19])
def test_padding_of_stride_two_is_tensorflows(size):
    (layer, *_) = [m for m in details(norm=None).modules() if type(m).__name__ == "_SamePadded"]
    image = torch.rand(1, layer.in_channels, size, size)
    outputs = -(-size // 2)
    padding = (outputs - 1) * 2 + 3 - size  # TensorFlow's "SAME"
    before = padding // 2
    padded = np.zeros((layer.in_channels, size + padding, size + padding))
    padded[:, before : before + size, before : before + size] = image[0].numpy()
    weight = layer.weight.detach().numpy()
    wanted = np.zeros((layer.out_channels, outputs, outputs))
    for y in range(outputs):
        for x in range(outputs):
            patch = padded[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
            wanted[:, y, x] = (weight * patch).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(layer(image)[0].detach().numpy(), wanted, atol=1e-5)


# The network of scale cpu -----------------------------------------------------------------------


def test_plain_looks_at_full_resolution_first():
    model, maps = seeded("plain", norm=None), []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, found: maps.append(tuple(found.shape[1:])))
    model(torch.rand(1, 3, 32, 32))
    assert maps == [(16, 32, 32), (32, 16, 16), (32, 8, 8), (64, 4, 4)]
