"""The book's references, cards and notebooks, and the files around them, fit together.

Each check is a function from the thing it looks at to a list of complaints. It is tested twice:
the repository gives none, and a planted fault gives one.
"""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pybtex.database import parse_file, parse_string

from hfc import synthetic
from hfc.data import NAMES

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
COMPARED_PER_CHAPTER = 5


def notebook(*cells):
    return {"cells": list(cells)}


def code_cell(*tags, outputs=(), execution_count=None):
    return {
        "cell_type": "code",
        "source": "1 + 1",
        "metadata": {"tags": list(tags)},
        "outputs": list(outputs),
        "execution_count": execution_count,
    }


RESULT = {"output_type": "execute_result", "data": {"text/plain": "2"}}
COMPARED = ("nbval-check-output", "keep_output")


# References -------------------------------------------------------------------------------


def book_text():
    """All prose of the book, by file name."""
    text = {path.name: path.read_text() for path in BOOK.rglob("*.md")}
    for path in CHAPTERS:
        cells = json.loads(path.read_text())["cells"]
        text[path.name] = "\n".join("".join(c["source"]) for c in cells)
    return text


def bad_entries(bibliography):
    def has(entry, name):
        return name in entry.fields or name in entry.persons

    wanted = ("author", "title", "year")
    return [
        f"{key} has no {name}"
        for key, entry in bibliography.entries.items()
        for name in wanted
        if not has(entry, name)
    ] + [
        f"{key} is not named for {entry.fields['year']}"
        for key, entry in bibliography.entries.items()
        if entry.fields.get("year", "") not in key
    ]


def test_references_are_complete():
    assert not bad_entries(parse_file(BOOK / "references.bib"))


def test_reference_check_can_fail():
    entry = "@misc{a2020b, author = {A, B}, title = {T}, year = {2021}}\n@misc{c2021d, year={2021}}"
    complaints = bad_entries(parse_string(entry, "bibtex"))
    assert complaints == [
        "c2021d has no author",
        "c2021d has no title",
        "a2020b is not named for 2021",
    ]


# Glossary ---------------------------------------------------------------------------------


