"""Detectors: torchvision's RetinaNet on a small backbone or on ResNet-50."""

from collections import OrderedDict

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

    Notes
    -----
    Lin et al. 2017, "Focal loss for dense object detection"; Wang et al. 2020, section 7.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    if trained and name != "resnet50":
        raise ValueError(f'trained needs name "resnet50", got {name!r}')
    if trained and num_classes != 91:
        raise ValueError(f"num_classes must be 91 for the weights of COCO, got {num_classes}")
    import_torchvision()
    from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    if name == "resnet50":
        weights = "COCO_V1" if trained else None
        return retinanet_resnet50_fpn(
            weights=weights, weights_backbone=None, num_classes=num_classes
        )
    anchors = AnchorGenerator(sizes=((14, 20, 28), (34, 44, 60)), aspect_ratios=((1.0,),) * 2)
    model = RetinaNet(
        _SmallBackbone(), num_classes, anchor_generator=anchors, detections_per_img=100
    )
    model.transform = GeneralizedRCNNTransform(1, 1, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    model.transform.resize = _as_it_is
    return model


NAMES = ("small", "resnet50")


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
