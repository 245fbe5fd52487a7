"""Implementations that try to pass: all fail, none ends the command, none leaves anything behind."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hostile import cunning

from harness.isolation.limits import Limits
from harness.record import Fault, Status, Verdict
from harness.verdict.campaign import Campaign

pytestmark = pytest.mark.judged

PATIENT = {"right_at_first", "right_nearly_always", "right_the_second_time", "right_without_gradients"}
"""Implementations whose value is right for a small number of calls."""

RIGHT = {"leaves_a_file"}
"""Implementations that answer correctly; the files that they leave are removed."""

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
"""Expected reasons for some of them."""

FORKING = {"daemonises", "starts_a_helper"}
"""Implementations that start processes, which on a busy machine may take longer than the usual limit of a call."""

FEW: dict[str, Any] = {"dtypes": ["float32"], "examples": 3, "recheck_seed": 7}
LIMITS = Limits(call_s=5.0, first_call_s=10.0, memory_gib=1.0, law_s=15.0)
"""Three implementations hang until the limit. It is generous, because others must not hang on a busy machine."""


@pytest.fixture(scope="module")
def left() -> set[str]:
    """Return the files in the temporary folder before the tests."""
    return {path.name for path in Path(tempfile.gettempdir()).iterdir()}


@pytest.fixture(scope="module")
def found(left: set[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Verdict]]:
    """Return the verdicts by name: the law of the value for all, and more laws for patient ones."""
    # They run in a separate folder with the file of a run, because one rewrites the runs that it finds below.
    project = tmp_path_factory.mktemp("project")
    (project / "verdicts.jsonl").write_text('{"status": "broken"}\n', encoding="utf-8")
    with contextlib.chdir(project):
        return _found()


def _found() -> dict[str, list[Verdict]]:
    verdicts: dict[str, list[Verdict]] = {}
    every = Campaign("hostile.cunning", laws=["value"], **FEW)
    # Some wait for a limit; the others continue meanwhile.
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
    """No attack and no evasion succeeds. A right implementation passes despite its side effects."""
    fails = any(verdict.status.fails for verdict in found[name])
    assert fails is (name.rpartition(".")[2] not in RIGHT)


def test_code_that_detects_the_check_is_not_found() -> None:
    """The documentation promises nothing about it; whoever finds one of them shortens the list."""
    verdicts = Campaign("hostile.cunning.detecting", laws=["value"], **FEW).run(limits=LIMITS)
    assert {verdict.case: verdict.status for verdict in verdicts} == dict.fromkeys(
        (case.name for case in cunning.detecting.CASES), Status.HOLDS
    )


def test_a_gradient_that_is_right_until_it_is_asked_often_is_seen(found: dict[str, list[Verdict]]) -> None:
    """Counters are detected in many passes, and checks of the batch size in larger batches."""
    broken = {name: {v.law for v in found[name] if v.status is Status.BROKEN} for name in found}
    assert "calls_agree" in broken["backward.right_backwards_at_first"]
    assert "calls_agree" in broken["backward.right_backwards_nearly_always"]
    assert "gradient" in broken["backward.right_backwards_in_small_batches"]


@pytest.mark.parametrize("name", SAID)
def test_what_it_did_is_said(found: dict[str, list[Verdict]], name: str) -> None:
    """One sentence describes it, with the kind of fault."""
    fault, sentence = SAID[name]
    assert fault in {verdict.fault for verdict in found[name]}
    assert any(sentence in str(verdict.reason) for verdict in found[name])


def test_none_alters_the_verdict_of_another(found: dict[str, list[Verdict]]) -> None:
    """The right implementation passes after sixty that patch the process."""
    (verdict,) = found["system.leaves_a_file"]
    assert verdict.status is Status.HOLDS
    assert len(found) > 60


def test_nothing_is_left_behind(found: dict[str, list[Verdict]], left: set[str]) -> None:
    """No processes or files remain."""
    sleeping = [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] in (["sleep", "977"], ["sleep", "978"])
    ]
    assert not sleeping
    more = {path.name for path in Path(tempfile.gettempdir()).iterdir()} - left
    assert not [name for name in more if name.startswith("left-by-a-hostile-implementation")]
