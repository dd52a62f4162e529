"""``hfc.study.code`` and ``hfc.study.provenance``: what a number's code is, and where it ran."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfc.study import catalogue, code
from hfc.study.code import closure, code_hash, digest
from hfc.study.provenance import provenance, versions

HFC = Path(code.__file__).parents[1]
ROOMS = catalogue.ROOMS
ROBUSTNESS = ("hfc.study.unit", "hfc.study.robustness.measure")


def modules_of(room):
    return ("hfc.study.unit", f"hfc.study.{room}.measure")


@cache
def hash_of(room):
    return code_hash(modules_of(room))


@pytest.fixture
def package(tmp_path):
    """A copy of the code, to change."""
    ignore = shutil.ignore_patterns("__pycache__", "results")
    return shutil.copytree(HFC, tmp_path / "hfc", ignore=ignore)


def file_of(name, package):
    return package.joinpath(*name.split(".")[1:]).with_suffix(".py")


# What counts -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_hash_is_16_digits_wherever_the_package_stands(package):
    for room in ROOMS:
        assert re.fullmatch("[0-9a-f]{16}", hash_of(room))
        assert code_hash(modules_of(room), package=package) == hash_of(room)


def test_rooms_have_hashes_of_their_own():
    assert len({hash_of(room) for room in ROOMS}) == len(ROOMS)


def test_every_measure_is_in_a_module_of_measures_of_its_room():
    """So that its module's closure holds all that it does, and no more."""
    for experiment in catalogue.experiments().values():
        package, _, module = experiment.measure.__module__.rpartition(".")
        assert package in {f"hfc.study.{room}" for room in ROOMS}
        assert re.fullmatch("measure(_[a-z]+)?", module)


@pytest.mark.parametrize("name", closure(ROBUSTNESS))
def test_an_edit_anywhere_below_a_measure_counts(name, package):
    with file_of(name, package).open("a") as file:
        file.write("\n\ndef _added():\n    return 1\n")
    assert code_hash(ROBUSTNESS, package=package) != hash_of("robustness")


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "biases"])  # measures nothing
def test_what_a_measure_stands_on(room):
    found = closure(modules_of(room))
    assert list(found) == sorted(found)
    assert all(path.is_file() for path in found.values())
    numbers = {"frequency", "data", "synthetic", "models", "training", "augment", "evaluation"}
    if room == "detection":  # of boxes
        numbers ^= {"evaluation", "detection.scores", "detection.controls"}
    assert {f"hfc.{name}" for name in numbers} <= found.keys()
    assert ("hfc.robustness" in found) == (room == "robustness")
    others = {f"hfc.study.{other}.measure" for other in ROOMS} - set(modules_of(room))
    assert others & found.keys() <= {"hfc.study.low_and_high.measure"}
    last = {path.stem for path in found.values()}
    assert not last & {"show", "rules", "experiments", "run", "results", "live", "plots"}


@cache
def functions():
    """All functions below the robustness room's measures, as (module, line)."""
    return [
        (name, node.lineno)
        for name, path in closure(ROBUSTNESS).items()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef)
    ]


@cache
def whole_copy(folder):
    ignore = shutil.ignore_patterns("__pycache__", "results")
    return shutil.copytree(HFC, folder / "hfc", ignore=ignore)


@pytest.mark.slow
@settings(max_examples=12)
@given(st.data())
def test_an_edit_of_any_function_counts(tmp_path_factory, data):
    name, line = data.draw(st.sampled_from(functions()))
    package = whole_copy(tmp_path_factory.getbasetemp())
    file = file_of(name, package)
    text, module = file.read_text(), (name,)
    before = code_hash(module, package=package)
    tree = ast.parse(text)
    (function,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.lineno == line
    )
    try:
        file.write_text(ast.unparse(tree))  # another layout, no comments
        assert code_hash(module, package=package) == before
        function.body.append(ast.parse("0").body[0])
        file.write_text(ast.unparse(tree))
        assert code_hash(module, package=package) != before
    finally:
        file.write_text(text)