def glossary_terms(text):
    block = re.search(r"^```\{glossary\}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    return [line for line in block.splitlines() if line and not line.startswith((" ", ":"))]


def repeated(terms):
    lowered = [term.lower() for term in terms]
    return sorted({term for term in lowered if lowered.count(term) > 1})


def test_glossary_has_each_term_once():
    terms = glossary_terms((BOOK / "glossary.md").read_text())
    assert len(terms) > 30
    assert not repeated(terms)


def test_glossary_check_can_fail():
    text = "```{glossary}\n:sorted:\n\nDC\n  Mean.\n\nwave\n  Stripes.\n\ndc\n  Again.\n```\n"
    assert repeated(glossary_terms(text)) == ["dc"]


def test_terms_are_in_the_glossary():
    terms = {term.lower() for term in glossary_terms((BOOK / "glossary.md").read_text())}
    used = re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", "\n".join(book_text().values()))
    assert used
    assert not {term for term in used if term.lower() not in terms}


# Dataset cards ----------------------------------------------------------------------------


CARD_PARTS = ("**What**", "**Size**", "**Origin**", "**Licence**", "## Splits", "## Known biases")


def card_complaints(name, folder, pages):
    path = folder / f"{name}.md"
    if not path.is_file():
        return [f"{name} has no card"]
    text = path.read_text()
    complaints = [f"{name}: no {part}" for part in CARD_PARTS if part not in text]
    if f'load("{name}"' not in text:
        complaints.append(f"{name}: does not say how it is loaded")
    if f"book/datasets/{name}" not in pages:
        complaints.append(f"{name}: not in _toc.yml")
    return complaints


def test_every_dataset_has_a_card():
    pages = (ROOT / "_toc.yml").read_text()
    complaints = [c for name in NAMES for c in card_complaints(name, BOOK / "datasets", pages)]
    assert not complaints


def test_card_check_can_fail(tmp_path):
    assert card_complaints("other", tmp_path, "") == ["other has no card"]
    (tmp_path / "other.md").write_text("**What** **Size** **Origin** ## Splits ## Known biases")
    assert card_complaints("other", tmp_path, "") == [
        "other: no **Licence**",
        "other: does not say how it is loaded",
        "other: not in _toc.yml",
    ]


# Notebooks --------------------------------------------------------------------------------


def notebook_complaints(content, compared=0):
    """Complaints about a chapter's page; ``compared`` cells stand in its appendices."""
    complaints = []
    for index, cell in enumerate(content["cells"]):
        if cell["cell_type"] != "code":
            continue
        tags, outputs = set(cell["metadata"].get("tags", ())), cell["outputs"]
        if outputs and not tags.issuperset(COMPARED):
            complaints.append(f"cell {index} stores an output without the tags {COMPARED}")
        for output in outputs:
            if output["output_type"] == "error" or output.get("name") == "stderr":
                complaints.append(f"cell {index} stores an error or stderr")
        if COMPARED[0] in tags:
            compared += 1
            if not outputs or cell["execution_count"] is None:
                complaints.append(f"cell {index} is compared but stores no output or count")
    if compared < COMPARED_PER_CHAPTER:
        complaints.append(f"only {compared} compared cells")
    return complaints


def compared_cells(paths):
    """How many cells of some notebooks nbval compares."""
    cells = [cell for path in paths for cell in json.loads(path.read_text())["cells"]]
    return sum(COMPARED[0] in cell["metadata"].get("tags", ()) for cell in cells)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_notebook_outputs(path):
    others = [other for other in CHAPTERS if other.name[:2] == path.name[:2] and other != path]
    assert not notebook_complaints(json.loads(path.read_text()), compared_cells(others))


def test_there_are_chapters():
    assert {path.stem for path in CHAPTERS} >= {"01_fourier_basics", "02_low_and_high"}


def test_notebook_check_can_fail():
    good = [code_cell(*COMPARED, outputs=[RESULT], execution_count=1)] * COMPARED_PER_CHAPTER
    assert notebook_complaints(notebook(*good, code_cell(), {"cell_type": "markdown"})) == []

    def complaint(cell):
        (only,) = notebook_complaints(notebook(*good, cell))
        return only

    stderr = {"output_type": "stream", "name": "stderr", "text": "Warning"}
    assert "without the tags" in complaint(code_cell(outputs=[RESULT]))
    assert "without the tags" in complaint(code_cell("keep_output", outputs=[RESULT]))
    assert "no output or count" in complaint(code_cell(*COMPARED, execution_count=1))
    assert "no output or count" in complaint(code_cell(*COMPARED, outputs=[RESULT]))
    assert "stderr" in complaint(code_cell(*COMPARED, outputs=[stderr], execution_count=1))
    assert notebook_complaints(notebook(*good[1:])) == ["only 4 compared cells"]


# Paths of somebody's machine --------------------------------------------------------------


# Written in pieces, so that this file passes its own test.
_TOPS = "|".join(("work", "root", "home", "Users"))
MACHINE_PATH = re.compile(rf"(?<![\w.~$}}-])/(?:{_TOPS})/\w")


def machine_paths(text):
    return [text[max(0, m.start() - 20) : m.end() + 20] for m in MACHINE_PATH.finditer(text)]


def committed_files():
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # What other projects made is left as it is.
    return [
        ROOT / name
        for name in listed.splitlines()
        if not name.startswith(("book/page_assets/mathjax", "book/page_assets/widgets"))
    ]


def test_no_machine_paths():
    found = {}
    for path in committed_files():
        if path.is_file() and b"\0" not in path.read_bytes():
            complaints = machine_paths(path.read_text())
            if complaints:
                found[path.name] = complaints
    assert not found


def test_machine_path_check_can_fail():
    private = "/" + "home/someone/data"
    assert machine_paths(f"root = '{private}'")
    assert machine_paths(f"file://{private}")
    assert not machine_paths("~/.cache/hfc ../shared/data https://example.org" + private)


# Versions and configuration ---------------------------------------------------------------


def constraints(text):
    return {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in text.splitlines() if line)
    }


