"""``hfc.display``: what a reader sees, hears and reads, whatever the renderer."""

import base64
import html.parser
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.embed import dependency_state
from PIL import Image

from hfc import display
from hfc.flags import Flag
from hfc.frequency import radial_mask, split

LINES = {
    "low": ([1, 2, 3], [10, 20, 30], [5, 15, 25], [15, 25, 35]),
    "high": ([1, 2, 3], [3, 2, 1]),
}
AXES = {"xlabel": "epoch", "ylabel": "right (%)"}


class Elements(html.parser.HTMLParser):
    """All elements of a piece of HTML: tag, attributes and the text directly inside."""

    def __init__(self, markup):
        super().__init__()
        self.all, self.open = [], []
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.all.append({"tag": tag, "text": "", **dict(attrs)})
        if tag not in ("img", "br", "col", "path", "use", "rect"):
            self.open.append(self.all[-1])

    def handle_startendtag(self, tag, attrs):
        self.all.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        while self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def __getitem__(self, tag):
        return [element for element in self.all if element["tag"] == tag]


def words(svg):
    """The texts of a plot; matplotlib keeps them as comments beside their outlines."""
    return re.findall("<!-- (.*?) -->", svg)


def pixels(source):
    """An image out of its data URL."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def photo(height=8, width=8, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


# Boxes --------------------------------------------------------------------------------------


def test_boxes_stand_where_they_were_found():
    """In pixels of the picture, in the colour of their role, with their text."""
    boxes = [[(1, 2, 5, 7, "low", "A"), (0, 0, 8, 6, "high", "<B>")], []]
    made = display.panels([photo(8, 10), photo()], ["one", "two"], boxes=boxes)
    found = Elements(made.markup)
    (drawing,) = found["svg"]  # none where there is nothing to draw
    assert drawing["viewbox"] == "0 0 10 8"
    frames = [r for r in found["rect"] if r["stroke"] != "#000"]
    assert [(r["x"], r["y"], r["width"], r["height"]) for r in frames] == [
        ("1.0", "2.0", "4.0", "5.0"),
        ("0.0", "0.0", "8.0", "6.0"),
    ]
    assert [r["stroke"] for r in frames] == [display.COLOURS["low"], display.COLOURS["high"]]
    assert [t["text"] for t in found["text"]] == ["A", "<B>"]


def test_boxes_need_a_known_role():
    with pytest.raises(ValueError, match=r"role must be one of original, .*, got 'cell'"):
        display.panels([photo()], ["one"], boxes=[[(0, 0, 1, 1, "cell", "")]])


# Plots --------------------------------------------------------------------------------------


def test_a_line_plot_draws_every_line_and_a_band_where_an_interval_is_given():
    svg = display.line_plot(LINES, alt="Two lines", **AXES).markup
    assert len(re.findall('id="[^"]*FillBetweenPolyCollection_', svg)) == 1
    for role in LINES:
        assert f"stroke: {display.COLOURS[role]}" in svg
    assert not any(display.COLOURS[role] in svg for role in ("original", "both", "neither"))
    assert {"epoch", "right (%)", "low", "high"} <= set(words(svg))


def test_a_label_takes_the_colour_of_its_role():
    line = {"mine": ([1, 2], [1, 2])}
    svg = display.line_plot(line, roles={"mine": "both"}, alt="A line", **AXES).markup
    assert display.COLOURS["both"] in svg
    assert display.COLOURS["original"] not in svg


def test_labels_without_a_role_take_the_colours_that_are_left():
    lines = {name: ([1, 2], [1, 2]) for name in ("low", "one", "two")}
    svg = display.line_plot(lines, alt="Three lines", **AXES).markup
    assert all(display.COLOURS[role] in svg for role in ("low", "original", "high"))


def test_limits_and_logarithms_reach_the_axes():
    plot = display.line_plot(LINES, alt="Two lines", log="x", xticks=[1, 3], ylim=(0, 400), **AXES)
    assert {"1", "3", "400"} <= set(words(plot.markup))


def test_the_ink_is_that_of_the_page():
    svg = display.line_plot(LINES, alt="Two lines", **AXES).markup
    assert "#000000" not in svg
    assert "currentColor" in svg


def test_two_plots_on_a_page_share_no_id():
    ids = [
        set(re.findall('id="([^"]*)"', display.line_plot(LINES, alt=alt, height=h, **AXES).markup))
        for alt, h in (("One", 3), ("Another", 4))
    ]
    assert ids[0].isdisjoint(ids[1])


def test_the_same_plot_gives_the_same_markup():
    first, second = (display.line_plot(LINES, alt="Two lines", **AXES) for _ in range(2))
    assert first.markup == second.markup


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_small_multiples_draw_every_plot_and_name_their_axes_once(count):
    plots = {f"plot {k}": LINES for k in range(count)}
    svg = display.small_multiples(plots, alt="Many lines", ylim=(0, 50), **AXES).markup
    assert len(re.findall('id="[^"]*FillBetweenPolyCollection_', svg)) == count
    said = words(svg)
    assert all(said.count(title) == 1 for title in plots)
    assert all(said.count(name) == 1 for name in (*AXES.values(), *LINES))


def test_small_multiples_have_the_same_limits():
    plots = {"small": {"low": ([1, 2], [1, 2])}, "large": {"low": ([1, 2], [100, 200])}}
    said = words(display.small_multiples(plots, alt="Two plots", **AXES).markup)
    assert said.count("200") == 1  # one axis for both


def test_own_figures_are_drawn_in_the_same_style():
    with display.style():
        figure, axes = display.subplots(1, 2, width=4, sharey=True)
        for ax in axes:
            ax.plot([1, 2], [3, 4], color=display.COLOURS["low"])
    svg = display.show(figure, "Two plots of a line").markup
    assert "max-width:384px" in svg
    assert svg.count(f"stroke: {display.COLOURS['low']}") == 2


@pytest.mark.parametrize("alt", ['Says "<b>"', "Line & band"])
def test_a_plot_is_an_image_with_a_name(alt):
    plot = display.line_plot(LINES, alt=alt, **AXES)
    (svg,) = Elements(plot.markup)["svg"]
    assert svg["role"] == "img"
    assert svg["aria-label"] == alt
    assert repr(plot) == f"<Picture: {alt}>"


@pytest.mark.parametrize(
    "draw",
    [
        lambda alt: display.line_plot(LINES, alt=alt, **AXES),
        lambda alt: display.small_multiples({"plot": LINES}, alt=alt, **AXES),
        lambda alt: display.panels([photo()], ["caption"], alts=[alt]),
        lambda alt: display.Picture("<p>", alt),
    ],
)
def test_alt_text_is_needed(draw):
    with pytest.raises(ValueError, match="alt text"):
        draw(" ")


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_colours_of_lines_stand_out_from_the_page(page):
    for colour in display.COLOURS.values():
        bright, dark = sorted([luminance(colour), luminance(page)], reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 3.8


# Pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7)])
@pytest.mark.parametrize("as_array", [False, True])
def test_a_picture_holds_the_image(shape, as_array):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    given_image = image.numpy() if as_array else image
    (img,) = Elements(display.panels([given_image], ["noise"]).markup)["img"]
    expected = (image.clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    expected = np.moveaxis(expected, 0, -1) if len(expected) == 3 else expected.reshape(5, 7)
    assert (pixels(img["src"]) == expected).all()


def test_a_high_frequency_component_is_shown_around_grey():
    high = torch.tensor([[-0.5, 0.0], [0.25, 0.5]])
    (img,) = Elements(display.panels([high], ["HFC"], roles=["high"]).markup)["img"]
    assert pixels(img["src"]).tolist() == [[0, 128], [191, 255]]


def test_captions_alts_and_roles_belong_to_their_pictures():
    picture = display.panels(
        [photo()] * 2, ["a < b", "two\nlines"], alts=['An "edge"', "A wave"], roles=["low", None]
    )
    elements = Elements(picture.markup)
    assert [img["alt"] for img in elements["img"]] == ['An "edge"', "A wave"]
    assert "a &lt; b" in picture.markup
    assert "two<br>lines" in picture.markup
    assert picture.markup.count(display.COLOURS["low"]) == 1
    assert picture.alt == 'An "edge"; A wave'


def test_captions_are_alt_texts_where_none_are_given():
    elements = Elements(display.panels([photo()], ["a cat"]).markup)
    assert elements["img"][0]["alt"] == "a cat"


def test_a_circle_holds_the_waves_of_its_radius():
    picture = display.panels([torch.zeros(32, 32)] * 2, ["a", "b"], circles=[None, 8])
    (circle,) = Elements(picture.markup)["circle"]
    x, y, r = (float(circle[name]) for name in ("cx", "cy", "r"))
    row, column = np.mgrid[:32, :32] + 0.5  # middles of the pixels
    inside = np.hypot(row - y, column - x) <= r
    mask = torch.fft.fftshift(radial_mask(32, 32, 8)).numpy()
    assert inside[mask].all()
    assert not inside[np.hypot(row - 16.5, column - 16.5) > 8.5].any()


@pytest.mark.parametrize("shape", [(8,), (2, 8, 8), (1, 3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="must have shape"):
        display.panels([torch.zeros(shape)], ["caption"])


def test_unknown_roles_are_refused():
    with pytest.raises(ValueError, match="role must be one of original, low"):
        display.panels([photo()], ["caption"], roles=["middle"])


def test_every_picture_needs_a_caption():
    with pytest.raises(ValueError, match="shorter"):
        display.panels([photo(), photo()], ["caption"])


def test_log_amplitude_finds_a_wave():
    x = torch.arange(16) / 16
    wave = 0.5 + 0.4 * torch.cos(2 * torch.pi * 3 * x).repeat(16, 1)
    spectrum = display.log_amplitude(wave)
    assert spectrum.shape == (16, 16)
    assert (spectrum >= 0).all()
    assert (spectrum <= 1).all()
    assert {tuple(at) for at in (spectrum == 1).nonzero().tolist()} == {(8, 8), (8, 5), (8, 11)}
    assert torch.equal(torch.fft.fftshift(display.log_amplitude(wave, shift=False)), spectrum)


def test_log_amplitude_averages_channels():
    grey = photo()[:1]
    assert torch.allclose(
        display.log_amplitude(grey.repeat(3, 1, 1)), display.log_amplitude(grey[0])
    )


# Interactive figures ------------------------------------------------------------------------


def parts(widget):
    """Slider and frames of a slideshow, and what the frames share."""
    slider, stack, shared = widget.children
    return slider, stack, shared.value


def test_a_slideshow_has_a_named_slider_with_one_label_per_frame():
    frames = [display.panels([photo(seed=k)], [f"frame {k}"]) for k in range(3)]
    slider, stack, _ = parts(display.slideshow(frames, ["a", 4, "c"], name="which", start=1))
    assert slider.description == "which"
    assert [label for label, _ in slider.options] == ["a", "4", "c"]
    assert (slider.index, stack.selected_index) == (1, 1)
    for k, page in enumerate(stack.children):
        assert f"frame {k}" in page.value


def test_slider_and_frames_are_linked_in_the_browser():
    frames = [display.panels([photo(seed=k)], ["frame"]) for k in range(2)]
    show = display.slideshow(frames, ["a", "b"], name="which")
    slider, stack, _ = parts(show)
    state = dependency_state(show)  # what a rendered page gets
    (link,) = (m["state"] for m in state.values() if m["model_name"] == "LinkModel")
    assert link["source"] == [f"IPY_MODEL_{slider.model_id}", "index"]
    assert link["target"] == [f"IPY_MODEL_{stack.model_id}", "selected_index"]


def test_a_picture_in_several_frames_is_kept_once():
    images = [photo(32, 32, seed) for seed in range(3)]
    frames = [display.panels([images[0], other], ["same", "other"]) for other in images[1:]]
    _, stack, shared = parts(display.slideshow(frames, ["a", "b"], name="which"))
    (source,) = re.findall(r"url\((.*?)\)", shared)
    assert (pixels(source) == pixels(Elements(frames[0].markup)["img"][0]["src"])).all()
    assert not any(source in page.value for page in stack.children)
    (name,) = re.findall(r"\.(hfc-\w+)\{", shared)
    for page in stack.children:
        same, other = Elements(page.value)["img"]
        assert name in same["class"]
        assert same["alt"] == "same"
        assert name not in other["class"]


@pytest.mark.parametrize(("frames", "labels"), [(0, 0), (2, 1)])
def test_a_slideshow_needs_one_label_per_frame(frames, labels):
    pictures = [display.panels([photo()], ["frame"])] * frames
    with pytest.raises(ValueError, match=f"got {frames} and {labels}"):
        display.slideshow(pictures, ["label"] * labels, name="which")


def energies(widget):
    """For each frame the shares of energy that the alt texts of LFC and HFC say."""
    _, stack, _ = parts(widget)
    alts = [[img["alt"] for img in Elements(page.value)["img"]] for page in stack.children]
    return [
        tuple(float(re.search(r"([\d.]+) % of the energy", alt)[1]) for alt in four[2:])
        for four in alts
    ]


def test_the_energy_of_both_components_adds_up():
    image = photo(16, 16)
    shares = energies(display.radius_explorer(image))
    assert all(low + high == pytest.approx(100, abs=1) for low, high in shares)
    assert shares[0] == (0, 100)
    assert shares[-1] == (100, 0)
    assert shares == sorted(shares)


def test_the_energy_is_that_of_the_component():
    image = photo(16, 16).double()
    ((low, _),) = energies(display.radius_explorer(image, [4]))
    centred = image - image.mean((-2, -1), keepdim=True)
    kept = split(centred, 4)[0].square().sum() / centred.square().sum()
    assert low == pytest.approx(100 * kept.item(), abs=0.5)


def test_the_explorer_starts_near_a_quarter_of_the_height():
    slider, _, _ = parts(display.radius_explorer(photo(32, 32)))
    assert slider.label == "8"
    slider, _, _ = parts(display.radius_explorer(photo(32, 32), [1, 5, 20], start=6))
    assert slider.label == "5"


def test_a_plain_image_has_no_energy_outside():
    assert energies(display.radius_explorer(torch.full((3, 8, 8), 0.3), [2])) == [(100, 0)]


# Text ---------------------------------------------------------------------------------------


def test_said_shows_itself_without_quotes():
    said = display.Said("not reproduced")
    assert repr(said) == "not reproduced" == said
    assert f"{said}!" == "not reproduced!"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.554, "55 %"),
        (-0.03, "-3 %"),
        (0.004, "0.4 %"),
        (0.9999, "99.99 %"),
        (1.5, "150 %"),
        (torch.tensor(0.25), "25 %"),
        (-1e-15, "0 %"),
    ],
)
def test_percent(share, text):
    assert repr(display.percent(share)) == text


@given(st.floats(0, 1))
def test_percent_is_near_and_exact_at_the_ends(share):
    text = display.percent(share)
    assert float(text.removesuffix(" %")) == pytest.approx(100 * share, abs=0.5)
    if text in ("0 %", "100 %"):
        assert 100 * share == pytest.approx(float(text.removesuffix(" %")), abs=1e-8)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 2, 3], "1, 2 and 3"),
        ([4.0, 8.5], "4 and 8.5"),
        (["one"], "one"),
        ([], "none"),
        ((str(k) for k in range(2)), "0 and 1"),
    ],
)
def test_listed(values, text):
    assert repr(display.listed(values)) == text


def test_flags_are_counted_whatever_their_shares():
    flags = [
        (),
        (Flag("survives-grey", 0.13),),
        (Flag("vanishing-gradients", 0.04), Flag("survives-grey", 0.07)),
    ]
    said = display.flag_sentence(flags)
    assert said.startswith("Flags in 2 of 3 numbers: ")
    assert "“gradients vanish for … % of images” (1)" in said
    assert "“… % of images stay right though epsilon reaches grey” (2)" in said


@pytest.mark.parametrize(
    ("count", "text"), [(0, "No flag in 0 numbers."), (1, "No flag in 1 number.")]
)
def test_no_flags_are_said_as_well(count, text):
    assert repr(display.flag_sentence([()] * count)) == text


# Tables -------------------------------------------------------------------------------------


class Estimate:
    def __str__(self):
        return "55 ± 2 ⚑"


def small_frame():
    return pd.DataFrame(
        {"share": [Estimate(), "7 ± 1"], "note": ["a < b", None], "count": [1.0, 2.5]},
        index=pd.Index(["vanilla", "batch & norm"], name="heuristic"),
    )


def wide_frame():
    return pd.DataFrame(
        np.arange(16).reshape(4, 4),
        index=pd.MultiIndex.from_product(
            [["natural", "adversarial"], [4, 8]], names=["training", "r"]
        ),
        columns=pd.MultiIndex.from_product([["ours", "paper"], ["clean", "PGD"]]),
    )


def rows(table):
    """Texts and attributes of the cells, row by row."""
    markup = table._repr_html_()
    return [
        [cell for cell in Elements(row).all if cell["tag"] in ("th", "td")]
        for row in re.findall("<tr>.*?</tr>", markup)
    ]


def test_every_head_cell_says_what_it_is_the_head_of():
    head, *body = rows(display.table(small_frame()))
    assert [(c["tag"], c["scope"], c["text"]) for c in head] == [
        ("th", "col", name) for name in ("heuristic", "share", "note", "count")
    ]
    for (first, *others), name in zip(body, small_frame().index, strict=True):
        assert (first["tag"], first["scope"], first["text"]) == ("th", "row", name)
        assert all(cell["tag"] == "td" for cell in others)


def test_cells_show_values_as_text_and_missing_ones_empty():
    _, *body = rows(display.table(small_frame()))
    assert [[c["text"] for c in row[1:]] for row in body] == [
        ["55 ± 2 ⚑", "a < b", "1"],
        ["7 ± 1", "", "2.5"],
    ]


def test_text_is_escaped():
    label = 'say "<i>"'
    frame = pd.DataFrame({"<b>": ["<script>"]}, index=["<i>"])
    markup = display.table(frame, label)._repr_html_()
    assert {"b", "script", "i"}.isdisjoint(element["tag"] for element in Elements(markup).all)
    assert Elements(markup)["div"][0]["aria-label"] == label


def test_columns_of_numbers_are_aligned_as_such():
    for row in rows(display.table(small_frame())):
        assert ["number" in cell.get("class", "") for cell in row] == [False, True, False, True]


@pytest.mark.parametrize(
    "text", ["5", "-0.25", "1,000", "55 ± 2", "2.09 ± 0.06", "55 ± nan", "< 1 %", "4/255", "1e-05"]
)
def test_what_looks_like_a_number_is_one(text):
    *_, cell = rows(display.table(pd.DataFrame({"a": [text, "–"]})))[1]
    assert cell["class"] == "number"


@pytest.mark.parametrize("text", ["3 × 3", "55 percent", "r = 8", ""])
def test_what_looks_like_words_is_none(text):
    *_, cell = rows(display.table(pd.DataFrame({"a": [text]})))[1]
    assert "class" not in cell


def test_outer_columns_span_theirs():
    first, second, *_ = rows(display.table(wide_frame()))
    assert [(c["text"], c["scope"], c["colspan"]) for c in first if c["tag"] == "th"] == [
        ("ours", "colgroup", "2"),
        ("paper", "colgroup", "2"),
    ]
    assert [c["text"] for c in second] == ["r", "clean", "PGD", "clean", "PGD"]
    groups = Elements(display.table(wide_frame())._repr_html_())["colgroup"]
    assert [group.get("span", "1") for group in groups] == ["1", "2", "2"]


def test_outer_row_names_are_headings_of_their_groups():
    table = display.table(wide_frame())
    headings = [row[0] for row in rows(table) if row[0].get("scope") == "rowgroup"]
    assert [(c["text"], c["colspan"]) for c in headings] == [
        ("training: natural", "5"),
        ("training: adversarial", "5"),
    ]
    bodies = re.findall("<tbody>.*?</tbody>", table._repr_html_())
    assert [body.count('scope="row"') for body in bodies] == [2, 2]
    numbers = [[int(c["text"]) for c in row[1:]] for row in rows(table)[2:] if len(row) > 1]
    assert numbers == wide_frame().to_numpy().tolist()


def test_every_row_fills_the_table():
    for frame in (small_frame(), wide_frame(), wide_frame().T, small_frame().T):
        for row in rows(display.table(frame)):
            columns = sum(int(cell.get("colspan", 1)) for cell in row)
            assert columns == frame.shape[1] + 1


def test_the_name_of_the_columns_stands_above_them():
    first, *_ = rows(display.table(small_frame().rename_axis("what is seen", axis=1)))
    assert (first[1]["text"], first[1]["scope"]) == ("what is seen", "colgroup")
    assert first[1]["colspan"] == "3"


def test_a_table_is_a_region_that_the_keyboard_scrolls():
    region = Elements(display.table(wide_frame())._repr_html_())["div"][0]
    assert (region["role"], region["tabindex"]) == ("region", "0")
    assert region["aria-label"] == "Table: ours, paper"


def test_the_plain_text_is_that_of_pandas():
    assert repr(display.table(wide_frame())) == wide_frame().to_string()
    as_seen = small_frame().fillna("").astype(str)
    as_seen["count"] = ["1", "2.5"]
    assert repr(display.table(small_frame())) == as_seen.to_string()


def test_the_frame_stays_as_it_was():
    frame = small_frame()
    table = display.table(frame)
    repr(table)
    assert table.frame is frame
    pd.testing.assert_frame_equal(frame.drop(columns="share"), small_frame().drop(columns="share"))


def test_only_data_frames_are_tables():
    with pytest.raises(TypeError, match="frame must be a pandas DataFrame, got Series"):
        display.table(pd.Series([1, 2]))


def test_a_label_is_not_empty():
    with pytest.raises(ValueError, match="label must say what the table shows"):
        display.table(small_frame(), " ")


@pytest.mark.parametrize(
    "longest", ["no", "a label of 20 letters", "BatchNorm, running statistics"]
)
@pytest.mark.parametrize("kind", ["line_plot", "small_multiples"])
def test_legend_stays_inside_its_figure(monkeypatch, longest, kind):
    drawn = []
    monkeypatch.setattr(display.plots, "show", lambda figure, alt: drawn.append(figure))
    lines = {f"{longest[:-1]}{k}": ([0, 1], [k, k]) for k in range(4)}
    many = {"left": lines, "right": lines}
    getattr(display.plots, kind)(
        many if kind == "small_multiples" else lines, xlabel="x", ylabel="y", alt="lines"
    )
    (figure,) = drawn
    figure.draw_without_rendering()
    box, (legend,) = figure.bbox, figure.legends
    inside = legend.get_window_extent()
    assert box.x0 <= inside.x0 < inside.x1 <= box.x1
    assert box.y0 <= inside.y0 < inside.y1 <= box.y1
