"""The rendered book in a real browser that has no network.

The pages are opened from a local server and straight from the file system. Names of other hosts
cannot be resolved, and every request for one is a failure.
"""

import functools
import http.server
import re
import threading
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

CHAPTER_1 = "book/01_fourier_basics.html"
browser_test = pytest.mark.browser

# Pictures without alt text, and drawings without a label. The theme's own icons are labelled by
# the buttons they stand in.
WITHOUT_ALT = """() => [
  ...[...document.images].filter(e => !e.alt.trim()),
  ...[...document.querySelectorAll('.cell_output svg, [role=img]')].filter(
    e => !e.closest('button, [aria-hidden=true], .svg-inline--fa') && !e.alt && !e.ariaLabel),
].map(e => e.outerHTML.slice(0, 120))"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", params=["server", "files"])
def home(request, html):
    """Address of the built book, with a slash at the end."""
    if request.param == "files":
        yield html.as_uri() + "/"
        return
    handler = functools.partial(QuietHandler, directory=html)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def listen(page, home, problems):
    """Fill a list with what goes wrong on a page, now and later."""

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


@pytest.fixture
def visit(open_page):
    """Open a page and return it with the list of its problems."""

    def visit(home, path, **options):
        problems = []
        page = open_page(home + path, lambda page: listen(page, home, problems), **options)
        problems += [f"no alt text: {e}" for e in page.evaluate(WITHOUT_ALT)]
        return page, problems

    return visit


def page_names(folder):
    """Pages of the book; the front door only leads on."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    return [n for n in names if n != "index.html" and not n.startswith(("_static/", "reports/"))]


@browser_test
def test_every_page_works_alone(visit, home, html):
    pages = page_names(html)
    assert CHAPTER_1 in pages
    found = {}
    for path in pages:
        page, problems = visit(home, path)
        page.context.close()
        if problems:
            found[path] = problems
    assert found == {}


@browser_test
def test_front_door_leads_to_the_book(browser, home):
    with browser.new_page() as page:
        problems = []
        listen(page, home, problems)
        page.goto(home + "index.html")
        page.wait_for_url(home + "book/index.html")
        # The page that only leads on names no icon, so a browser may ask for the usual one.
        assert [problem for problem in problems if "/favicon.ico" not in problem] == []


@browser_test
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


@browser_test
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


@browser_test
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


@browser_test
def test_a_good_page_passes(visit, tmp_path):
    (tmp_path / "good.html").write_text("<!doctype html><title>good</title><p>Words</p>")
    assert visit(tmp_path.as_uri() + "/", "good.html")[1] == []


# What needs no browser --------------------------------------------------------------------


MARKUP = re.compile(r"\{[a-z:-]+\}`|`{3}|:{3}")


def page_complaints(path, pages):
    """Links to anchors that are not there, and MyST that was not understood."""
    page, _ = pages[path]
    complaints = []
    for link in page.select("a[href]"):
        target = urlsplit(link["href"])
        other = (path.parent / unquote(target.path)).resolve() if target.path else path
        here = not target.scheme and other in pages
        if here and target.fragment and unquote(target.fragment) not in pages[other][1]:
            complaints.append(f"no {link['href']}")
    prose = page.find("article") or page
    for code in prose.select("pre, code, script, style, .math"):
        code.decompose()
    return complaints + [f"not understood: {m[0]}" for m in MARKUP.finditer(prose.get_text())]


def read(paths):
    """Pages by path, each with the anchors it has."""
    pages = {path.resolve(): BeautifulSoup(path.read_text(), "html.parser") for path in paths}
    return {path: (page, {e["id"] for e in page.select("[id]")}) for path, page in pages.items()}


def test_links_lead_somewhere_and_all_markup_is_understood(html):
    pages = read(html / name for name in page_names(html))
    found = {path.name: page_complaints(path, pages) for path in pages}
    assert not {name: complaints for name, complaints in found.items() if complaints}


def test_page_complaints_can_fail(tmp_path):
    (tmp_path / "a.html").write_text(
        """<article><p id="x">```{admonition} It is {eval}`x`</p> <code>{term}</code>
        <a href="#x">1</a> <a href="b.html#y">2</a> <a href="b.html#z">3</a>
        <a href="https://example.org/#z">4</a></article>"""
    )
    (tmp_path / "b.html").write_text('<p id="y">text</p>')
    pages = read(tmp_path.glob("*.html"))
    assert page_complaints(tmp_path / "a.html", pages) == [
        "no b.html#z",
        "not understood: ```",
        "not understood: {eval}`",
    ]
    assert page_complaints(tmp_path / "b.html", pages) == []
