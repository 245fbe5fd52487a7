"""Loaders of other projects: the page lists the result for each, and small ones are checked again.

``python -m delivery.peers`` checks all of them against all laws.
"""

from pathlib import Path

import pytest
from delivery.judging import said, verdicts
from delivery.peers import PEERS, Peer, main

from harness.contracts import contract_named

PAGE = Path(__file__).parents[2] / "docs" / "loaders-of-other-projects.md"
LAWS = {law.name for law in contract_named("data_loader").laws}
QUICK = {"light", "tensor_loader", "nodes_unseeded"}


def test_the_page_has_each_peer_in_its_table_and_the_command() -> None:
    """The table has the name of the package, and whether a defect was found."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| ")]
    assert "`python -m delivery.peers`" in page
    for package in {peer.package for peer in PEERS}:
        of_it = [finds.strip() for loader, finds in rows if package.lower() in loader.lower()]
        broken = any(peer.breaks for peer in PEERS if peer.package == package)
        assert of_it, package
        assert any(finds != "nothing" for finds in of_it) == broken, package


def test_the_known_breaks_of_a_peer_are_laws() -> None:
    """Names of the loaders are unique."""
    assert {law for peer in PEERS for law in peer.breaks} <= LAWS
    assert len({peer.name for peer in PEERS}) == len(PEERS)


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.name in QUICK], ids=lambda peer: peer.name)
def test_the_known_breaks_of_a_peer_are_found_again(peer: Peer) -> None:
    """Each listed law still breaks."""
    if not peer.is_installed:
        pytest.skip(f"{peer.package} is not installed")
    reached = verdicts(peer.function, {}, laws=list(peer.breaks))
    assert all(verdict.status.fails for verdict in reached), [said(verdict) for verdict in reached]


def test_a_peer_that_is_not_installed_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure."""
    monkeypatch.setattr("delivery.peers.find_spec", lambda _: None)
    assert main(["light", "mosaic_loader"]) == 0
    printed = capsys.readouterr().out
    assert "light-dataloader light: not installed; the extra `peers` has it" in printed
    assert "mosaicml-streaming mosaic_loader: not installed; its 0.13 wants NumPy below 2.2" in printed


def test_an_unknown_break_of_a_peer_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A listed law that holds fails too."""
    from delivery import sound
    from delivery.wrong_samples import last_batch_dropped_unasked

    worse = Peer(last_batch_dropped_unasked, "numpy")
    better = Peer(sound.slices, "numpy", {"each_sample_once": "mended since"})
    monkeypatch.setattr("delivery.peers.PEERS", (worse, better))
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert "each_sample_once: in the first epoch" in printed
    assert "(NEW)" in printed
    assert "each_sample_once: KEPT, which was broken when this was written" in printed
