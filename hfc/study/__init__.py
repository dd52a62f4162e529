"""The book's own studies: how experiments are run, kept and judged, one room a chapter.

A chapter asks for what it shows:

>>> ours = load("heuristics")
>>> ours.at(heuristic="BatchNorm", images="test", radius=8).last.original.percent
74 %
>>> verdict("C01")
reproduced

An experiment is at home in its chapter's room (``hfc.study.low_and_high``, ...): settings in
``experiments``, what is measured in ``measure``, the rule in ``rules``, tables and figures in
``show``.
"""

from hfc.study.board import scoreboard
from hfc.study.live import dataset, kept, live, live_network
from hfc.study.results import load
from hfc.study.steps import table as steps
from hfc.study.verdict import claims, rule, verdict

__all__ = [
    "claims",
    "dataset",
    "kept",
    "live",
    "live_network",
    "load",
    "rule",
    "scoreboard",
    "steps",
    "verdict",
]
