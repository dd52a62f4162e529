"""`make book` on a book of three pages: what is kept, and what a failure says and leaves."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TABLE = """format: jb-book
root: book/index
chapters:
- file: book/chapter
- file: book/references
"""
NUMBER = """class Number:
    def __repr__(self):
        return "55 ± 2"
"""
GOOD = [
    "# A chapter\n\nSee [Wang et al. (2020)](references.md#wang2020high).",
    ["open('runs', 'a').write('x')", NUMBER],
    ":::{admonition} It is {eval}`Number()`\nOr *{eval}`[Number()][0]`*.\n:::",
]
BAD = [
    "# A chapter\n\n[nowhere](nowhere.md), [nobody](references.md#nobody2000), {eval}`early`",
    ["x = 1", "raise ValueError('epsilon must be at least 0')", "y = 2"],
    "It is {eval}`x`, {eval}`y` and {eval}`y + 1`.",
]


@pytest.fixture
def book(tmp_path):
    """A folder with what a build needs of the repository."""
    for name in ("_config.yml", "book/_ext", "book/page_assets", "book/references.bib"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "book/references.md").write_text((ROOT / "book/references.md").read_text())
    (tmp_path / "book/index.md").write_text("# A book\n\nA word.\n")
    (tmp_path / "_toc.yml").write_text(TABLE)
    (tmp_path / "hfc").mkdir()
    return tmp_path


def write(book, pieces):
    before, code, after = pieces
    new = nbformat.v4
    cells = [new.new_markdown_cell(before), *map(new.new_code_cell, code)]
    notebook = new.new_notebook(cells=[*cells, new.new_markdown_cell(after)])
    nbformat.write(notebook, book / "book/chapter.ipynb")


def build(book):
    """Exit status and what is said after the last blank line."""
    made = subprocess.run(
        [sys.executable, "book/_ext/build.py"], cwd=book, capture_output=True, text=True
    )
    return made.returncode, made.stdout.rpartition("\n\n")[2]


def test_what_is_computed_is_kept_until_its_sources_change(book):
    write(book, GOOD)
    (book / "_build/live").mkdir(parents=True)
    (book / "_build/live/unit").write_text("finished")
    assert build(book)[0] == 0
    page = (book / "_build/html/book/chapter.html").read_text()
    assert page.count("55 ± 2") >= 2
    assert "{eval}" not in page
    assert 'href="references.html#wang2020high"' in page
    assert 'id="wang2020high"' in (book / "_build/html/book/references.html").read_text()
    assert build(book)[0] == 0
    assert (book / "book/runs").read_text() == "x"
    (book / "hfc/new.py").write_text("x = 1\n")
    assert build(book)[0] == 0
    assert (book / "book/runs").read_text() == "xx"
    assert (book / "_build/live/unit").exists()


def test_a_failure_says_what_and_where_and_stays_one(book):
    write(book, BAD)
    for _ in range(2):
        status, told = build(book)
        assert status == 1
        assert told.splitlines() == [
            "The book is not built:",
            "  book/chapter.ipynb, cell 3: ValueError: epsilon must be at least 0",
            "  book/chapter.ipynb, cell 1, line 3: NameError: name 'early' is not defined",
            "  book/chapter.ipynb, cell 1, line 3: 'myst' cross-reference target not found: "
            "'nowhere.md'",
            "  book/chapter.ipynb, cell 1, line 3: local id not found in doc 'book/references': "
            "'nobody2000'",
        ]
        assert not (book / "_build/html").exists()
