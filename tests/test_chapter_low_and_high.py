"""Chapter 2: what its figures and tables show, and what its text says of live numbers."""

import pytest
import torch

from hfc import data, evaluation, models, study, training
from hfc.data import ImageSet
from hfc.frequency import band_pass, split
from hfc.machine import default_device, threads, using_threads
from hfc.study import low_and_high

RADII = [0, 2, 4, 5, 6, 8, 12, 16]


@pytest.fixture(scope="module")
def ours():
    return study.load("observation")


@pytest.fixture(scope="module")
def pictures():
    torch.manual_seed(0)
    model = models.build("small", num_classes=10).eval()
    return model, data.load("synthetic", "test", size=60, hfc_strength=1)


class ByPart(torch.nn.Module):
    """Says class 1 to whatever varies little from pixel to pixel, else class 0."""

    def forward(self, x):
        rough = (x[..., 1:] - x[..., :-1]).abs().mean(dim=(1, 2, 3))
        return torch.stack([rough - 0.1, 0.1 - rough], dim=1)


# Stored results --------------------------------------------------------------------------------


def test_boxes_table_holds_ours_beside_the_blogs(ours):
    frame = low_and_high.boxes_table(ours).frame
    assert list(frame.index) == [f"{r}" for r in RADII]
    stored = ours.at(copies="raw", radius=8).only_high
    assert frame.loc["8", ("only HFC right", "ours")].values == stored.values
    assert str(frame.loc["8", ("only HFC right", "ours")]) == "2270 ± 116"
    entry = study.claims()["C02"]["blog"]
    blog = [
        [int(frame.loc[r, (text, "blog")]) for text in frame.columns.get_level_values(0).unique()]
        for r in frame.index
    ]
    assert blog == [row[1:] for row in entry["sweep"]]


def test_controls_table_holds_every_control(ours):
    frame = low_and_high.controls_table(ours).frame
    assert set(frame.index) == {(c, f"{r}") for c in ("raw", "mean added") for r in RADII}
    for copies, radius in (("raw", 4), ("mean added", 12)):
        row, stored = frame.loc[copies, f"{radius}"], ours.at(copies=copies, radius=radius)
        assert row["... and original right"].values == stored.only_high_and_original.values
        assert row["if independent"].values == stored.only_high_independent.values
        assert row["only LFC and original right"].values == stored.only_low_and_original.values
    assert str(frame.loc[("raw", "8"), "... and original right"]) == "2127 ± 104"


def test_right_on_adds_two_boxes(ours):
    counts = ours.at(copies="raw", radius=4)
    share = low_and_high.right_on("high", counts)
    assert share.percent == "57 %"
    assert share.values[0] == (counts.only_high.values[0] + counts.both.values[0]) / 10_000
    assert low_and_high.right_on("low", counts).percent == "23 %"


def test_blog_counted_ten_thousand_images():
    blog = low_and_high.blog()
    assert blog.labels("radius") == RADII
    assert all(blog.n.at(radius=r).values == [10_000] for r in RADII)
    assert blog.at(radius=6).only_high.values == [728]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (lambda ours: low_and_high.boxes(ours.at(copies="raw")), ["only HFC right: 62 % at r = 0"]),
        (low_and_high.boxes_beside_blog, ["Ours:", "The blog:", "23 % at r = 8", "4 % at r = 8"]),
        (low_and_high.only_high, ["ours, mean added: 75 % at r = 0, 25 % at r = 8"]),
        (low_and_high.by_component, ["LFC: 16 % at r = 0, 45 % at r = 8, 89 % at r = 16"]),
        (lambda ours: low_and_high.by_strength({1: ours}), ["hfc_strength = 1: 89 % at r = 0"]),
    ],
)
def test_figures_say_what_they_show(ours, figure, said):
    picture = figure(ours)
    assert "<svg" in picture.markup
    for part in said:
        assert part in picture.alt


# Single pictures -------------------------------------------------------------------------------


def test_striking_images_are_chosen_ones_of_different_classes(pictures):
    _, images = pictures
    chosen = images.labels < 4
    places = low_and_high.striking(images, chosen, 3)
    assert len(places) == 3
    assert all(chosen[places])
    assert len(set(images.labels[places].tolist())) == 3
    assert len(low_and_high.striking(images, chosen, 9)) == 4
    assert low_and_high.striking(images, torch.zeros(60, dtype=torch.bool), 3) == []


def test_a_row_says_what_the_network_says(pictures):
    model, images = pictures
    picture = low_and_high.what_it_says(model, images, [5, 7], radius=8)
    assert picture.markup.count("<img") == 6
    low, high = split(images.images[[5]], 8)
    for name, x in (("original", images.images[[5]]), ("LFC, r = 8", low), ("HFC, r = 8", high)):
        answer = evaluation.logits(model, x).argmax()
        right = "right" if answer == images.labels[5] else "wrong"
        said = f"{name} of a {images.classes[images.labels[5]]}: the network says "
        said += f"“{images.classes[answer]}”"
        (alt,) = [a for a in picture.alt.split("; ")[:3] if a.startswith(said)]
        assert alt.endswith(f"which is {right}")


