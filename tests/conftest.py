import os
import shutil
from pathlib import Path

import hypothesis
import pytest
import torch

from hfc import data

HTML = Path(__file__).parents[1] / "_build" / "html"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# Mathematics is typeset, and every widget is drawn.
SETTLED = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  const widgets = document.querySelectorAll(
    'script[type="application/vnd.jupyter.widget-view+json"]').length;
  for (let i = 0; i < 200; i++) {
    if (document.querySelectorAll('.widget-subarea').length >= widgets) return;
    await new Promise(done => setTimeout(done, 50));
  }
}"""

# Every run of CI tries the same examples, so that it fails only when the code has changed.
hypothesis.settings.register_profile("laptop", deadline=None, max_examples=60)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)  # make check
hypothesis.settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.load_profile("ci" if "CI" in os.environ else "laptop")


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="device for tensor tests: cpu or cuda")


@pytest.fixture(scope="session")
def device(request):
    name = request.config.getoption("--device")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip(f"--device {name}, but there is no CUDA device")
    return torch.device(name)


@pytest.fixture(scope="module")
def one_thread():
    """For networks so small that a second thread only gets in the way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def html():
    """Folder of the built book."""
    if not (HTML / "index.html").exists():
        pytest.skip("the book is not built: run 'make book'")
    return HTML


@pytest.fixture(scope="module")
def browser():
    """Chromium without a network: names of other hosts are not resolved."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Function that opens a page of the book in a window of its own."""
    windows = []

    def open_page(address, watch=lambda page: None, **options):
        windows.append(browser.new_context(**options))
        page = windows[-1].new_page()
        watch(page)
        page.goto(address)
        page.evaluate(SETTLED)
        return page

    yield open_page
    for window in windows:
        window.close()


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("cifar10")]
    if marked and (state := data.state("cifar10")) != "ready":
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"needs the real CIFAR-10; {state}"))
