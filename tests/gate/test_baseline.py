"""The committed baseline is read as written, has results for every kind of machine, and stands next to the cases."""

import os
import subprocess
import sysconfig
import zipfile
from pathlib import Path

import pytest
from samples.baseline import BEFORE, CASE, law, of, point
from samples.run import head

from harness.error import UsageError
from harness.gate.baseline import BEFORE as BEFORE_ALL
from harness.gate.baseline import Baseline, baseline_of, read_baseline, reject_foreign, write_baseline
from harness.gate.finding import exit_code
from harness.gate.numerics import compare
from harness.gate.policy import Policy
from harness.gate.snapshot import Summary
from harness.record import Origin, Outcome
from harness.record.storage import seal_line

EMPTY = Baseline({})
OTHER = "linear_regression.scratch.linear"


def on(instructions: str, *, largest: float = 3.0, other: float | None = None, torch: str = "2.13.0") -> Summary:
    """Return the summary of a run on some machine, for one or two cases."""
    environment = head().environment.model_copy(
        update={"torch": torch, "torch_build": {"instructions": instructions, "cpu capability": "AVX2"}}
    )
    laws = [law(largest=largest)] + ([] if other is None else [law(case=OTHER, largest=other)])
    return of(*laws, breakings=(point(),), counts={"operators": 5}, environment=environment)


def told(baseline: Baseline, now: Summary) -> list[tuple[Outcome, str]]:
    """Return the differences."""
    findings = compare(baseline, now, Policy())
    return [(one.outcome, one.sentence) for one in findings if one.outcome is not Outcome.UNCHANGED]


def test_a_baseline_is_read_as_it_was_written_and_written_alike_each_time(tmp_path: Path) -> None:
    """Infinite deviations are kept, and the order of the run does not matter."""
    laws = [law(largest=float("inf")), law(law="rows_sum_to_one"), law(dtype="float16", largest=None)]
    breakings = (point(), point(None, ray="offset"))
    baseline = EMPTY.update(of(*laws, breakings=breakings, counts={"operators": 5, "bytes": 7}))
    write_baseline(tmp_path / "a", baseline)
    again = of(*reversed(laws), breakings=breakings[::-1], counts={"bytes": 7, "operators": 5})
    write_baseline(tmp_path / "b", EMPTY.update(again))
    assert read_baseline(tmp_path / "a") == baseline
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_or_damaged_baseline_is_one_plain_message(tmp_path: Path) -> None:
    """The message tells how to create it."""
    with pytest.raises(UsageError, match=r"baseline not found: .*; create it with `harness gate --run RUN --update`"):
        read_baseline(tmp_path / "none")
    file = tmp_path / "damaged"
    write_baseline(file, EMPTY.update(on("Intel")))
    whole = file.read_text(encoding="utf-8")
    first, case = whole.splitlines()
    snapshot, _, _ = case.partition(',"sum"')
    elsewhere = seal_line(f'{snapshot},"on":[1]}}', BEFORE_ALL)[0].decode()
    for damaged in (
        '{"kind": "baseline"}\n',
        whole[:-20],
        f"{first}\n{elsewhere}",
        f"{first}\n",
        f"{whole}{case}\n",
        whole.replace("3.0", "9.0"),
        "",
    ):
        file.write_text(damaged, encoding="utf-8")
        with pytest.raises(UsageError, match="create it again"):
            read_baseline(file)


def test_each_kind_of_machine_is_held_against_its_own_figures(tmp_path: Path) -> None:
    """Different rounding on a machine is no regression there, but a worse result is."""
    write_baseline(tmp_path / "b", EMPTY.update(on("Intel")).update(on("AMD", largest=4.0)))
    baseline = read_baseline(tmp_path / "b")
    assert told(baseline, on("Intel")) == told(baseline, on("AMD", largest=4.0)) == []
    ((outcome, sentence),) = told(baseline, on("Intel", largest=4.0))
    assert (outcome, "was 3, and at most 3 is allowed" in sentence) == (Outcome.REGRESSED, True)
    ((outcome, sentence),) = told(baseline, on("ARM"))
    assert outcome is Outcome.INCONCLUSIVE
    assert "AMD" in sentence
    assert "Intel" in sentence
    assert "adds them" in sentence


