"""Figures: house colors, page colors, and curves that end where they should."""

import io
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import samples.benchmarks
import samples.run
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure as DrawnFigure
from PIL import Image as Picture

from harness.record import Breaking, DataSource, Profile, RunFolder, Status
from harness.reports.figures import accuracy, loader, loader_heat_map
from harness.reports.figures.accuracy import accuracy_against_speed
from harness.reports.figures.axis import legend_above, names_of
from harness.reports.figures.learned import png
from harness.reports.figures.step import ratios
from harness.reports.figures.survey import histogram, magnitudes
from harness.reports.figures.training import lowest_epoch, overfits, overfitting, training_curves
from harness.reports.frame import FRAMES
from harness.reports.style import PENS, pen
from harness.reports.svg import _draw, _shorten_lines, belongs, draw_svg, merge_styles


def luminance(color: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_digits_that_are_lost_are_not_marked_as_what_makes_a_run_fail(tmp_path: Path) -> None:
    """The picture of all laws has a mark for each outcome; only failures are crosses."""
    names = {Status.HOLDS: "o", Status.EXPECTED: "D", Status.LOST: "s", Status.BROKEN: "X", Status.ERROR: "X"}
    known = samples.run.full_run(tmp_path / "run")
    row = FRAMES["verdicts"](known).dropna(subset=["ratio"]).iloc[[0]]
    for status, mark in names.items():
        axes = DrawnFigure().add_subplot()
        accuracy._draw_strips(axes, row.assign(status=status.value), contracts=list(row["contract"]), limit=9)
        assert mark in {line.get_marker() for line in axes.lines if np.size(line.get_xdata())}
        assert status.fails is (mark == "X")


def test_marks_that_look_alike_say_so_once() -> None:
    """Shared properties are in the group for the limits of the axes; two different marks keep theirs."""
    svg = draw_svg(lambda axes: axes.plot([0, 1, 3], "o"), name="alike", label="three")
    (group,) = re.findall(r'<g clip-path="[^"]*" style="([^"]*)">((?:<use [^<>]*/>)+)</g>', svg)
    assert "fill:#" in group[0]
    assert group[1].count("<use ") == 3
    assert "style" not in group[1]
    apart = draw_svg(lambda axes: axes.scatter([0, 1], [0, 1], c=["red", "blue"]), name="apart", label="two")
    assert len(re.findall(r'<use [^<>]*style="fill:#(?:ff0000|0000ff)', apart)) == 2


@pytest.mark.parametrize("style", PENS)
@pytest.mark.parametrize("paper", ["#fefefe", "#14171a"])
def test_the_colour_of_a_style_stands_out_on_both_papers(style: str, paper: str) -> None:
    """The contrast is at least 3 to 1, as WCAG requires for graphics."""
    low, high = sorted([luminance(pen(style).color), luminance(paper)])
    assert (high + 0.05) / (low + 0.05) >= 3


@pytest.mark.parametrize("part", loader.COLORS)
def test_the_parts_of_a_batchs_time_stand_out_on_dark_paper(part: str) -> None:
    """The step was once indigo on black, and invisible."""
    assert (luminance(loader.COLORS[part]) + 0.05) / (luminance("#14171a") + 0.05) >= 3


def test_the_text_of_each_cell_of_a_heat_map_stands_out() -> None:
    """The contrast is at least 4.5 to 1, as WCAG requires for text. White on the grey in the middle once had 4.0."""
    axes, rates = DrawnFigure().add_subplot(), np.geomspace(1.0, 1e6, 256)
    loader_heat_map.draw_cells(axes, rates[np.newaxis], LogNorm(1.0, 1e6))
    cells = colormaps[loader_heat_map.MAP](np.linspace(0.0, 1.0, 256))
    for text, cell in zip(axes.texts, cells, strict=True):
        low, high = sorted([luminance(str(text.get_color())), luminance(to_hex(cell))])
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_shared_styles_give_the_same_drawings() -> None:
    """Replacing the classes by their rules gives the original drawings. Text that looks like a style is unchanged."""
    words = 'me style="fill:red" <b style="fill:red">'
    svgs = [
        draw_svg(lambda axes: axes.plot([0, 1, 3], "o-", label=words) and axes.legend(), name=name, label=words)
        for name in ("first", "second")
    ]
    head, _, body = merge_styles(f"<style>\n</style>{''.join(svgs)}").partition("</style>")
    rules = dict(re.findall(r"^\.(d\d+)\{(.*)\}$", head, re.MULTILINE))
    defaults = '<defs><style type="text/css">*{stroke-linejoin:round;stroke-linecap:butt}</style></defs>'
    assert head.count("*{stroke-linejoin:round;stroke-linecap:butt}") == 1
    assert all(defaults in svg for svg in svgs)
    assert len(rules) > 3
    assert re.sub(r'class="(d\d+)"', lambda at: f'style="{rules[at[1]]}"', body) == "".join(svgs).replace(defaults, "")


def test_an_unknown_style_is_drawn_as_foreign() -> None:
    """An undeclared style gets no separate color."""
    assert pen("mine") == pen("foreign")


def test_a_drawing_follows_the_colours_of_the_page_and_keeps_its_identifiers_apart() -> None:
    """Grays become variables, identifiers contain the name of the drawing, text stays text, and there is no date."""
    svg = draw_svg(lambda axes: axes.set_xlabel("n & more"), name="mine", label='say "what"')
    assert svg.startswith("<svg ")
    assert "fill:var(--muted)" in svg
    assert re.search('id="i[0-9a-f]+"', svg)
    assert svg != draw_svg(lambda axes: axes.set_xlabel("n & more"), name="other", label='say "what"')
    assert 'role="img" aria-label="say &quot;what&quot;"' in svg
    assert "n &amp; more</text>" in svg
    assert "<metadata" not in svg
    _draw.cache_clear()
    assert svg == draw_svg(lambda axes: axes.set_xlabel("n & more"), name="mine", label='say "what"')


def test_a_drawing_is_repeated_if_any_input_differs() -> None:
    """A number in a frame, the name, the label and the size count; equal drawings are reused."""

    def line(last: float = 2.0, *, name: str = "n", label: str = "l", height_in: float = 2.0) -> str:
        frame = pd.DataFrame({"height": [0.0, last]})
        return draw_svg(lambda axes: axes.plot(frame["height"]), name=name, label=label, height_in=height_in)

    _draw.cache_clear()
    assert line() == line()
    assert _draw.cache_info().misses == 1
    others = {line(), line(-2.0), line(name="m"), line(label="m"), line(height_in=3.0)}
    assert len(others) == _draw.cache_info().misses == 5


def test_compacting_a_drawing_keeps_its_texts() -> None:
    """A colon loses its space in a style, but not in a label."""
    svg = draw_svg(lambda axes: axes.set_title("lowest: 0.846; fill: #1"), name="mine", label="")
    assert "lowest: 0.846; fill: #1</text>" in svg
    assert 'style="' in svg
    assert not re.search(r'style="[^"]*: ', svg)


TEXTS: dict[str, Any] = {"case": "f.scratch.train", "family": "f", "style": "scratch", "experiment": "e", "data": "d"}


def curve(losses: list[tuple[float, float]]) -> pd.DataFrame:
    """Return a training run with these training and held-out losses."""
    values: dict[str, Any] = {"epoch": range(len(losses)), "duration_s": 0.0, **TEXTS}
    frame = pd.DataFrame(losses, columns=["train_loss", "held_out_loss"]).assign(**values)
    types = {column.name: column.dtype for column in FRAMES["epochs"].columns}
    return frame.reindex(columns=list(types)).astype(types)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([(3, 3), (2, 2), (1, 2.5)], True),
        ([(3, 3), (2, 2), (1, 2.05)], False),
        ([(3, 3), (2, 2), (2.5, 2.5)], False),
        ([(3, 1), (2, 2), (1, 3)], False),
        ([(3, 3), (2, 2)], False),
        ([(3, math.nan), (2, math.nan), (1, math.nan)], False),
        ([(3, 3), (2, 2), (1, math.inf)], True),
    ],
)
def test_overfitting_is_a_held_out_loss_that_turns_up_while_the_training_loss_falls(
    losses: list[tuple[float, float]], *, expected: bool
) -> None:
    """The loss ends more than 5 % above its minimum, which comes after the start."""
    assert overfits(curve(losses)) is expected


