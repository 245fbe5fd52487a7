"""Implementations that go about to be called right: none is, none ends the command, none leaves anything behind."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hostile import cunning

from harness.record import Fault, Status, Verdict
from harness.verdict.campaign import Campaign
from harness.work.limits import Limits

pytestmark = pytest.mark.judged

PATIENT = {"right_at_first", "right_nearly_always", "right_the_second_time", "right_without_gradients"}
"""Those whose value is right as long as few ask for it."""

RIGHT = {"leaves_a_file"}
"""Those that answer rightly, and leave nothing since it is taken from them."""

SAID = {
    "line.talks_json": (Fault.STATE, "writes into files that it has not opened"),
    "line.repeats_an_old_answer": (Fault.STATE, "writes into files that it has not opened"),
    "line.floods": (Fault.STATE, "writes into files that it has not opened"),
    "system.daemonises": (
        Fault.STATE,
        "leaves a process running (with `--no-isolate`, an implementation may keep one",
    ),
    "system.starts_a_helper": (Fault.STATE, "leaves a process running"),
    "system.leaves_its_place_to_a_fork": (Fault.EXITED, "ends the process with exit code 0"),
    "system.stops_itself": (Fault.HUNG, "hangs: it stops its process, and a call did not return within 5 s"),
    "evasion.misses_a_compiler": (Fault.RAISED, "raises an exception: torch.compile finds no compiler"),
}
"""What is said of some."""

FORKING = {"daemonises", "starts_a_helper"}
"""Those that start processes, which a busy machine may take longer over than a call has with the others."""

FEW = {"dtypes": ["float32"], "examples": 3, "late": 7}
LIMITS = Limits(call_s=5.0, first_call_s=10.0, memory_gib=1.0, law_s=15.0)
"""Three hang until they are ended; what the others are said to do must not be that they hang, on a busy machine."""


@pytest.fixture(scope="module")
def left() -> set[str]:
    """Names of files that lie about in the temporary folder beforehand."""
    return {path.name for path in Path(tempfile.gettempdir()).iterdir()}


@pytest.fixture(scope="module")
def found(left: set[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Verdict]]:
    """The verdicts on each, by its name; all of those on the value, and more laws on the patient ones."""
    # In a folder of their own, with the file of a run: one rewrites those that it finds below.
    project = tmp_path_factory.mktemp("project")
    (project / "verdicts.jsonl").write_text('{"status": "broken"}\n', encoding="utf-8")
    with contextlib.chdir(project):
        return _found()


def _found() -> dict[str, list[Verdict]]:
    verdicts: dict[str, list[Verdict]] = {}
    every = Campaign("hostile.cunning", laws=["value"], **FEW)
    # Some wait until a limit has passed, and the others go on meanwhile.
    for verdict in every.run(processes=4, limits=LIMITS):
        verdicts.setdefault(verdict.case, []).append(verdict)
    for name in sorted(PATIENT):
        target = f"hostile.cunning.sign:{name}"
        laws = ["calls_agree", "any_mode"] if name == "right_without_gradients" else ["calls_agree"]
        for verdict in Campaign(target, "softmax", laws=laws, **FEW).run(limits=LIMITS):
            verdicts[f"sign.{name}"].append(verdict)
    patient = replace(LIMITS, call_s=20.0, first_call_s=20.0, law_s=60.0)
    for name in sorted(FORKING):
        (verdict,) = Campaign(f"hostile.cunning.system:{name}", "softmax", laws=["value"], **FEW).run(limits=patient)
        verdicts[f"system.{name}"] = [verdict]
    of_gradients = Campaign("hostile.cunning.backward", laws=["gradient", "calls_agree"], **FEW)
    for verdict in of_gradients.run(processes=2, limits=replace(LIMITS, law_s=60.0)):
        verdicts.setdefault(verdict.case, []).append(verdict)
    return verdicts


@pytest.mark.parametrize("name", [case.name for case in (*cunning.CASES, *cunning.backward.CASES)])
def test_none_is_called_right(found: dict[str, list[Verdict]], name: str) -> None:
    """Whatever it reaches for, or looks out for; what is right is, however much it does beside."""
    fails = any(verdict.status.fails for verdict in found[name])
    assert fails is (name.rpartition(".")[2] not in RIGHT)


def test_a_gradient_that_is_right_until_it_is_asked_often_is_seen(found: dict[str, list[Verdict]]) -> None:
    """By those that count in many passes, by those that look at the size in larger batches, late."""
    broken = {name: {v.law for v in found[name] if v.status is Status.BROKEN} for name in found}
    assert "calls_agree" in broken["backward.right_backwards_at_first"]
    assert "calls_agree" in broken["backward.right_backwards_nearly_always"]
    assert "gradient" in broken["backward.right_backwards_in_small_batches"]


@pytest.mark.parametrize("name", SAID)
def test_what_it_did_is_said(found: dict[str, list[Verdict]], name: str) -> None:
    """In one sentence, by its kind."""
    fault, sentence = SAID[name]
    assert fault in {verdict.fault for verdict in found[name]}
    assert any(sentence in str(verdict.reason) for verdict in found[name])


def test_none_alters_the_verdict_of_another(found: dict[str, list[Verdict]]) -> None:
    """The one that is right is called so after sixty that patched whatever there was."""
    (verdict,) = found["system.leaves_a_file"]
    assert verdict.status is Status.HOLDS
    assert len(found) > 60


def test_nothing_is_left_behind(found: dict[str, list[Verdict]], left: set[str]) -> None:
    """Neither processes nor files."""
    sleeping = [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] in (["sleep", "977"], ["sleep", "978"])
    ]
    assert not sleeping
    more = {path.name for path in Path(tempfile.gettempdir()).iterdir()} - left
    assert not [name for name in more if name.startswith("left-by-a-hostile-implementation")]