def direct_dependencies(project):
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(r for extra in extras for r in extra)]
    parsed = [Requirement(requirement) for requirement in requirements]
    return [requirement for requirement in parsed if requirement.name != project["name"]]


def pin_complaints(project, pins):
    complaints = [f"{name} {pins[name]} is a local version" for name in pins if "+" in pins[name]]
    for requirement in direct_dependencies(project):
        version = pins.get(canonicalize_name(requirement.name))
        if not version:
            complaints.append(f"{requirement.name} is not pinned")
        elif not requirement.specifier.contains(version):
            complaints.append(f"{requirement.name} {version} is not {requirement.specifier}")
    return complaints


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins():
    return constraints((ROOT / "constraints.txt").read_text())


def test_direct_dependencies_are_pinned():
    assert not pin_complaints(project(), pins())


def test_pin_check_can_fail():
    made_up = {
        "name": "hfc",
        "dependencies": ["torch>=2.6", "tqdm>=4"],
        "optional-dependencies": {"test": ["hfc[cluster]", "Nb.Val>=1"]},
    }
    assert pin_complaints(made_up, constraints("torch==2.5.0+cpu\nnb-val==1.0\n")) == [
        "torch 2.5.0+cpu is a local version",
        "torch 2.5.0+cpu is not >=2.6",
        "tqdm is not pinned",
    ]


def hook_complaints(hooks, pins):
    needed = [r for hook in hooks for r in hook["additional_dependencies"]]
    wanted = {f"{name}=={pins.get(name)}" for name in ("ruff", "nbstripout")}
    return sorted(set(needed) ^ wanted)


def pre_commit_hooks():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    return repository["hooks"]


def test_hooks_have_the_pinned_versions():
    assert not hook_complaints(pre_commit_hooks(), pins())


def test_hook_check_can_fail():
    hooks = [{"additional_dependencies": ["ruff==0.1.0"]}]
    complaints = hook_complaints(hooks, {"ruff": "0.2.0", "nbstripout": "1.0"})
    assert complaints == ["nbstripout==1.0", "ruff==0.1.0", "ruff==0.2.0"]


def runs(workflow):
    """Shell commands of a workflow; raises KeyError if it is not one."""
    _ = workflow[True]  # YAML reads the key `on` as true
    return [s["run"] for job in workflow["jobs"].values() for s in job["steps"] if "run" in s]


@pytest.mark.parametrize(
    ("name", "command"), [("tests.yml", ".ci/run"), ("pages.yml", "make book")]
)
def test_workflows(name, command):
    assert command in runs(yaml.safe_load((ROOT / ".github/workflows" / name).read_text()))


def test_workflow_check_can_fail():
    with pytest.raises(KeyError):
        runs(yaml.safe_load("jobs: {}"))
    assert runs(yaml.safe_load("on: push\njobs: {a: {steps: [{uses: b}]}}")) == []


def test_environment_installs_with_constraints():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert "-c constraints.txt" in pip
    (package,) = [line for line in pip if line.startswith("-e ")]
    extras = Requirement(f"hfc{package.removeprefix('-e .')}").extras
    assert extras <= project()["optional-dependencies"].keys()


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project()["version"]


def test_the_synthetic_card_tells_what_the_code_does():
    card = (ROOT / "book/datasets/synthetic.md").read_text()
    assert rf"${synthetic.CONTRAST}\,U(0.35, 1.35)$" in card
    assert rf"\frac{{{synthetic.AMPLITUDE * 255:g}}}{{255}}\,U(0, 2)" in card
    assert all(shape in card for shape in synthetic.SHAPES)