def test_the_lowest_epoch_is_the_first_of_equals() -> None:
    """The mark is at the start of a plateau."""
    assert lowest_epoch(curve([(3, 3), (2, 2), (1, 2), (0.5, 3)]))["epoch"] == 1


def test_a_legend_entry_with_a_shortened_name_belongs_to_its_curve() -> None:
    """The page highlights the curve, its sample and its name together."""

    def draw(axes: Axes) -> None:
        belongs("family.case", *axes.plot([0, 1], label="a name that is longer than the room in a legend"))
        legend_above(axes)

    svg = draw_svg(draw, name="long", label="")
    assert "a name that is longer than th…" in svg
    assert svg.count('data-of="family.case"') == 3


@pytest.mark.parametrize("losses", [[(math.nan, math.nan)] * 3, [(1, 1), (math.inf, math.inf)], [(0, 0), (0, 0)]])
def test_a_run_that_diverged_is_still_drawn(losses: list[tuple[float, float]]) -> None:
    """Losses that are not finite become gaps."""
    (figure,) = training_curves(curve(losses), None)
    (panel,) = figure.panels
    assert panel.svg.startswith("<svg") or panel.note == "every loss of this run is NaN"


def test_a_stand_in_labels_every_figure_of_training() -> None:
    """The caveat is part of the heading."""
    source: DataSource = samples.run.data_source(genuine=False)
    frame = curve([(3, 3), (2, 2), (1, 2.5)]).assign(data="synthetic stand-in")
    for figure in (*training_curves(frame, source), *overfitting(frame, source)):
        assert figure.heading.endswith("(made from the synthetic stand-in, not from the published data set)")


