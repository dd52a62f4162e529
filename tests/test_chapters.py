"""A chapter is a notebook that a person likes to run: its code teaches, its answers fold.

A line of code counts unless it is blank, a comment or part of an import. It *teaches* if it stands
in a visible cell or in the solution of an exercise (``hide-cell``), and is *plumbing* in a cell
tagged ``hide-input``. Each check is a function from a notebook to a list of complaints, and is
tested twice: the chapters give none, and a planted fault gives one.
"""

import ast
import json
import re
from pathlib import Path

import pytest
from pybtex.database import parse_file

BOOK = Path(__file__).parents[1] / "book"
PAGES = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
CHAPTERS = [path for path in PAGES if "appendix" not in path.stem]
LONGEST_CELL = 15
TEACHING = 0.6

by_name = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
by_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text())["cells"]


def tags(cell):
    return set(cell["metadata"].get("tags", ()))


def source(cell):
    return "".join(cell["source"])


def of_kind(cells, kind):
    return [(k, cell) for k, cell in enumerate(cells, 1) if cell["cell_type"] == kind]


def code_lines(text):
    """Numbers of the lines that count."""
    lines = {k for k, line in enumerate(text.splitlines(), 1) if line.split("#")[0].strip()}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return lines


def teaching(cells):
    """How many lines teach, and how many there are."""
    taught = whole = 0
    for _, cell in of_kind(cells, "code"):
        count = len(code_lines(source(cell)))
        whole += count
        taught += count if "hide-input" not in tags(cell) else 0
    return taught, whole


def code_complaints(cells):
    """Visible code is short, hidden code is one call, and nothing is hidden altogether."""
    complaints = []
    for k, cell in of_kind(cells, "code"):
        text, own = source(cell), tags(cell)
        body = [
            node
            for node in ast.parse(text).body
            if not isinstance(node, ast.Import | ast.ImportFrom)
        ]
        if own & {"remove-cell", "remove-input", "remove-output"}:
            complaints.append(f"cell {k} is removed from the page")
        if not own & {"hide-input", "hide-cell"} and len(code_lines(text)) > LONGEST_CELL:
            complaints.append(f"cell {k} shows more than {LONGEST_CELL} lines")
        if "hide-input" in own and len(body) > 1:
            complaints.append(f"cell {k} hides {len(body)} statements; one call belongs there")
        if "hide-input" in own and any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in body):
            complaints.append(f"cell {k} hides a function")
        if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(text))):
            complaints.append(f"cell {k} asserts; that is a test's business")
    return complaints


def folding_complaints(cells):
    """What folds on the page folds in JupyterLab, too."""
    wanted = {
        "hide-input": {"source_hidden": True},
        "hide-cell": {"source_hidden": True, "outputs_hidden": True},
    }
    return [
        f"cell {k} is tagged {tag} but has {cell['metadata'].get('jupyter')} for JupyterLab"
        for k, cell in of_kind(cells, "code")
        for tag in tags(cell) & set(wanted)
        if cell["metadata"].get("jupyter") != wanted[tag]
    ]


def prose_complaints(cells):
    """Sentences ask the kernel; nothing is left of placeholders."""
    text = "\n".join(source(cell) for cell in cells)
    return [found for found in ("{glue", "glue(", "say(", "{cite") if found in text]


def bound(text):
    """Names that a cell gives a value; what is bound inside functions and loops in brackets not."""
    names, left = set(), [ast.parse(text)]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not hasattr(node, "generators"):  # else it is a comprehension
            left += ast.iter_child_nodes(node)
    return names