def with_other_docstrings(tree):
    """The same with other docstrings, where there are some and where there are none."""
    said = ast.Expr(ast.Constant("Something else."))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                node.body[0] = said
            elif len(node.body) > 1:
                node.body.insert(0, said)
    return ast.fix_missing_locations(tree)


def test_words_and_layout_do_not_count(package):
    for name in closure(ROBUSTNESS, package):
        file = file_of(name, package)
        tree = with_other_docstrings(ast.parse(file.read_bytes()))
        file.write_text(f"# A comment.\n\n\n{ast.unparse(tree)}\n\n# Another.\n")
    for room in ROOMS:
        assert code_hash(modules_of(room), package=package) == hash_of(room)


def test_a_docstring_of_a_name_does_not_count(package):
    file = file_of("hfc.frequency", package)
    text = file.read_text()
    file.write_text(f"{text}\nADDED = 1\n")
    before = code_hash(ROBUSTNESS, package=package)
    file.write_text(f'{text}\nADDED = 1\n"""What it is."""\n')
    assert code_hash(ROBUSTNESS, package=package) == before
    file.write_text(f"{text}\nADDED = 2\n")
    assert code_hash(ROBUSTNESS, package=package) != before


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_ends_of_lines_do_not_count(ending, package):
    for name in closure(ROBUSTNESS, package):
        file = file_of(name, package)
        file.write_bytes(file.read_bytes().replace(b"\n", ending.encode()))
    assert code_hash(ROBUSTNESS, package=package) == hash_of("robustness")


def test_what_comes_after_the_numbers_does_not_count(package):
    """Displays, rules, settings of experiments, other rooms, and the command line."""
    below = set().union(*(closure(modules_of(room), package).values() for room in ROOMS))
    changed = [path for path in package.rglob("*.py") if path not in below]
    assert {path.stem for path in changed} >= {"rules", "experiments", "run", "live", "plots"}
    for path in changed:
        path.write_text("raise RuntimeError\n")
    (package / "study" / "robustness" / "show.py").write_text("raise RuntimeError\n")
    for room in ROOMS:
        assert code_hash(modules_of(room), package=package) == hash_of(room)


def test_another_room_does_not_count(package):
    with file_of("hfc.study.robustness.measure", package).open("a") as file:
        file.write("\nADDED = 1\n")
    for room in ROOMS:
        changed = code_hash(modules_of(room), package=package) != hash_of(room)
        assert changed == (room == "robustness")


# Imports of every kind -----------------------------------------------------------------------

HOUSE = {
    "ways.py": "import house.plain\nimport house.renamed as r, os\nfrom house import module\n"
    "from house.named import thing as t\nfrom house.wing import shown\n"
    "from house.wing import room\n"
    "def late():\n    from house import late\n    if late:\n        import house.later\n",
    "plain.py": "from house import deep\n",
    "deep.py": "from house import ways\n",  # a circle
    "renamed.py": "",
    "module.py": "import numpy\nfrom elsewhere import module\n",
    "named.py": "thing = 1\n",
    "late.py": "",
    "later.py": "",
    "unused.py": "import house.ways\n",
    "wing/__init__.py": "from house.wing.shows import shown\n",
    "wing/shows.py": "def shown():\n    pass\n",
    "wing/room.py": "",
    "wing/other.py": "",
}


@pytest.fixture
def house(tmp_path):
    for name, text in HOUSE.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "house"


def test_imports_of_every_kind_are_followed(house):
    found = closure(["house.ways"], house)
    seen = {"ways", "plain", "deep", "renamed", "module", "named", "late", "later"}
    seen |= {"wing", "wing.shows", "wing.room"}
    assert found.keys() == {f"house.{name}" for name in seen}
    assert found["house.wing"] == house / "wing" / "__init__.py"
    assert closure(["house.plain"], house).keys() == found.keys()
    assert closure(["house.renamed", "house.late"], house).keys() == {"house.renamed", "house.late"}
    assert closure(["house.nothing", "numpy"], house) == {}


def test_a_module_that_moves_counts(house):
    before = code_hash(("house.plain",), house)
    (house / "renamed.py").rename(house / "again.py")
    assert code_hash(("house.plain",), house) != before


