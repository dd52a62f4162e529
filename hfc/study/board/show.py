"""Figures of chapter 8: all claims at a glance, and every number against its margin."""

from collections import Counter

from hfc import display
from hfc.display import Picture, Said
from hfc.study.criteria import Criterion
from hfc.study.steps import decisive
from hfc.study.verdict import Judged, claims, reference

__all__ = ["counts", "forest", "overview", "said"]

_COLOURS = {
    "met": display.COLOURS["low"],
    "refuted": display.COLOURS["high"],
    "open": display.COLOURS["neither"],
}
_MARKS = {"met": "o", "refuted": "X", "open": "s"}


def counts() -> Counter:
    """How many claims have each verdict; proposals and definitions count, too."""
    return Counter(reference(name).verdict for name in claims())


def said(verdict: str) -> Said:
    """The claims with a verdict, in a sentence: "C08 (plain network) and C10 (mixup)"."""
    return display.listed(
        f"{name} ({claim['title']})"
        for name, claim in claims().items()
        if reference(name).verdict == verdict
    )


def overview() -> Picture:
    """Every claim a row, every step a mark: met, refuted or open.

    Returns
    -------
    Picture
    """
    judged = [reference(name) for name in claims()]
    judged = [found for found in judged if found.steps]
    longest = max(len(found.steps) for found in judged)
    with display.style():
        figure, axes = display.subplots(height=0.27 * len(judged) + 0.9)
        for row, found in enumerate(judged):
            for column, step in enumerate(found.steps):
                outcome = step.outcome
                axes.plot(
                    column,
                    -row,
                    _MARKS[outcome],
                    color=_COLOURS[outcome],
                    markersize=11,
                    fillstyle="none" if outcome == "open" else "full",
                    markeredgewidth=1.5,
                )
            axes.text(longest - 0.4, -row, found.verdict, va="center", fontsize=11)
        for outcome, mark in _MARKS.items():
            axes.plot(
                [],
                [],
                mark,
                color=_COLOURS[outcome],
                label=outcome,
                markersize=9,
                fillstyle="none" if outcome == "open" else "full",
            )
        axes.set(
            yticks=[-row for row in range(len(judged))],
            yticklabels=[f"{claims()[f.claim]['title']}  {f.claim}" for f in judged],
            xticks=range(longest),
            xticklabels=range(1, longest + 1),
            xlabel="step",
            xlim=(-0.6, longest + 1.4),
            ylim=(0.4 - len(judged), 0.7),
        )
        axes.tick_params(length=0, labelsize=11)
        axes.spines[["left", "bottom"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=3, handlelength=1)
    told = "; ".join(f"{f.claim} {f.verdict} ({_steps(f)})" for f in judged)
    return display.show(figure, f"Claims and the outcomes of their steps: {told}")


def _steps(found: Judged) -> str:
    return ", ".join(step.outcome for step in found.steps)


def forest(chapter: int) -> Picture:
    """How far the number that decides each step of a chapter's claims lies beyond its margin.

    Parameters
    ----------
    chapter : int

    Returns
    -------
    Picture
        In percentage points, with 95 % intervals; steps in other units are left out.
    """
    rows = []
    for name, claim in claims().items():
        if claim["chapter"] != chapter:
            continue
        for step in reference(name).steps:
            criterion = decisive(step)
            if criterion is not None and step.factor == 100:
                rows.append((name, step, criterion))
    with display.style():
        figure, axes = display.subplots(height=0.3 * len(rows) + 0.9)
        axes.axvline(0, color="#808080", linewidth=1)
        for row, (_, step, criterion) in enumerate(rows):
            low, value, high = (step.factor * x for x in _beyond(criterion))
            colour = _COLOURS[step.outcome]
            axes.plot([low, high], [-row, -row], color=colour, linewidth=2)
            axes.plot(value, -row, _MARKS[step.outcome], color=colour, markersize=7)
        axes.set(
            yticks=[-row for row in range(len(rows))],
            yticklabels=[f"{name} {step.name}" for name, step, _ in rows],
            xlabel="points beyond the margin",
            ylim=(0.7 - len(rows), 0.7),
        )
        axes.tick_params(labelsize=10)
    told = "; ".join(
        f"{name}, {step.name}: {step.factor * _beyond(c)[1]:.0f} points, {step.outcome}"
        for name, step, c in rows
    )
    return display.show(figure, f"Distance from the margin, chapter {chapter}: {told}")


def _beyond(criterion: Criterion) -> tuple[float, float, float]:
    """Low end, estimate and high end, counted from the margin towards what the claim says."""
    value, (low, high) = criterion.estimate.value, criterion.interval
    if criterion.above is not None:
        return tuple(x - criterion.above for x in (low, value, high))
    if criterion.below is not None:
        return tuple(criterion.below - x for x in (high, value, low))
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    far = max(abs(low), abs(high))
    return tuple(criterion.within - x for x in (far, abs(value), nearest))
