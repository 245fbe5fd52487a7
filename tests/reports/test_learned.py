"""Pictures of trained models (fit, weights, confusion) and the overview of all contracts."""

import base64
import re
from pathlib import Path

import pytest
import samples.run
from pydantic import ValidationError

from harness.record import ClassWeights, Confusion, FitData, LearnedParameter, RunFolder, Status
from harness.reports.figures.learned import STEPS, fit, weight_grid
from harness.reports.frame import FRAMES
from harness.reports.svg import shorten_ids
from harness.reports.tables.matrix import confusion, glance

DATA = samples.run.fits()[0]


def test_the_fit_has_a_panel_for_each_input_with_the_learned_slope(tmp_path: Path) -> None:
    """The caption states how far samples deviate from the fit. Without parameters there is no figure."""
    run = RunFolder(tmp_path)
    run.write(LearnedParameter, samples.run.estimates())
    figure = fit(DATA, FRAMES["estimates"](run))
    assert figure is not None
    assert [panel.title for panel in figure.panels] == ["input 1: slope 2.0004", "input 2: slope -3.3991"]
    (spread,) = re.findall(r"distance of the samples from it is ([\d.]+)\.", figure.caption)
    assert 0.005 < float(spread) < 0.02
    assert fit(DATA, FRAMES["estimates"](RunFolder(tmp_path / "none"))) is None


def test_weights_are_images_in_which_zero_is_the_paper() -> None:
    """Each sign has a color, which is more opaque for larger weights. The caption states the largest weight."""
    grid = weight_grid(samples.run.weights(), None)
    assert [tile.label for tile in grid.tiles] == [*samples.run.confusions()[0].labels]
    file = base64.b64decode(grid.tiles[0].address.partition(",")[2])
    opaque = file[file.index(b"tRNS") + 4 :][: 2 * STEPS + 1]
    assert (opaque[0], opaque[STEPS], opaque[-1]) == (255, 0, 255)
    assert "full colors are 0.500" in grid.caption
    assert grid.tiles[0].alternative == "weights of t-shirt, the strongest -0.500"


def test_a_confusion_names_the_most_frequent_mistake() -> None:
    """Each cell has its share of the class, so that small classes are visible."""
    heat = confusion(samples.run.confusions(), samples.run.data_source(genuine=False))
    assert "shirt predicted as coat, 100 times" in heat.caption
    assert "90.0 % correct" in heat.caption
    cells = dict(heat.rows)["shirt"]
    assert [(cell.text, cell.share) for cell in cells if cell.text] == [("100", 1.0)]


def test_all_contracts_are_seen_at_a_glance() -> None:
    """A cell has the worst outcome for a style and dtype, with the number of laws. Skipped laws have no cell."""
    heat = glance(samples.run.verdicts())
    assert heat is not None
    assert heat.groups == (("scratch", 4), ("concise", 4))
    rows = dict(heat.rows)
    assert [cell.text for cell in rows["softmax"]] == ["◇3"] * 4 + ["✓"] * 4
    broken = [samples.run.verdict(Status.HOLDS), samples.run.verdict(Status.BROKEN, law="other")]
    worst = glance(broken)
    assert worst is not None
    assert [cell.status for cell in dict(worst.rows)["softmax"]] == ["broken"]
    assert glance([samples.run.verdict(Status.SKIPPED)]) is None
    assert "◇3" in heat.markdown()


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (DATA, {"targets": DATA.targets[1:]}),
        (DATA, {"inputs": (*DATA.inputs[1:], (0.0,))}),
        (samples.run.weights()[0], {"width": 27}),
        (samples.run.weights()[0], {"levels": "no base64"}),
        (samples.run.confusions()[0], {"labels": samples.run.confusions()[0].labels[1:]}),
    ],
)
def test_an_inconsistent_record_is_refused(
    record: FitData | ClassWeights | Confusion, changes: dict[str, object]
) -> None:
    """A damaged record is refused when it is read."""
    with pytest.raises(ValidationError):
        type(record).model_validate(record.model_dump() | changes)


def test_identifiers_of_drawings_are_as_short_as_they_can_be() -> None:
    """Equal identifiers stay equal, and different ones stay different. Text outside of drawings is unchanged."""
    page = '<a href="#ideadbeef"></a><svg id="ideadbeef"><use href="#i1"/><use href="#ideadbeef"/></svg>'
    assert shorten_ids(page) == '<a href="#ideadbeef"></a><svg id="_0"><use href="#_1"/><use href="#_0"/></svg>'
