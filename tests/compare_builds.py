"""Does a new build of the book say every stored number that an old one said?

    python tests/compare_builds.py OLD/_build/html NEW/_build/html

Takes the cells of all tables and all "a ± b" and percentages in the prose of the chapters' pages,
and tells what of the old build is missing in the new one. All chapters and their appendices count
together, page by page of the old build, so that what moved to an appendix is no loss.
"""

import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?(?: ± \d+(?:\.\d+)?)?(?: %)?")


class _Text(HTMLParser):
    """Text of a page's article: of its prose, and of its tables cell by cell."""

    def __init__(self):
        super().__init__()
        self.inside, self.cell, self.skip = 0, None, 0
        self.prose, self.cells = [], []

    def handle_starttag(self, tag, attributes):
        if tag == "article":
            self.inside += 1
        elif tag in ("script", "style", "pre", "svg", "math"):
            self.skip += 1
        elif tag == "td":
            self.cell = []

    def handle_endtag(self, tag):
        if tag == "article":
            self.inside -= 1
        elif tag in ("script", "style", "pre", "svg", "math"):
            self.skip -= 1
        elif tag == "td" and self.cell is not None:
            self.cells.append("".join(self.cell).strip())
            self.cell = None

    def handle_data(self, data):
        if self.inside and not self.skip:
            (self.prose if self.cell is None else self.cell).append(data)


def numbers(page: Path) -> tuple[Counter, Counter]:
    """Numbers in the tables' cells, and "a ± b" and percentages in the prose."""
    parser = _Text()
    parser.feed(page.read_text())
    cells = Counter(bare(text) for text in parser.cells if NUMBER.fullmatch(bare(text)))
    told = NUMBER.findall(re.sub(r"\s+", " ", "".join(parser.prose).replace("-", "−")))
    return cells, Counter(bare(text) for text in told if "±" in text or "%" in text)


def bare(text: str) -> str:
    """A number without the marks that may differ: flag, percent sign, thousands, zeros behind."""
    text = text.replace("-", "−").replace(",", "")
    return re.sub(r"\.00$", "", re.sub(r"\s*[⚑%]", "", text).strip())


def main(old: Path, new: Path) -> int:
    """Tell what is missing; the exit status is 1 if anything is."""
    missing = 0
    for page in sorted((old / "book").glob("[0-9][0-9]_*.html")):
        successors = [new / "book" / page.name, *new.glob(f"book/{page.name[:2]}_appendix*.html")]
        before, after = numbers(page), [numbers(path) for path in successors]
        everything = {text for cells, prose in after for text in (*cells, *prose)}
        everything |= {bare(t) for path in successors for t in NUMBER.findall(path.read_text())}
        for what, old_numbers in zip(("tables", "prose"), before, strict=True):
            gone = sorted(text for text in old_numbers if text not in everything)
            missing += len(gone)
            print(f"{page.stem}, {what}: {len(old_numbers)} numbers, {len(gone)} missing {gone}")
    return int(missing > 0)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
