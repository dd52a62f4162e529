"""What axe-core finds on the pages: nothing serious in what is ours to mend.

Every page is looked at light on a desktop and dark on a phone.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile

import pytest

from tests.conftest import HTML
from tests.test_pages import page_names

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = "axe-core-4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
WINDOWS = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "has_touch": True},
]

LOOK = """async () => (await axe.run({resultTypes: ["violations"]})).violations
  .filter(v => ["serious", "critical"].includes(v.impact))
  .flatMap(v => v.nodes.map(n => [v.id, n.target.join(" "), n.html.slice(0, 160)]))"""


@pytest.fixture(scope="session")
def axe():
    """Text of axe-core's script, from npm, kept under _build."""
    kept = HTML.parent / "npm" / f"{AXE}.tgz"
    if not kept.exists():
        if shutil.which("npm") is None:
            pytest.skip("axe-core comes by npm, which is not on this machine")
        kept.parent.mkdir(parents=True, exist_ok=True)
        name, _, version = AXE.rpartition("-")
        packed = subprocess.run(
            ["npm", "pack", f"{name}@{version}", "--silent"],
            cwd=kept.parent,
            capture_output=True,
            text=True,
        )
        if packed.returncode:
            pytest.skip(f"axe-core comes by npm, which says: {packed.stderr[:200]}")
    found = base64.b64encode(hashlib.sha512(kept.read_bytes()).digest()).decode()
    assert found == SHA512, f"{kept} is not the file that it should be"
    with tarfile.open(kept) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def violations(page, axe):
    """Serious and critical ones: rule, element, markup."""
    page.evaluate(axe)
    return [": ".join(found) for found in page.evaluate(LOOK)]


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window["color_scheme"])
def test_pages_can_be_used_by_everybody(open_page, html, axe, window):
    found = {}
    for name in page_names(html):
        page = open_page((html / name).as_uri(), **window)
        if complaints := violations(page, axe):
            found[name] = complaints
        page.context.close()
    assert found == {}


def test_the_check_can_fail(open_page, axe, tmp_path):
    (tmp_path / "bad.html").write_text(
        """<!doctype html><html lang="en"><title>bad</title>
        <main><h1>Bad</h1><button></button><p style="color: #aaa">pale</p></main>"""
    )
    rules = [v.partition(":")[0] for v in violations(open_page(f"file://{tmp_path}/bad.html"), axe)]
    assert rules == ["button-name", "color-contrast"]