def test_the_ratio_of_vectorisation_lies_within_its_interval() -> None:
    """The interval is from the nearest to the farthest quartiles. A size without both styles has no ratio."""
    rows = [
        {**entry["extra_info"], **{f"{name}_s": entry["stats"][name] for name in ("median", "q1", "q3")}}
        for entry in samples.benchmarks.vectorization_entries()
    ]
    compared: list[Any] = [*ratios(pd.DataFrame(rows[:-1])).itertuples()]
    assert len(compared) == 9
    assert all(ratio.low < ratio.ratio < ratio.high for ratio in compared)
    assert all(first.ratio < second.ratio for first, second in pairwise(compared[:5]))


def test_a_loop_is_compared_within_its_family() -> None:
    """A case with the same contract in another family is not its reference."""
    entries = [*samples.benchmarks.vectorization_entries()]
    for entry in entries[:2]:
        entry["extra_info"] |= {"family": "other"}
    timing = [{f"{name}_s": entry["stats"][name] for name in ("median", "q1", "q3")} for entry in entries]
    frame = pd.DataFrame([{**entry["extra_info"], **times} for entry, times in zip(entries, timing, strict=True)])
    assert set(ratios(frame)["operation"]) == {"other.add", "vectorization.add", "vectorization.matmul"}


@pytest.mark.parametrize("palette", [None, (bytes(range(18)), bytes(range(0, 60, 10)))])
def test_a_png_holds_the_pixels_it_was_given(palette: tuple[bytes, bytes] | None) -> None:
    """The pixels are gray levels, or colors with the given opacity."""
    with Picture.open(io.BytesIO(png(bytes(range(6)), height=2, width=3, palette=palette))) as picture:
        assert (picture.format, picture.size) == ("PNG", (3, 2))
        wide = picture.convert("RGBA")
    seen = [wide.getpixel((x, y)) for y in range(2) for x in range(3)]
    if palette is None:
        assert seen == [(level, level, level, 255) for level in range(6)]
    else:
        assert seen == [(*palette[0][3 * at : 3 * at + 3], palette[1][at]) for at in range(6)]