def test_nothing_in_the_package_imports_by_dots():
    """Such imports would not be followed."""
    for path in HFC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


# Versions of Python ------------------------------------------------------------------------

ASK = """
import runpy, sys
asked = runpy.run_path(sys.argv[1])["code_hash"]
for room in sys.argv[2:]:
    print(asked(("hfc.study.unit", f"hfc.study.{room}.measure")))
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_finds_the_same_hash(version):
    python = shutil.which(f"python{version}")
    works = python and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    if not works:
        pytest.skip(f"no python{version} on this machine")
    command = [python, "-I", "-c", ASK, code.__file__, *ROOMS]
    where = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, env=where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [hash_of(room) for room in ROOMS]


# Digests -----------------------------------------------------------------------------------

json_content = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), json_content, min_size=1, max_size=4))
def test_a_digest_is_that_of_the_content(content):
    found = digest(content)
    assert re.fullmatch("[0-9a-f]{64}", found)
    assert digest(dict(reversed(content.items()))) == found
    assert digest(json.loads(json.dumps(content))) == found
    assert digest([content]) != found
    assert digest(content | {next(iter(content)): "other"}) != found or "other" in content.values()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_hold_has_no_digest(number):
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": [number]})


# Where it ran ------------------------------------------------------------------------------


def test_provenance():
    origin = provenance(torch.device("cpu"), 3, "0123456789abcdef")
    assert set(origin) == {"device", "threads", "machine", "versions", "commit", "code"}
    assert (origin["device"], origin["threads"], origin["code"]) == ("cpu", 3, "0123456789abcdef")
    assert origin["versions"].keys() == {"python", "torch", "torchvision", "numpy"}
    assert origin["versions"]["python"] == sys.version.split()[0]
    assert origin["machine"]
    assert json.loads(json.dumps(origin)) == origin


def test_versions_that_numbers_depend_on():
    assert versions()["torch"] == torch.__version__.split("+")[0]
    assert versions().keys() == {"torch", "numpy"}


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(package):
    """What a package at that place tells as its commit."""
    asked = runpy.run_path(package / "study" / "provenance.py")["provenance"]
    return asked("cpu", 1, "")["commit"]


@pytest.fixture
def alone(package, monkeypatch):
    """A package that stands in no repository."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(package.parents[1]))
    for name in [name for name in os.environ if name.startswith("GIT_") and "CEIL" not in name]:
        monkeypatch.delenv(name)
    return package


def test_without_a_repository_there_is_no_commit(alone, monkeypatch):
    assert commit(alone) is None
    monkeypatch.setenv("PATH", "")  # not even git
    assert commit(alone) is None


def test_a_repository_around_it_that_does_not_track_it_is_not_its_own(alone):
    """As for a package that is installed into a virtual environment inside another project."""
    git(alone.parent, "init", "--quiet")
    (alone.parent / "other.py").write_text("")
    git(alone.parent, "add", "other.py")
    git(alone.parent, "commit", "--quiet", "--message", "Another project")
    assert commit(alone) is None
    (alone.parent / ".gitignore").write_text("hfc\n")
    assert commit(alone) is None


def test_the_commit_tells_whether_code_differs(alone):
    git(alone.parent, "init", "--quiet")
    git(alone.parent, "add", "hfc")
    assert commit(alone) is None  # nothing is committed yet
    git(alone.parent, "commit", "--quiet", "--message", "First")
    head = git(alone.parent, "rev-parse", "HEAD")
    assert commit(alone) == head[:12]
    (alone.parent / "notes").write_text("not code")
    (alone / "notes").write_text("not code")
    assert commit(alone) == head[:12]
    (alone / "frequency.py").write_text("x = 2\n")
    assert commit(alone) == head[:12] + "+"
    git(alone.parent, "commit", "--all", "--quiet", "--message", "Second")
    assert commit(alone) == git(alone.parent, "rev-parse", "HEAD")[:12]
    (alone / "study" / "more.py").write_text("")  # code that is not committed
    assert commit(alone).endswith("+")
