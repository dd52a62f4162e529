"""Chapter 8: every claim and every verdict, built only from claims and stored results."""

from hfc.study.board.cards import cards
from hfc.study.board.plans import seeds_that_would_settle, still_wanted
from hfc.study.board.show import counts, forest, overview, said
from hfc.study.board.table import scoreboard

__all__ = [
    "cards",
    "counts",
    "forest",
    "overview",
    "said",
    "scoreboard",
    "seeds_that_would_settle",
    "still_wanted",
]