def surveyed(path: Path) -> RunFolder:
    """Write a survey."""
    run = RunFolder(path)
    run.write(Breaking, samples.run.breakings())
    run.write(Profile, samples.run.profiles())
    return run


def test_deviation_against_magnitude_has_a_panel_per_contract_and_names_violations(
    tmp_path: Path,
) -> None:
    """The text alternative states that the naive softmax exceeds the bound where its exponential overflows."""
    run = surveyed(tmp_path)
    made = magnitudes(FRAMES["profiles"](run), FRAMES["breakings"](run))
    assert [panel.title for panel in made.panels] == ["softmax", "log_softmax"]
    softmax, log_softmax = made.panels
    assert "scratch.softmax exceeds its bound from 90.5" in softmax.svg
    assert "concise.softmax stays within its bound" in softmax.svg
    assert "exceeds" not in log_softmax.svg
    assert ">lost</text>" in softmax.svg
    assert ">scratch.softmax</text>" in softmax.svg


def test_a_histogram_says_how_much_is_correctly_rounded(tmp_path: Path) -> None:
    """The last bin ends at infinity."""
    made = histogram(FRAMES["histograms"](surveyed(tmp_path)))
    assert "scratch.softmax 80.0 %" in made.panels[0].svg
    assert "concise.softmax 80.8 %" in made.panels[0].svg
    assert ">inf</text>" in made.panels[0].svg


def test_accuracy_stands_against_speed_for_contracts_with_several_implementations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost value is on the edge, a single implementation has no panel, and the fastest is named."""
    run = samples.run.full_run(tmp_path)
    operations = FRAMES["operations"](run)
    monkeypatch.setattr(accuracy, "MIN_POINTS", 3)
    drawn = accuracy_against_speed(operations)
    assert [panel.title for panel in drawn.panels] == ["softmax"]
    assert re.search("concise.softmax is .* times as fast as .*, and more accurate", drawn.caption)
    ratios = operations.set_index("case")["ratio"]
    assert math.isinf(ratios["softmax_regression.scratch.softmax"])
    assert 0.0 < ratios["linear_regression.concise.mse_loss"] < 1.0


def test_names_are_as_short_as_unique() -> None:
    """The label is the style, else the case in its family, else the full name."""
    cases = ["a.scratch.linear", "b.scratch.linear", "b.scratch.other", "b.concise.linear"]
    names = names_of(pd.DataFrame({"case": cases, "style": ["scratch", "scratch", "scratch", "concise"]}))
    assert list(names.values()) == ["a.scratch.linear", "b.scratch.linear", "scratch.other", "concise"]
    own = pd.DataFrame({"case": ["train.py:dataset", "a.concise.linear"], "style": ["foreign", "concise"]})
    assert list(names_of(own).values()) == ["train.py:dataset", "concise"]


def test_without_checked_values_there_is_a_sentence_for_a_figure(tmp_path: Path) -> None:
    """Times alone are not drawn."""
    run = samples.run.full_run(tmp_path)
    operations = FRAMES["operations"](run).assign(ratio=math.nan)
    (panel,) = accuracy_against_speed(operations).panels
    assert panel.note.startswith("no contract")


def test_lines_have_the_same_points_in_fewer_characters() -> None:
    """The differences add up to the points, to the last tenth; paths with curves stay."""
    path = "M43.4 76.9L46.4 76.0L46.4 75.1L46.9 75.1zM-0.5 0.0L10.0 -0.3"
    assert _shorten_lines(path) == "M43.4 76.9l3-.9 0-.9 .5 0zM-.5 0l10.5-.3"
