"""Non-maximum suppression by its definition, one pair of boxes at a time, in fractions."""

from fractions import Fraction


def overlap(a, b):
    """Intersection over union of two boxes x1, y1, x2, y2; None if neither has an area."""
    a, b = ([Fraction(x) for x in box] for box in (a, b))
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else None


def nms(boxes, scores, threshold):
    """Indices of the kept boxes, best first; of equal scores the first box is the better one."""
    kept = []
    for k in sorted(range(len(boxes)), key=lambda k: (-scores[k], k)):
        overlaps = [overlap(boxes[k], boxes[better]) for better in kept]
        if not any(iou is not None and iou > threshold for iou in overlaps):
            kept.append(k)
    return kept
