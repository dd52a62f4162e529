"""What ``make book`` runs: build the book, or say in the last lines why not.

- What the pages computed is kept, until what they compute from changes: package, pins or data.
- The pages are written anew each time, so every link of every page is looked at each time.
- Pages with a problem are computed again next time, so a broken book stays broken; and a book that
  was not built is not there to be taken for a good one.

The finished units of live experiments under `_build/live` are the package's, which knows when they
are out of date: they stay.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

COMMAND = (Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going")
SOURCES = ("hfc", "book/_ext", "constraints.txt")
BUILD = Path("_build")
HTML = BUILD / "html"
DOCTREES = BUILD / ".doctrees"
EXECUTED = BUILD / "jupyter_execute"
STAMP = BUILD / "sources"

COLOUR = re.compile(r"\x1b\[[\d;]*m")
PROBLEM = re.compile(r"(?:(\S.*?): )?(?:WARNING|ERROR|CRITICAL): (.*?)(?: \[([\w.]+)\])?")
PAGE = re.compile(r"(?P<name>.+)\.(?P<kind>ipynb|md)(?::(?P<line>\d+))?")
FAILED = "Executing notebook failed"
TRACEBACK = "Notebook exception traceback saved in: "
STDERR = "stderr was found in the cell outputs of cell "


class Problem(NamedTuple):
    """A warning or an error of the build."""

    place: str
    text: str
    kind: str | None

    @property
    def page(self):
        """The page in pieces; None if the problem lies elsewhere."""
        return PAGE.fullmatch(self.place)


def fingerprint(dataset):
    """Hash of what the chapters compute from, besides their own text."""
    found = hashlib.sha256(dataset.encode())
    for source in map(Path, SOURCES):
        for path in sorted([source, *source.rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"\0{path.as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()


def run():
    """Run Jupyter Book and show what it says; exit status and problems."""
    problems = []
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(COMMAND, **streams, text=True, errors="replace") as process:
        for line in process.stdout:
            plain = COLOUR.sub("", line.strip())
            found = PROBLEM.fullmatch(plain)
            if found:
                place, text, kind = found.groups()
                place = (place or "the book").removeprefix(f"{Path.cwd()}{os.sep}")
                problems.append(Problem(place, text, kind))
            if found and text.startswith(TRACEBACK):
                problems.pop()
                print(told(text.removeprefix(TRACEBACK)))
            elif found and kind == "mystnb.eval":
                pass  # perhaps a cell before it failed, which is told after it
            elif not plain.startswith("[IPKernelApp] WARNING | Kernel is running over TCP"):
                print(line, end="", flush=True)
    return process.returncode, problems


def cells(page):
    """Cells of a page as they ran."""
    return nbformat.read(EXECUTED / f"{page}.ipynb", as_version=4).cells


def told(log):
    """What nbclient says of a failure, without how it came to say it."""
    return Path(log).read_text().rpartition("nbclient.exceptions.")[2]


def failure(page):
    """Number of the cell that failed (0: it cannot be told), and its error."""
    number, error = 0, told(HTML / "reports" / f"{page}.err.log").splitlines()[0]
    for k, cell in enumerate(cells(page), 1):
        for output in cell.get("outputs", ()):
            if output.output_type == "error" and not number:
                number = k
                if "Timeout" not in error:
                    error = f"{output.ename}: {output.evalue}".splitlines()[0]
    return number, error


def complaint(problem, failed):
    """Page, cell and what is wrong; None if it only follows from a cell that failed."""
    place, text, page = problem.place, problem.text, problem.page
    if page and text.startswith(FAILED):
        cell, text = failed[page["name"]]
        place += f", cell {cell}" if cell else ""
    elif page and text.startswith(STDERR):
        number = int(text.removeprefix(STDERR))
        outputs = cells(page["name"])[number - 1]["outputs"]
        written = next(o["text"] for o in outputs if o.get("name") == "stderr")
        place, text = f"{place.partition(':')[0]}, cell {number}", f"stderr: {written.strip()}"
    elif page and page["kind"] == "ipynb" and page["line"]:
        # myst-nb counts 10,000 lines to a cell, its heading one of them.
        cell, line = divmod(int(page["line"]), 10_000)
        if problem.kind == "mystnb.eval" and cell > failed.get(page["name"], (cell, ""))[0]:
            return None
        place = f"{page['name']}.ipynb, cell {cell}, line {max(line - 1, 1)}"
    return f"{place}: {text}"


def summary(problems):
    """A line for each problem, in the order of the pages."""
    pages = [p.page["name"] for p in problems if p.page and p.text.startswith(FAILED)]
    failed = {page: failure(page) for page in pages}
    lines = (complaint(problem, failed) for problem in sorted(problems, key=lambda p: p.place))
    return list(dict.fromkeys(filter(None, lines)))


def drop(*paths):
    """Remove files and folders, there or not."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def forget(problems):
    """Drop what must be computed again: the pages with a problem, or all if it lies elsewhere."""
    if problems and all(problem.page for problem in problems):
        drop(*(DOCTREES / f"{problem.page['name']}.doctree" for problem in problems))
    else:
        drop(DOCTREES, EXECUTED)


def build(dataset):
    """Build the book; exit status."""
    now = fingerprint(dataset)
    if not STAMP.exists() or STAMP.read_text() != now:
        drop(DOCTREES, EXECUTED)
    drop(HTML, STAMP)  # a build that is cut off leaves no stamp, so the next one starts afresh
    status = 1
    try:
        status, problems = run()
        if status:
            lines = summary(problems) or ["Jupyter Book stopped; what it says stands above."]
            print("\nThe book is not built:", *lines, sep="\n  ")
            forget(problems)
    finally:
        if status:
            drop(HTML)
    BUILD.mkdir(exist_ok=True)
    STAMP.write_text(now)
    return status


def main():
    """Build the book, live on the data set of the environment; exit status."""
    dataset = os.environ.get("HFC_DATASET", "synthetic")
    if dataset != "synthetic":
        need = [sys.executable, "-m", "hfc", "data", f"--need={dataset}"]
        if status := subprocess.run(need, stdout=subprocess.DEVNULL).returncode:
            return status
    return build(dataset)


if __name__ == "__main__":
    sys.exit(main())
