"""Chapter 8: what stands on it is what the claims, the rules and the results give."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from scipy import stats

import hfc.__main__ as command_line
from hfc.study import board, load
from hfc.study.board.cards import command
from hfc.study.board.plans import missing, seeds_needed
from hfc.study.catalogue import reference_data
from hfc.study.criteria import Criterion, Estimate
from hfc.study.steps import decisive, shown
from hfc.study.verdict import claims, judge, margin
from hfc.study.wanted import Wanted, wanted

BOOK = Path(__file__).resolve().parent.parent / "book"
JUDGED = {name: judge(name) for name in claims()}


@pytest.fixture(scope="module")
def cards():
    html = board.cards()._repr_html_()
    return {card["data-claim"]: card for card in BeautifulSoup(html, "html.parser")("details")}


def test_every_claim_has_one_card(cards):
    assert list(cards) == list(claims())
    for name, card in cards.items():
        claim = claims()[name]
        assert card["data-verdict"] == JUDGED[name].verdict
        assert card["data-chapter"] == str(claim["chapter"])
        assert claim["statement"] in card.get_text()
        assert JUDGED[name].verdict in card.find("summary").get_text()


def test_cards_hold_margins_and_numbers(cards):
    for name, card in cards.items():
        text = card.get_text().replace("\xa0", " ")  # units stay on one line
        for step, entry in zip(JUDGED[name].steps, claims()[name].get("step", []), strict=False):
            assert entry["text"] in text
            assert margin(entry) in text
            if decisive(step) is not None:
                assert shown(step, decisive(step)) in text


def test_published_numbers_are_quoted(cards):
    text = cards["C08"].get_text()
    for share in claims()["C08"]["paper"]["low"]:
        assert f"{100 * share:.4g}" in text


def test_cards_lead_to_places_that_exist(cards):
    for card in cards.values():
        page, _, anchor = card.find("a")["href"].partition("#")
        notebook = BOOK / page.replace(".html", ".ipynb")
        assert notebook.is_file()
        labels = re.findall(r"^\(([\w-]+)\)=", "\n".join(lines(notebook)), re.MULTILINE)
        assert not anchor or anchor in {label.lower() for label in labels}


def lines(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells]


@pytest.mark.parametrize("name", claims())
def test_commands_are_understood(name, monkeypatch):
    text = command(name)
    if text is None:
        assert "experiment" not in claims()[name]
        return
    python, module, package, *arguments = shlex.split(text)
    assert (python, module, package) == ("python", "-m", "hfc")
    asked = []
    monkeypatch.setattr(command_line, "_run", lambda run, folder, chosen: asked.append(run))
    assert command_line.main(arguments) == 0
    experiment = claims()[name]["experiment"]
    assert asked == [Wanted(experiment, "cpu", reference_data(experiment), asked[0].seeds)]


def test_counts_and_sentences():
    assert board.counts() == Counter(found.verdict for found in JUDGED.values())
    for verdict in board.counts():
        listed = re.findall(r"\b([CNO]\d+[abc]?) \(", board.said(verdict))
        assert listed == [name for name in claims() if JUDGED[name].verdict == verdict]
    assert board.said("no such word") == "none"


def test_overview_tells_every_outcome():
    alt = board.overview().alt
    for name, found in JUDGED.items():
        if found.steps:
            outcomes = ", ".join(step.outcome for step in found.steps)
            assert f"{name} {found.verdict} ({outcomes})" in alt


@pytest.mark.parametrize("chapter", [3, 4, 5, 6])
def test_forest_counts_from_the_margin(chapter):
    alt = board.forest(chapter).alt
    for name, claim in claims().items():
        for step in JUDGED[name].steps if claim["chapter"] == chapter else ():
            chosen = decisive(step)
            if chosen is None or step.factor != 100:
                assert f"{name}, {step.name}:" not in alt
                continue
            value = chosen.estimate.value
            if chosen.above is not None:
                beyond = value - chosen.above
            elif chosen.below is not None:
                beyond = chosen.below - value
            else:
                beyond = chosen.within - abs(value)
            assert f"{name}, {step.name}: {100 * beyond:.0f} points, {step.outcome}" in alt


@pytest.mark.parametrize(
    ("values", "side"),
    [
        ([0.00, 0.10, 0.17], {"above": 0.02}),
        ([0.00, 0.10, 0.17], {"below": 0.2}),
        ([-0.05, 0.02, 0.06], {"within": 0.05}),
    ],
)
def test_seeds_that_would_settle_a_step(values, side):
    found = seeds_needed(Criterion("", Estimate.of(values), **side))
    mean, spread = sum(values) / 3, (stats.tstd(values))
    distance = abs((abs(mean) if "within" in side else mean) - next(iter(side.values())))

    def half(n):
        return stats.t.ppf(0.975, n - 1) * spread / n**0.5

    assert half(found) < distance <= half(found - 1)


def test_no_number_of_seeds_settles_what_lies_on_its_margin():
    assert seeds_needed(Criterion("", Estimate.of([0.1, 0.2]), above=0.15)) is None


def test_open_steps_are_listed():
    frame = board.seeds_that_would_settle().frame
    wanted_rows = [
        f"{name}, {step.name}"
        for name, found in JUDGED.items()
        for step in found.steps
        if step.outcome == "open"
    ]
    assert list(frame.index) == wanted_rows


def test_what_is_still_wanted():
    frame = board.still_wanted("cpu").frame
    for run in wanted():
        try:
            stored = load(run.experiment, scale=run.scale, dataset=run.data).seeds
        except FileNotFoundError:
            stored = []
        lacking = [seed for seed in run.range if seed not in stored]
        assert missing(run) == len(lacking)
        if run.scale == "cpu" and lacking:
            assert run.experiment in frame.index
    assert not any(frame["missing"] == "0")


# The page -----------------------------------------------------------------------------------


@pytest.fixture
def scoreboard(open_page, html):
    return open_page((html / "book" / "08_scoreboard.html").as_uri(), lambda page: None)


def visible(page):
    shown = "cards => cards.filter(card => !card.hidden).map(card => card.dataset.claim)"
    return page.locator("details[data-claim]").evaluate_all(shown)


@pytest.mark.browser
def test_filters_by_keyboard(scoreboard):
    page = scoreboard
    assert visible(page) == list(claims())
    page.locator("select[name=verdict]").select_option("open")
    wanted = [name for name, found in JUDGED.items() if found.verdict == "open"]
    assert visible(page) == wanted
    count = page.locator(".hfc-board [aria-live=polite]")
    assert count.inner_text() == f"{len(wanted)} of {len(claims())} claims"
    page.locator("select[name=chapter]").select_option("4")
    assert visible(page) == [name for name in wanted if claims()[name]["chapter"] == 4]
    page.locator("select[name=verdict]").select_option("")
    page.locator("input[name=words]").focus()
    page.keyboard.type("MIXUP")
    assert visible(page) == ["C10"]
    page.keyboard.press("Enter")  # sends nothing away
    assert visible(page) == ["C10"]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    card = page.locator("details[data-claim=C10]")
    assert card.evaluate("card => card.open")
    assert claims()["C10"]["statement"] in card.inner_text()


@pytest.mark.browser
def test_without_scripts_all_is_shown(browser, html):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((html / "book" / "08_scoreboard.html").as_uri())
        assert page.locator("details[data-claim]").count() == len(claims())
        assert page.locator(".hfc-filter").count() == 0