def test_what_machines_agree_on_is_one_line(tmp_path: Path) -> None:
    """A second machine adds lines only for the cases that it rounds differently."""
    first = EMPTY.update(on("Intel", other=1.0))
    write_baseline(tmp_path / "one", first)
    write_baseline(tmp_path / "two", first.update(on("AMD", largest=4.0, other=1.0)))
    one, two = ((tmp_path / name).read_text(encoding="utf-8").splitlines() for name in ("one", "two"))
    assert (len(one), len(two)) == (3, 4)
    (shared,) = (line for line in two if f'"{OTHER}"' in line)
    assert shared in one, "what they agree on is the same line, byte for byte"
    assert told(read_baseline(tmp_path / "two"), on("AMD", largest=4.0, other=1.0)) == []


def test_a_changed_case_is_no_longer_known_on_other_machines() -> None:
    """They have results of the old code. Laws are compared there, figures only after these machines have added them."""
    both = EMPTY.update(on("Intel", other=1.0)).update(on("AMD", largest=4.0, other=1.0))
    changed = both.update(on("AMD", largest=2.0, other=1.0))
    ((outcome, sentence),) = told(changed, on("Intel", largest=9.0, other=1.0))
    assert outcome is Outcome.INCONCLUSIVE
    assert "counts of 1 case are not compared" in sentence
    assert told(changed, on("Intel", largest=9.0, other=2.0))[0][0] is Outcome.REGRESSED, "the other case is compared"
    whole = changed.update(on("Intel", largest=9.0, other=1.0))
    assert told(whole, on("Intel", largest=9.0, other=1.0)) == told(whole, on("AMD", largest=2.0, other=1.0)) == []
    assert exit_code(compare(whole, on("AMD", largest=9.0, other=1.0), Policy())) == 1


def test_another_torch_takes_the_place_of_the_one_before() -> None:
    """It replaces results of the same kind of machine. A removed case is removed for all."""
    both = EMPTY.update(on("Intel", other=1.0)).update(on("AMD", largest=4.0, other=1.0))
    newer = both.update(on("AMD", largest=4.0, torch="2.14.0"))
    assert [(one.torch, one.instructions) for one in newer.origins] == [("2.13.0", "Intel"), ("2.14.0", "AMD")]
    assert list(newer.cases) == [(CASE, "cpu")]


def test_a_moved_breaking_point_is_a_change_like_any_other(tmp_path: Path) -> None:
    """NaN, which does not equal itself, is no change."""
    nan = float("nan")
    both = EMPTY.update(on("Intel", largest=nan)).update(on("AMD", largest=nan))
    assert len(both.cases[CASE, "cpu"]) == 1
    write_baseline(tmp_path / "both", both)
    write_baseline(tmp_path / "again", both.update(on("AMD", largest=nan)))
    assert (tmp_path / "both").read_bytes() == (tmp_path / "again").read_bytes()
    environment = on("AMD").origin
    elsewhere = of(law(largest=nan), breakings=(point(BEFORE),), counts={"operators": 5})
    moved = elsewhere._replace(origin=environment)
    (seen,) = both.update(moved).cases[CASE, "cpu"]
    assert seen.origins == {Origin(**dict(environment))}


def test_a_new_law_leaves_what_other_machines_know() -> None:
    """It says nothing about the code: other machines report it as new and compare the rest."""
    both = EMPTY.update(on("Intel")).update(on("AMD", largest=4.0))
    snapshot = on("AMD", largest=4.0)
    ((key, case),) = snapshot.cases.items()
    more = case.model_copy(update={"laws": {**case.laws, "calls_agree": case.laws["value"]}})
    added = both.update(snapshot._replace(cases={key: more}))
    assert told(added, on("Intel")) == []
    assert told(added, on("Intel", largest=4.0))[0][0] is Outcome.REGRESSED
    assert [outcome for outcome, _ in told(added, on("AMD", largest=4.0))] == [Outcome.REGRESSED], "the law is gone"


