"""Chapters in a real JupyterLab, as a reader meets them: open, Run All Cells, read.

The server is that of this environment; it sees a copy of the book and keeps its own settings in a
temporary folder, so nothing is written into the repository.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BOOK = Path(__file__).parents[1] / "book"
JUPYTER = Path(sys.executable).with_name("jupyter")
TOKEN = "a-reader"
TIMEOUT = 15 * 60 * 1000  # ms; the live experiments of a chapter may have to run
# A cell that is not on the screen is there all the same, and nothing asks for an answer.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false"},
}
EXPRESSION = re.compile(r"\{eval\}`([^`]*)`")

READY = """async () => {
  await jupyterapp.restored;
  const context = jupyterapp.shell.currentWidget.context;
  await context.ready;
  await context.sessionContext.ready;
  await context.sessionContext.session.kernel.info;
}"""
RUN = """limit => Promise.race([
  jupyterapp.commands.execute("notebook:run-all-cells"),
  new Promise((_, fail) => setTimeout(() => fail(new Error("the chapter takes too long")), limit)),
])"""
# Sentences are filled in once the kernel has answered; until then they show the expression.
SETTLED = """expressions => [...document.querySelectorAll(".jp-Notebook .myst code")].every(
  code => !expressions.includes(code.textContent))"""
STATE = """() => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].map(cell => {
  const texts = part => [...cell.querySelectorAll(part)].map(e => e.textContent);
  return {
    code: [...cell.querySelectorAll(".jp-InputArea-editor")].some(e => e.checkVisibility()),
    prose: texts(".myst").join(" "),
    literals: texts(".myst code"),
    failures: texts('[data-mime-type="application/vnd.jupyter.error"],' +
      '[data-mime-type="application/vnd.jupyter.stderr"]'),
  };
})"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a running JupyterLab, and the copy of the book that it sees."""
    home = tmp_path_factory.mktemp("lab")
    book = home / "book"
    shutil.copytree(BOOK, book, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name, values in SETTINGS.items():
        path = home / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    folders = {f"JUPYTER_{kind.upper()}_DIR": str(home / kind) for kind in ("config", "data")}
    folders["JUPYTER_RUNTIME_DIR"] = str(home / "runtime")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={book}",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.expose_app_in_browser=True",
    ]
    address = f"http://127.0.0.1:{port}"
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [JUPYTER, "lab", *options], env=os.environ | folders, stdout=log, stderr=log
        )
        try:
            wait_for(f"{address}/api?token={TOKEN}", server, home / "log")
            yield address, book
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(address, server, log):
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(address).close()
            return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()}")


def run_all(browser, lab, name):
    """Open a notebook, run all its cells, and tell what is seen of each."""
    address, book = lab
    cells = nbformat.read(book / name, as_version=4).cells
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/lab/tree/{name}?reset&token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    page.evaluate(READY)
    page.evaluate(RUN, TIMEOUT)
    expressions = [e for cell in cells for e in EXPRESSION.findall(cell.source)]
    with contextlib.suppress(TimeoutError):
        page.wait_for_function(SETTLED, arg=expressions, timeout=10_000)
    state = page.evaluate(STATE)
    page.close()
    return list(zip(cells, state, strict=True))


def complaints(seen):
    """What a reader would stumble over, cell by cell.

    JupyterLab unfolds the output of a cell that it runs, so of folded cells only the code is
    looked for.
    """
    found = []
    for number, (cell, shown) in enumerate(seen, 1):
        found += [f"cell {number} fails: {text.splitlines()[-1]}" for text in shown["failures"]]
        unknown = set(EXPRESSION.findall(cell.source)) & set(shown["literals"])
        found += [f"cell {number} shows {code}, no number" for code in sorted(unknown)]
        if "{eval}" in shown["prose"]:
            found.append(f"cell {number} shows a placeholder")
        if shown["code"] and {"hide-input", "hide-cell"} & set(cell.metadata.get("tags", ())):
            found.append(f"cell {number} shows its code")
    return found


@pytest.mark.parametrize("name", ["01_fourier_basics", "04_heuristics"])
def test_chapter_in_lab(browser, lab, name):
    seen = run_all(browser, lab, f"{name}.ipynb")
    assert any(EXPRESSION.search(cell.source) for cell, _ in seen)
    assert complaints(seen) == []


def test_the_check_can_fail(browser, lab):
    new = nbformat.v4
    folded = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    cells = [
        new.new_code_cell("x = 3", metadata=folded),
        new.new_markdown_cell("It is {eval}`x`, {eval}`nothing` and `{eval}`."),
        new.new_code_cell("print('the answer')", metadata={"tags": ["hide-cell"]}),
        new.new_code_cell("1 / 0"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = new.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, lab[1] / "bad.ipynb")
    assert set(complaints(run_all(browser, lab, "bad.ipynb"))) >= {
        "cell 2 shows nothing, no number",
        "cell 2 shows a placeholder",
        "cell 3 shows its code",
        "cell 4 fails: ZeroDivisionError: division by zero",
    }