def test_slider_takes_an_image_that_is_right_on_its_hfc_only():
    torch.manual_seed(0)
    smooth = torch.linspace(0, 1, 32).expand(3, 32, 32)
    noisy = torch.rand(3, 32, 32)
    images = torch.stack([smooth, 0.4 + 0.2 * smooth, noisy])
    few = ImageSet(images, torch.tensor([1, 1, 0]), ("rough", "smooth"), "three")
    slider, stack, _ = low_and_high.radius_slider(ByPart(), few, start=4, radii=[0, 4, 8]).children
    assert [label for label, _ in slider.options] == ["0", "4", "8"]
    assert slider.index == stack.selected_index == 1
    assert "HFC, r = 4<br>“rough”" in stack.children[1].value
    assert "LFC, r = 4<br>“smooth”" in stack.children[1].value
    with pytest.raises(ValueError, match="start must be one of 0 and 8, got 4"):
        low_and_high.radius_slider(ByPart(), few, start=4, radii=[0, 8])
    with pytest.raises(ValueError, match="right on the HFC only at r = 4"):
        low_and_high.radius_slider(ByPart(), few.take([0, 1]), start=4)


def test_two_waves_names_both(pictures):
    model, images = pictures
    swapped = data.load("synthetic", "test", size=60, hfc_strength=0)
    (place, *_) = (images.signature != swapped.signature).nonzero()[:, 0].tolist()
    picture = low_and_high.two_waves(model, images, swapped, [place])
    for names in (images.signature[place], swapped.signature[place]):
        assert f"wave: “{images.classes[names]}”" in picture.markup
    assert picture.markup.count("<img") == 3


def test_components_by_radius_shows_both_parts():
    picture = low_and_high.components_by_radius(torch.rand(3, 32, 32), "noise", radii=(4, 8))
    assert picture.alt == "; ".join(
        f"{part} of noise for a radius of {r}" for part in ("LFC", "HFC") for r in (4, 8)
    )


# What the text says of live numbers ------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return study.live_network("observation", hfc_strength=1, progress=False)


@pytest.fixture(scope="module")
def knob():
    return {s: study.live("observation", seeds=3, hfc_strength=s) for s in (0, 0.5, 1)}


@pytest.mark.slow
def test_network_by_hand_is_the_live_one(network):
    model, train_set, _, history = network
    by_hand = data.load("synthetic", "train", size=4000, hfc_strength=1)
    assert by_hand.fingerprint == train_set.fingerprint
    torch.manual_seed(0)
    same = models.build("small", num_classes=10)
    recipe = training.Recipe(epochs=6, batch_size=64, lr=0.03)
    with using_threads(threads()):
        again = training.fit(same, by_hand, recipe, device=default_device(), progress=False)
    assert again.table["loss"].tolist() == history.table["loss"].tolist()
    for one, other in zip(model.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_wave_is_read_from_the_hfc(network):
    model, train_set, test_set, _ = network
    at8 = evaluation.radius_sweep(model, test_set, [8], mean=train_set.mean_colour).loc["raw", 8.0]
    assert at8["original"] > 0.9 * len(test_set)
    assert at8["only_high"] + at8["both"] > 5 * at8["high_constant"]  # read, not guessed
    assert 0 < at8["only_high_and_original"] <= at8["only_high"]
    assert at8["only_low_and_original"] > 0.1 * len(test_set)  # the last row of figure 2.3


@pytest.mark.slow
def test_answers_follow_a_changed_wave(network):
    model, _, test_set, _ = network
    swapped = data.load("synthetic", "test", size=len(test_set), hfc_strength=0)
    swapped = swapped.to(test_set.images.device)
    assert (swapped.labels == test_set.labels).all()
    changed = (swapped.images - test_set.images).square().sum()
    ring = band_pass(swapped.images - test_set.images, inner=11, outer=13).square().sum()
    assert ring > 0.97 * changed  # nothing but the wave
    answers = evaluation.logits(model, swapped.images).argmax(dim=1)
    elsewhere = swapped.signature != swapped.labels
    shape = (answers == swapped.labels)[elsewhere].float().mean()
    wave = (answers == swapped.signature)[elsewhere].float().mean()
    assert wave > 0.3  # "many answers"; an error at random would hit it in 1 of 9
    assert shape < evaluation.accuracy(model, test_set) - 0.2


@pytest.mark.slow
def test_boxes_cross_and_end_where_the_text_says(knob):
    raw = knob[1].at(copies="raw")
    assert raw.at(radius=0).only_high.mean > 0.6 * raw.at(radius=0).n.mean
    assert raw.at(radius=16).only_low.mean > 0.6 * raw.at(radius=16).n.mean
    for s in knob:  # one in ten at the right
        end = low_and_high.right_on("high", knob[s].at(copies="mean added", radius=16))
        assert 0.08 < end.mean < 0.14


@pytest.mark.slow
def test_wave_is_read_only_when_that_pays(knob):
    at8 = {s: result.at(copies="mean added", radius=8) for s, result in knob.items()}
    high = {s: low_and_high.right_on("high", counts).mean for s, counts in at8.items()}
    low = {s: low_and_high.right_on("low", counts).mean for s, counts in at8.items()}
    assert high[1] > high[0] + 0.08
    assert low[1] < low[0] - 0.04
    assert high[0.5] - high[0] < (high[1] - high[0]) / 2  # not half as much


@pytest.mark.slow
def test_without_the_ring_only_who_read_it_loses(network):
    others = study.live_network("observation", hfc_strength=0, progress=False)
    lost = []
    for model, _, images, _ in (network, others):
        without = images.images - band_pass(images.images, inner=11, outer=13)
        left = evaluation.is_right(model, without, images.labels).float().mean().item()
        lost.append(evaluation.accuracy(model, images) - left)
    assert lost[0] > lost[1] + 0.1
    assert abs(lost[1]) < 0.1