def test_bounds_that_were_not_kept_are_added_and_leave_what_other_machines_know() -> None:
    """An old baseline without this field does not count as changed code."""
    before = EMPTY.update(on("Intel")).update(on("AMD", largest=4.0))
    now = on("AMD", largest=4.0)
    ((key, snapshot),) = now.cases.items()
    bounded = of(law(largest=4.0, typical_bound=6.0), breakings=(point(),), counts={"operators": 5})
    with_bounds = snapshot.model_copy(update={"laws": bounded.cases[key].laws})
    after = before.update(now._replace(cases={key: with_bounds}))
    assert [len(seen.origins) for seen in after.cases[key]] == [1, 1]


# Place

PACKAGE = '''"""A kernel."""

from harness import Case


def softmax(logits):
    """Return the probabilities."""
    return logits.softmax(-1)


CASES = [Case(softmax, "softmax")]
'''


def written(file: Path, text: str = PACKAGE) -> Path:
    """Write a file and its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_the_baseline_of_a_package_in_a_src_layout_stands_next_to_its_source(workplace: Path, python: str) -> None:
    """The processes import the package like an installation, and no new folder shadows it."""
    written(workplace / "pyproject.toml", '[project]\nname = "their-kernels"\n')
    package = written(workplace / "src" / "their_kernels" / "__init__.py").parent
    paths = [str(workplace / "src"), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def harness(line: str) -> str:
        command = [python, "-m", "harness", *line.split()]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    harness("check their_kernels --law value --dtypes float32 --run pull")
    update = harness("gate their_kernels --run pull --update")
    assert f"baseline: {Path('src', 'their_kernels', 'baseline.jsonl')}" in update
    assert (package / "baseline.jsonl").is_file()
    assert sorted(path.name for path in workplace.iterdir()) == [".harness", "pyproject.toml", "src"]
    assert "gate: pass" in harness("gate their_kernels --run pull")


def test_a_project_with_its_package_at_the_root_keeps_the_baseline_there(tmp_path: Path) -> None:
    """The target is a package, a subpackage, a module, or a file."""
    for name in ("flat/__init__.py", "flat/below/__init__.py", "flat/plain.py"):
        written(tmp_path / name)
    places = {"flat": "flat", "flat.below": "flat/below", "flat.plain": "flat", "flat/plain.py:softmax": "flat"}
    for target, folder in places.items():
        assert baseline_of(target, tmp_path) == tmp_path / folder / "baseline.jsonl", target


def test_a_folder_without_source_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier version left such a folder at the root of a project. Namespace packages behave alike."""
    written(tmp_path / "their_spaces" / "baseline.jsonl", "")
    written(tmp_path / "src" / "their_spaces" / "kernels" / "__init__.py")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert baseline_of("their_spaces", tmp_path) == tmp_path / "src" / "their_spaces" / "baseline.jsonl"
    expected = tmp_path / "src" / "their_spaces" / "kernels" / "baseline.jsonl"
    assert baseline_of("their_spaces.kernels", tmp_path) == expected


def test_a_module_without_a_folder_is_one_plain_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module does not exist, is built in, or is in a zip file."""
    with zipfile.ZipFile(tmp_path / "their.zip", "w") as archive:
        archive.writestr("their_zipped/__init__.py", PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path / "their.zip"))
    for module in ("no_such_package", "no_such_package.below", "sys", "their_zipped"):
        with pytest.raises(UsageError, match=rf"cannot place the baseline: `{module}` has no folder.*`--baseline`"):
            baseline_of(module, tmp_path)


def test_an_installed_package_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next installation would remove the baseline. A read-only folder is refused too."""
    with pytest.raises(UsageError, match=r"into an installed package.*`--baseline`"):
        reject_foreign(Path(sysconfig.get_paths()["purelib"]) / "their_kernels" / "baseline.jsonl")
    reject_foreign(tmp_path / "baseline.jsonl")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match=r"cannot write the baseline: got a read-only folder.*`--baseline`"):
        reject_foreign(tmp_path / "baseline.jsonl")
