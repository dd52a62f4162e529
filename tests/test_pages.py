"""The rendered book in a real browser that has no network.

The pages are opened from a local server and straight from the file system. Names of other hosts
cannot be resolved, and every request for one is a failure.
"""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[1] / "_build" / "html"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHAPTER_1 = "book/01_fourier_basics.html"

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
needs_book = pytest.mark.skipif(
    not (BOOK / CHAPTER_1).exists(), reason="the book is not built: run 'make book'"
)
pytestmark = needs_browser

# Pictures without alt text, and drawings without a label. The theme's own icons are labelled by
# the buttons they stand in.
WITHOUT_ALT = """() => [
  ...[...document.images].filter(e => !e.alt.trim()),
  ...[...document.querySelectorAll('.cell_output svg, [role=img]')].filter(
    e => !e.closest('button, [aria-hidden=true], .svg-inline--fa') && !e.alt && !e.ariaLabel),
].map(e => e.outerHTML.slice(0, 120))"""

READY = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  const widgets = document.querySelectorAll(
    'script[type="application/vnd.jupyter.widget-view+json"]').length;
  for (let i = 0; i < 200; i++) {
    if (document.querySelectorAll('.widget-subarea').length >= widgets) return;
    await new Promise(done => setTimeout(done, 50));
  }
}"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def browser():
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


@pytest.fixture(scope="module", params=["server", "files"])
def home(request):
    """Address of the built book, with a slash at the end."""
    if request.param == "files":
        yield BOOK.as_uri() + "/"
        return
    handler = functools.partial(QuietHandler, directory=BOOK)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def listen(page, home):
    """Fill a list with what goes wrong on a page, now and later."""
    problems = []

    def on_request(request):
        if not request.url.startswith((home, "data:", "blob:", "about:")):
            problems.append(f"asks for {request.url}")

    def on_console(message):
        if message.type == "error":
            problems.append(f"console: {message.text} ({message.location['url']})")

    page.on("request", on_request)
    page.on("requestfailed", lambda r: problems.append(f"did not get {r.url}"))
    page.on("websocket", lambda s: problems.append(f"connects to {s.url}"))
    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    return problems


@pytest.fixture
def visit(browser):
    """Open a page and return it with the list of its problems."""
    contexts = []

    def visit(home, path, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        problems = listen(page, home)
        page.goto(home + path)
        page.evaluate(READY)
        problems += [f"no alt text: {e}" for e in page.evaluate(WITHOUT_ALT)]
        return page, problems

    yield visit
    for context in contexts:
        context.close()


@needs_book
def test_every_page_works_alone(visit, home):
    pages = sorted(p.relative_to(BOOK).as_posix() for p in BOOK.rglob("*.html"))
    pages = [p for p in pages if p != "index.html" and not p.startswith("_static/")]
    assert CHAPTER_1 in pages
    found = {}
    for path in pages:
        page, problems = visit(home, path)
        page.context.close()
        if problems:
            found[path] = problems
    assert found == {}


@needs_book
def test_front_door_leads_to_the_book(browser, home):
    with browser.new_page() as page:
        problems = listen(page, home)
        page.goto(home + "index.html")
        page.wait_for_url(home + "book/index.html")
        # The page that only leads on names no icon, so a browser may ask for the usual one.
        assert [problem for problem in problems if "/favicon.ico" not in problem] == []


@needs_book
def test_mathematics_is_typeset(visit, home):
    page, _ = visit(home, CHAPTER_1)
    assert page.locator("mjx-container").count() > 10
    font = "[...document.fonts].some(f => f.family.startsWith('MJX') && f.status == 'loaded')"
    assert page.evaluate(font)


def shown(explorer):
    """Sources of the pictures that an explorer shows now."""
    return explorer.locator("img:visible").evaluate_all(
        "images => images.map(i => i.src + getComputedStyle(i).backgroundImage)"
    )


@needs_book
@pytest.mark.parametrize("how", ["mouse", "keyboard", "touch"])
def test_slider_changes_the_picture(visit, home, how):
    options = {"has_touch": True, "viewport": {"width": 390, "height": 844}}
    page, problems = visit(home, CHAPTER_1, **(options if how == "touch" else {}))
    explorer = page.locator(".widget-subarea").filter(has_text="radius r").first
    handle = explorer.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    before, text = shown(explorer), explorer.inner_text()
    assert len(before) == 4
    assert "r = 8:" in text
    track, knob = explorer.locator(".noUi-base").bounding_box(), handle.bounding_box()
    middle = knob["y"] + knob["height"] / 2
    target = track["x"] + 0.75 * track["width"]
    if how == "mouse":
        page.mouse.move(knob["x"] + knob["width"] / 2, middle)
        page.mouse.down()
        page.mouse.move(target, middle, steps=8)
        page.mouse.up()
    elif how == "keyboard":
        handle.focus()
        page.keyboard.press("ArrowRight")
    else:
        page.touchscreen.tap(target, middle)
    page.wait_for_function(
        "([element, text]) => element.innerText != text", arg=[explorer.element_handle(), text]
    )
    after = shown(explorer)
    assert after[0] == before[0]  # the original stays
    assert after[2] != before[2]
    assert after[3] != before[3]
    if how == "keyboard":
        assert "r = 9:" in explorer.inner_text()
    assert problems == []


def test_the_check_can_fail(visit, tmp_path):
    (tmp_path / "bad.html").write_text(
        """<!doctype html><title>bad</title>
        <img src="https://example.org/picture.png">
        <script src="missing.js"></script>
        <script>console.error("a complaint"); throw Error("a mistake")</script>"""
    )
    problems = "\n".join(visit(tmp_path.as_uri() + "/", "bad.html")[1])
    assert "asks for https://example.org/picture.png" in problems
    assert f"did not get {tmp_path.as_uri()}/missing.js" in problems
    assert "console: a complaint" in problems
    assert "script: a mistake" in problems
    assert "no alt text: <img" in problems


def test_a_good_page_passes(visit, tmp_path):
    (tmp_path / "good.html").write_text("<!doctype html><title>good</title><p>Words</p>")
    assert visit(tmp_path.as_uri() + "/", "good.html")[1] == []
