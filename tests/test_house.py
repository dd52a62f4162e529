"""The plan of the house: rooms import only rooms below, and nothing happens on import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hfc

PACKAGE = Path(hfc.__file__).parent
# From the ground up; a room imports only rooms before it. Rooms in one row do not know each other.
ORDER = (
    ("arguments",),
    ("frequency", "intervals", "flags", "files", "machine", "compat"),
    ("synthetic",),
    ("data", "wrappers", "batchnorm", "kernels", "pooling", "models"),
    ("augment", "checkpoints"),
    ("training", "evaluation"),
    ("detection.sets",),
    ("detection.scenes",),
    ("detection.coco", "detection.networks", "detection.training", "detection.scores"),
    ("detection.controls", "detection.sources"),
    ("detection",),
    ("unfamiliar.sets", "unfamiliar.scores", "unfamiliar.attacked"),
    ("unfamiliar",),
    ("autoattack",),
    ("attacks",),
    ("robustness",),
    ("display.pictures", "display.text"),
    ("display.plots", "display.widgets"),
    ("display",),
    ("study.settings", "study.code"),
    ("study.provenance",),
    ("study.measured", "study.criteria"),
    ("study.results",),
    ("study.unit", "study.detectors", "study.catalogue"),
    ("study.kinds",),
    ("study.identity",),
    ("study.verdict", "study.run", "study.wanted"),
    ("study.steps",),
    ("study.live", "study.costs"),
    ("study.board",),
    ("study",),
    ("study.fourier",),
    ("study.low_and_high",),
    ("study.memorisation",),
    ("study.heuristics",),
    ("study.robustness",),
    ("study.detection",),
    ("study.biases",),
    ("__main__", ""),
)
LONG = {  # why a module has more than 400 lines
    "attacks": "every attack by name, and those that foolbox lacks",
    "frequency": "the book's subject: every way to split an image, and the filter behind them",
    "data": "one value and all that loads, makes, checks or changes it",
    "study.measured": "two classes that return each other",
}


def modules(package=PACKAGE):
    """Names of all modules below ``hfc`` and their files."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        names[".".join(part for part in parts if part != "__init__")] = path
    return names


def floor(name):
    """Number of the row that a module stands in: that of the longest name it begins with."""
    found = [
        (len(room), level)
        for level, row in enumerate(ORDER)
        for room in row
        if name == room or (room and name.startswith(f"{room}.") and room.count(".") > 0)
    ]
    return max(found)[1] if found else None


def imported(tree, known):
    """Modules below ``hfc`` that a syntax tree imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hfc":
            base = node.module.removeprefix("hfc").removeprefix(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".removeprefix(".")
                yield name if name in known else base
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("hfc").removeprefix(".")
                for alias in node.names
                if alias.name.split(".")[0] == "hfc"
            )


def upward(names):
    """Imports that do not point downwards, as texts."""
    complaints = []
    for name, path in names.items():
        own = floor(name)
        for other in imported(ast.parse(path.read_text()), names):
            same_room = name.split(".")[:2] == other.split(".")[:2] and name.count(".") > 1
            same_room |= name == other.rpartition(".")[0]  # a package shows its modules' names
            if not same_room and (floor(other) is None or own is None or floor(other) >= own):
                complaints.append(f"{name or 'hfc'} imports {other or 'hfc'}")
    return complaints


def test_imports_point_downwards():
    assert not upward(modules())


def test_an_upward_import_is_seen(tmp_path):
    (tmp_path / "study").mkdir()
    for name, text in {
        "frequency.py": "from hfc import data",
        "data.py": "import hfc.frequency",
        "robustness.py": "from hfc.study.results import load",
        "study/results.py": "def f():\n    from hfc import study",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "study" / "__init__.py").write_text("")
    assert sorted(upward(modules(tmp_path))) == [
        "frequency imports data",
        "robustness imports study.results",
        "study.results imports study",
    ]


def test_every_module_has_its_place():
    assert not [name for name in modules() if name and floor(name) is None]


def test_modules_are_short_or_say_why():
    long = {name for name, path in modules().items() if len(path.read_text().splitlines()) > 400}
    assert long <= set(LONG)


@pytest.mark.parametrize("part", ["measure", "experiments", "rules"])
def test_what_is_measured_and_judged_does_not_depend_on_how_it_is_shown(part):
    for name, path in modules().items():
        if name.endswith(f".{part}"):
            found = list(imported(ast.parse(path.read_text()), modules()))
            assert not [other for other in found if "show" in other or other.startswith("display")]


NOTHING_HAPPENS = """
import importlib, os, random, sys, warnings
import hfc
assert not {"torch", "numpy", "pandas"} & set(sys.modules), "import hfc is not lazy"
import numpy, torch
import matplotlib
state = lambda: (
    torch.get_num_threads(), torch.get_rng_state().tolist(), torch.get_default_dtype(),
    random.getstate(), str(numpy.random.get_state()), os.getcwd(), torch.is_grad_enabled(),
    {k: v for k, v in os.environ.items() if k not in ALLOWED}, matplotlib.rcParams.copy(),
)
before = state()
for name in NAMES:
    importlib.import_module(name)
assert state() == before, "an import changed something"
"""


@pytest.mark.slow
def test_nothing_happens_on_import():
    names = [f"hfc.{name}" for name in modules() if name and name != "__main__"]
    allowed = {
        "GIT_PYTHON_REFRESH",  # else foolbox's import wants a git to be installed
        "KMP_DUPLICATE_LIB_OK",  # these two are what matplotlib and torch set for themselves
        "KMP_INIT_AT_FORK",
    }
    code = f"NAMES = {names!r}\nALLOWED = {allowed!r}\n{NOTHING_HAPPENS}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_face_is_that_of_the_rooms():
    from hfc import data, frequency, models, robustness, training

    assert hfc.load is data.load
    assert hfc.ImageSet is data.ImageSet
    assert hfc.split is frequency.split
    assert hfc.build is models.build
    assert hfc.fit is training.fit
    assert hfc.Recipe is training.Recipe
    assert hfc.robust_accuracy is robustness.robust_accuracy
    assert set(hfc.__all__) <= set(dir(hfc))
    with pytest.raises(AttributeError, match="has no attribute 'spilt'"):
        hfc.spilt  # noqa: B018