def asked(text):
    """Names that the sentences of a cell ask for."""
    expressions = re.findall(r"\{eval\}`([^`]*)`", text)
    nodes = [n for e in expressions for n in ast.walk(ast.parse(e.strip(), mode="eval"))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - own


def asking_complaints(cells):
    """Sentences say the same on the page and in JupyterLab.

    The page asks the kernel where the sentence stands, and hears nothing after a cell that ends
    with a semicolon. JupyterLab asks when all cells have run, so names keep their values.
    """
    code = of_kind(cells, "code")
    silent = [k for k, cell in code if source(cell).rstrip().endswith(";")]
    complaints = [f"cell {k} ends with a semicolon" for k in silent]
    for k, cell in of_kind(cells, "markdown"):
        names = asked(source(cell))
        for later, other in code:
            for name in sorted(names & bound(source(other))) if later > k else ():
                complaints.append(f"{name} in cell {k} has another value after cell {later}")
    return complaints


def figure_complaints(cells, page):
    """What is drawn by a hidden call is followed by its numbered caption, in order."""
    complaints, counts = [], {"Figure": 0, "Table": 0}
    for k, cell in enumerate(cells):
        if cell["cell_type"] == "code" and "hide-input" in tags(cell):
            # Visible code may come between: it computes what the caption says.
            after = [
                c for c in cells[k + 1 :] if "hide-input" in tags(c) or c["cell_type"] != "code"
            ]
            text = source(after[0]) if after and after[0]["cell_type"] == "markdown" else ""
            found = re.match(r"(?:\(\S+\)=\n)?\*\*(Figure|Table) ([A-Z]?\d+)\.(\d+)\.\*\*", text)
            if not found:
                complaints.append(f"no caption after: {source(cell)[:40]}")
            elif found[2] != page:
                complaints.append(f"{found[1]} {found[2]}.{found[3]} stands on page {page}")
    for cell in cells:
        for kind, _, number in re.findall(
            r"^\*\*(Figure|Table) ([A-Z]?\d+)\.(\d+)\.\*\*", source(cell), re.MULTILINE
        ):
            counts[kind] += 1
            if int(number) != counts[kind]:
                complaints.append(f"{kind} number {number} comes as number {counts[kind]}")
    return complaints


def exercise_complaints(cells):
    """Every exercise has an answer, all of it folded."""
    texts = [source(cell) for cell in cells]
    starts = [k for k, text in enumerate(texts) if re.search(r"^## Exercises", text, re.MULTILINE)]
    if len(starts) != 1:
        return [f"{len(starts)} sections of exercises"]
    complaints, title, folded = [], None, True
    for cell in cells[starts[0] :]:
        if cell["cell_type"] == "code":
            folded = folded or "hide-cell" in tags(cell)
            if "hide-cell" not in tags(cell):
                complaints.append(f"exercise {title} has open code")
            continue
        text = source(cell).partition("## Exercises")[2] or source(cell)
        if text.lstrip().startswith("## "):
            break
        parts = re.split(r"(```+\{admonition\}.*?^```+$)", text, flags=re.DOTALL | re.MULTILINE)
        for part in parts:
            if part.startswith("```"):
                folded = folded or ":class: dropdown" in part
                continue
            for piece in re.split(r"(?=^\*\*\d+\. )", part.split("\n## ")[0], flags=re.MULTILINE):
                found = re.match(r"\*\*(\d+)\. ", piece)
                if found:
                    if not folded:
                        complaints.append(f"exercise {title} has no folded answer")
                    title, folded = found[1], False
                elif piece.strip() and title is not None and folded:
                    complaints.append(f"open text after the answer of exercise {title}")
    if not folded:
        complaints.append(f"exercise {title} has no folded answer")
    return complaints


def opening_complaints(cells):
    """The first screen: a box with what is found, goals, minutes, and a picture near the top."""
    text = "\n".join(source(cell) for cell in cells[:8])
    wanted = ("What you will find", "minutes", "**Figure")
    return [f"no {part!r} at the beginning" for part in wanted if part not in text]


def surname(person):
    return " ".join([*person.prelast_names, *person.last_names]).translate(
        str.maketrans("", "", "{}")
    )


def citation_complaints(text, entries):
    """The text of a link to the bibliography names its first author and its year."""
    complaints = []
    for shown, key in re.findall(r"\[([^\]]+)\]\((?:\.\./)*references\.md#([\w-]+)\)", text):
        if key not in entries:
            complaints.append(f"{key} is not in the bibliography")
            continue
        first, year = surname(entries[key].persons["author"][0]), entries[key].fields["year"]
        if year not in shown or first.split("\\")[0] not in shown:
            complaints.append(f"{key} is called {shown}")
    return complaints


def page_number(path):
    return ("A" if "appendix" in path.stem else "") + str(int(path.stem[:2]))


@by_chapter
def test_most_code_teaches(path):
    taught, whole = teaching(read(path))
    assert taught >= TEACHING * whole, f"{taught} of {whole} lines teach"


@by_name
def test_code_is_the_idea_or_one_call(path):
    assert not code_complaints(read(path))


@by_name
def test_cells_fold_in_jupyterlab(path):
    assert not folding_complaints(read(path))


@by_name
def test_sentences_have_no_placeholders(path):
    assert not prose_complaints(read(path))


@by_name
def test_sentences_say_the_same_in_jupyterlab(path):
    assert not asking_complaints(read(path))


@by_name
def test_figures_are_numbered_and_captioned(path):
    assert not figure_complaints(read(path), page_number(path))


@by_chapter
def test_answers_fold(path):
    assert not exercise_complaints(read(path))


@by_chapter
def test_first_screen(path):
    assert not opening_complaints(read(path))


def book_text():
    cells = "\n".join(source(cell) for path in PAGES for cell in read(path))
    return cells + "\n".join(path.read_text() for path in BOOK.rglob("*.md"))


def test_citations_name_what_they_link():
    entries = parse_file(BOOK / "references.bib").entries
    assert not citation_complaints(book_text(), entries)


def test_every_entry_is_cited():
    cited = set(re.findall(r"references\.md#([\w-]+)\)", book_text()))
    assert not set(parse_file(BOOK / "references.bib").entries) - cited


# The checks can fail ----------------------------------------------------------------------


def code(text, *own, **jupyter):
    metadata = {"tags": list(own)} | ({"jupyter": jupyter} if jupyter else {})
    return {"cell_type": "code", "source": text, "metadata": metadata}


def markdown(text):
    return {"cell_type": "markdown", "source": text, "metadata": {}}


def test_lines_are_counted():
    text = "import os\nfrom a import (\n    b,\n)\n\n# why\nx = 1  # so\ny = [\n    2,\n]\n"
    assert len(code_lines(text)) == 4
    cells = [code("a = 1\nb = 2"), code("f(a)", "hide-input"), code("c = 3", "hide-cell")]
    assert teaching(cells) == (3, 4)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (code("a = 1", "remove-cell"), "cell 1 is removed from the page"),
        (code("a = 1\n" * 16), "cell 1 shows more than 15 lines"),
        (code("a = 1\nf(a)", "hide-input"), "cell 1 hides 2 statements"),
        (code("def f():\n    pass", "hide-input"), "cell 1 hides a function"),
        (code("assert 1"), "cell 1 asserts"),
    ],
)
def test_code_check_can_fail(cell, text):
    (complaint,) = code_complaints([cell])
    assert complaint.startswith(text)
    assert not code_complaints([code("a = 1\n" * 15), code("import os\nf(1)", "hide-input")])


