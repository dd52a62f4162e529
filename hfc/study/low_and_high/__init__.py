"""Chapter 2, low and high: what a network says to the two components of an image."""

from hfc.study.low_and_high.show import (
    blog,
    boxes,
    boxes_beside_blog,
    boxes_table,
    by_component,
    by_strength,
    controls_table,
    only_high,
    right_on,
)
from hfc.study.low_and_high.show_pictures import (
    components_by_radius,
    radius_slider,
    striking,
    two_waves,
    what_it_says,
)

__all__ = [
    "blog",
    "boxes",
    "boxes_beside_blog",
    "boxes_table",
    "by_component",
    "by_strength",
    "components_by_radius",
    "controls_table",
    "only_high",
    "radius_slider",
    "right_on",
    "striking",
    "two_waves",
    "what_it_says",
]
