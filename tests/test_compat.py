"""``hfc.compat``: torchvision can be imported and its boxes are right, whichever torch it meets."""

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hfc import compat
from tests.oracles import compat as oracle

# Quarters of a pixel and eighths of a threshold are exact in float32, so ties are ties.
quarters = st.integers(0, 80).map(lambda n: n / 4)


@st.composite
def boxes_and_scores(draw):
    n = draw(st.integers(0, 12))
    corners = st.tuples(quarters, quarters, quarters, quarters)
    boxes = [
        (min(a, c), min(b, d), max(a, c), max(b, d))
        for a, b, c, d in draw(st.lists(corners, min_size=n, max_size=n))
    ]
    scores = draw(st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=n, max_size=n))
    return boxes, scores


def as_tensors(boxes, scores):
    return torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores)


@given(boxes_and_scores(), st.integers(0, 8).map(lambda n: n / 8))
@example(([(1, 1, 1, 1), (1, 1, 1, 1)], [1.0, 0.5]), 0.5)  # no area: an IoU of 0 / 0
@example(([(0, 0, 2, 2), (0, 0, 2, 1)], [1.0, 0.5]), 0.5)  # exactly the threshold
@example(([(0, 0, 1, 1), (1, 0, 2, 1)], [1.0, 1.0]), 0.0)  # touching, equally good
def test_nms(drawn, threshold):
    boxes, scores = drawn
    kept = compat.nms(*as_tensors(boxes, scores), threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == oracle.nms(boxes, scores, threshold)


def test_many_equally_good_boxes_keep_their_order():
    boxes, scores = [(k, 0, k + 1, 1) for k in range(200)], [0.5, 0.25] * 100
    kept = compat.nms(*as_tensors(boxes, scores), 0.5)
    assert kept.tolist() == [*range(0, 200, 2), *range(1, 200, 2)]


@given(boxes_and_scores(), st.integers(0, 8).map(lambda n: n / 8))
def test_torchvision_gives_the_same(drawn, threshold):
    torchvision = compat.import_torchvision()
    boxes, scores = drawn
    kept = torchvision.ops.nms(*as_tensors(boxes, scores), threshold)
    assert kept.tolist() == oracle.nms(boxes, scores, threshold)


def test_importing_twice_gives_the_same_module():
    assert compat.import_torchvision() is compat.import_torchvision()


FRESH = """
import json, sys
from hfc.compat import import_torchvision
assert "torchvision" not in sys.modules
torchvision = import_torchvision()
assert import_torchvision() is torchvision is sys.modules["torchvision"]
import torch
from torchvision import datasets, ops, transforms
boxes = torch.tensor([[0., 0, 4, 4], [0, 0, 4, 3], [2, 0, 6, 4], [9, 9, 9, 9], [1, 1, 3, 3]])
scores = torch.tensor([0.5, 0.75, 0.25, 0.125, 1])
print(json.dumps({
    "nms": ops.nms(boxes, scores, 0.3).tolist(),
    "each class": ops.batched_nms(boxes, scores, torch.tensor([0, 0, 0, 1, 1]), 0.3).tolist(),
    "area": ops.box_area(boxes).tolist(),
    "iou": ops.box_iou(boxes[:1], boxes[:3]).tolist(),
}))
"""


@pytest.mark.slow
def test_torchvision_in_a_fresh_process():
    run = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    boxes = [(0, 0, 4, 4), (0, 0, 4, 3), (2, 0, 6, 4), (9, 9, 9, 9), (1, 1, 3, 3)]
    scores = [0.5, 0.75, 0.25, 0.125, 1]
    assert found["nms"] == oracle.nms(boxes, scores, 0.3)
    first, second = oracle.nms(boxes[:3], scores[:3], 0.3), oracle.nms(boxes[3:], scores[3:], 0.3)
    both = first + [3 + k for k in second]
    assert found["each class"] == sorted(both, key=lambda k: -scores[k])
    assert found["area"] == [16, 12, 16, 0, 4]
    assert found["iou"][0] == pytest.approx([float(oracle.overlap(boxes[0], b)) for b in boxes[:3]])


def test_without_torchvision(monkeypatch):
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="torchvision is not installed; `make setup`"):
        compat.import_torchvision()