def test_folding_check_can_fail():
    assert folding_complaints([code("f()", "hide-input")])
    assert folding_complaints([code("f()", "hide-cell", source_hidden=True)])
    assert not folding_complaints([code("f()", "hide-input", source_hidden=True), code("f()")])


def test_prose_check_can_fail():
    assert prose_complaints([markdown("{glue:text}`x`")]) == ["{glue"]
    assert prose_complaints([code("say(x=1)")]) == ["say("]
    assert not prose_complaints([markdown("{eval}`x`")])


def test_asking_check_can_fail():
    says = markdown("It is {eval}`x.at(r=[r for r in radii])` percent.")
    later = code("import numpy as np\nr = [x for x in (1, 2)]\n\n\ndef f():\n    x = 1\n")
    assert not asking_complaints([code("x = 3"), says, later])
    assert asking_complaints([says, later, code("radii, x = 1, 2")]) == [
        "radii in cell 1 has another value after cell 3",
        "x in cell 1 has another value after cell 3",
    ]
    assert asking_complaints([code("plot(x);")]) == ["cell 1 ends with a semicolon"]


def test_figure_check_can_fail():
    draw = code("f()", "hide-input")
    good = [draw, markdown("**Figure 4.1.** *A.*"), draw, markdown("**Table 4.1.** *B.*")]
    assert not figure_complaints(good, "4")
    assert figure_complaints([draw], "4") == ["no caption after: f()"]
    assert figure_complaints([draw, markdown("Text")], "4") == ["no caption after: f()"]
    assert figure_complaints(good[:2], "A4") == ["Figure 4.1 stands on page A4"]
    assert figure_complaints([draw, markdown("**Figure 4.2.** *A.*")], "4") == [
        "Figure number 2 comes as number 1"
    ]


FOLDED = "```{admonition} Answer\n:class: dropdown\nYes.\n```"


def test_exercise_check_can_fail():
    good = [
        markdown("## Exercises\n\n**1. One.** Why?"),
        code("f()", "hide-cell"),
        markdown(f"{FOLDED}\n\n**2. Two.** Why?\n\n{FOLDED}"),
        markdown("## Further reading\n\nA book."),
    ]
    assert not exercise_complaints(good)
    assert exercise_complaints(good[:1]) == ["exercise 1 has no folded answer"]
    assert exercise_complaints([good[0], code("f()"), good[2]])[0] == "exercise 1 has open code"
    opened = [*good[:2], markdown("Because.\n\n**2. Two.** Why?\n\n" + FOLDED)]
    assert exercise_complaints(opened) == ["open text after the answer of exercise 1"]
    assert exercise_complaints([markdown("Text")]) == ["0 sections of exercises"]


def test_opening_check_can_fail():
    text = "```{admonition} What you will find\n```\n20 minutes\n**Figure 1.1.**"
    assert not opening_complaints([markdown(text)])
    assert len(opening_complaints([markdown("Text")])) == 3


def test_citation_check_can_fail():
    entries = parse_file(BOOK / "references.bib").entries
    good = "[Wang et al. (2020)](references.md#wang2020high)"
    assert not citation_complaints(good, entries)
    assert citation_complaints(good.replace("2020)]", "2021)]"), entries)
    assert citation_complaints(good.replace("Wang", "Wong"), entries)
    assert citation_complaints(good.replace("#wang", "#wong"), entries)
