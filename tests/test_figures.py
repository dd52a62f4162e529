"""``hfc.figures``: what a reader gets, whatever the renderer."""

import re

import pytest

from hfc.figures import small_multiples

LINES = {
    "low": ([1, 2, 3], [10, 20, 30], [5, 15, 25], [15, 25, 35]),
    "high": ([1, 2, 3], [3, 2, 1]),
}
AXES = {"xlabel": "epoch", "ylabel": "right (%)"}


def plots(count):
    return {f"plot {k}": LINES for k in range(count)}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_small_multiples_draw_every_plot_and_tell_what_they_show(count):
    markup = small_multiples(plots(count), alt="Two lines", **AXES).markup
    assert 'role="img"' in markup
    assert 'aria-label="Two lines"' in markup
    bands = len(re.findall('id="[^"]*FillBetweenPolyCollection_', markup))
    assert bands == count


def test_small_multiples_share_their_axes_and_name_them_once(monkeypatch):
    shown = []
    monkeypatch.setattr("hfc.figures.show", lambda figure, alt: shown.append(figure))
    small_multiples(plots(3), alt="Two lines", ylim=(0, 50), **AXES)
    (figure,) = shown
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("epoch", "right (%)")
    assert len(figure.legends) == 1
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in visible] == ["plot 0", "plot 1", "plot 2"]
    assert {axes.get_ylim() for axes in visible} == {(0, 50)}
    assert all(len(axes.lines) == 2 and len(axes.collections) == 1 for axes in visible)


def test_alt_text_is_needed():
    with pytest.raises(ValueError, match="alt text"):
        small_multiples(plots(2), alt=" ", **AXES)
