"""One folded card for every claim; a page with JavaScript adds filters above them."""

from html import escape

from hfc.display import Picture
from hfc.study import steps
from hfc.study.catalogue import reference_data
from hfc.study.results import RESULTS, load, path
from hfc.study.verdict import claims, reference

__all__ = ["cards", "command"]

_MARKS = {"reproduced": "✓", "partly": "◐", "contradicted": "✗", "open": "?", "adopted": "✓"}
_SCALES = ("cpu", "paper")
_LOOK = """
.hfc-board details { border: 1px solid #80808080; border-radius: 6px; margin: 6px 0;
  padding: 6px 12px; }
.hfc-board summary { cursor: pointer; }
.hfc-board summary b { float: right; margin-left: 1em; font-weight: 600; }
.hfc-board p { margin: 6px 0; }
.hfc-filter { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; }
.hfc-filter select, .hfc-filter input { font: inherit; color: inherit; background: transparent;
  border: 1px solid #808080; border-radius: 4px; padding: 2px 6px; max-width: 12em; }
.hfc-filter option { color: initial; }
.hfc-board pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 6px 0; }
"""


def cards() -> Picture:
    """All claims with their numbers, steps, verdicts, pages and commands.

    Returns
    -------
    Picture
        HTML that needs no script. ``hfc.js`` puts filters by verdict, chapter and text above it.
    """
    body = "".join(_card(name, claim) for name, claim in claims().items())
    html = f'<style>{_LOOK}</style><div class="hfc-board">{body}</div>'
    verdicts = ", ".join(f"{name} {reference(name).verdict}" for name in claims())
    return Picture(html, f"All claims, each in a fold: {verdicts}")


def command(name: str) -> str | None:
    """How to measure what a claim is judged by once more; None where nothing is measured."""
    experiment = claims()[name].get("experiment")
    if experiment is None:
        return None
    try:
        seeds = len(load(experiment, dataset=reference_data(experiment)).seeds)
    except FileNotFoundError:
        seeds = 5
    where = f"--scale cpu --data {reference_data(experiment)} --seeds {seeds} --folder runs"
    return f"python -m hfc reproduce {experiment} {where}"


def _card(name, claim):
    found = reference(name)
    page, _, anchor = claim["page"].partition("#")
    link = f"{page}.html" + (f"#{anchor.lower()}" if anchor else "")
    parts = [
        f"<p><i>{escape(claim['statement'])}</i> ({escape(claim['source'])})</p>",
        *(f"<p>{_numbers(who, claim[who])}</p>" for who in ("paper", "blog") if who in claim),
        steps.table(name)._repr_html_() if found.steps else "",
        f"<p>{_scales(claim)}</p>",
        f'<p>Treated in <a href="{link}">chapter {claim["chapter"]}</a>.</p>',
    ]
    if command(name) is not None:
        parts.append(f"<pre>{escape(command(name))}</pre>")
    mark = _MARKS.get(found.verdict, "–")
    return (
        f'<details data-claim="{name}" data-verdict="{found.verdict}" '
        f'data-chapter="{claim["chapter"]}"><summary>{name} · {escape(claim["title"])} '
        f"<b>{mark} {found.verdict}</b></summary>{''.join(parts)}</details>"
    )


def _numbers(who, numbers):
    """The plain lists among a source's numbers, in percent."""
    told = [
        f"{key.replace('_', ' ')} {_listed(value)}"
        for key, value in numbers.items()
        if key not in ("radii", "columns", "sweep", "rows", "epsilons")
    ]
    where = f" at r = {', '.join(map(str, numbers['radii']))}" if "radii" in numbers else ""
    told = "; ".join(told) or "see the chapter"
    return escape(f"The {who}{where}, in percent: {told}.")


def _listed(value):
    values = value if isinstance(value, list) else [value]
    return ", ".join(n if isinstance(n, str) else f"{100 * n:.4g}" for n in values)


def _scales(claim):
    if "experiment" not in claim:
        return "Nothing is measured for it."
    told, dataset = [], reference_data(claim["experiment"])
    for scale in _SCALES:
        if path(RESULTS, claim["experiment"], scale, dataset).is_file():
            seeds = load(claim["experiment"], scale=scale, dataset=dataset).seeds
            told.append(f"{len(seeds)} seeds at scale {scale} ({seeds[0]} to {seeds[-1]})")
    told = " and ".join(told) or "no result yet"
    where = {"cifar10": "CIFAR-10", "bccd": "blood cells (BCCD)"}[dataset]
    return escape(f"Experiment {claim['experiment']}, {where}: {told}.")
