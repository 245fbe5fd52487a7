"""The pytest plugin: a test of your function becomes one item for each law and dtype.

Every pytest session loads it if the harness is installed. It therefore imports only pytest, and imports torch when
pytest collects a test with :func:`parametrize_laws`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from harness.case import Break

if TYPE_CHECKING:
    from harness.api import Check
    from harness.findings import Finding
    from harness.record import Verdict

MARK = "harness_laws"
"""The mark that the decorator leaves on a test."""

AUDIT = "harness_audit"
"""The mark of a test whose body is audited."""

PROPERTY = "harness"
"""The property under which an item's verdict travels with its report, from worker to controller too."""

WIDTH = 80
"""Columns within which findings are set."""

FOUND = "harness found"
"""The property under which what kind of thing the function is travels."""

FIX = "harness fix"
"""The property of an item that has a verified fix of its function."""

UNDECLARED = "harness undeclared"
"""The property of an item that fails since what kind of thing the function is was not declared."""

TestT = TypeVar("TestT", bound=Callable[..., Any])


def parametrize_laws(
    contract: str | None = None,
    *,
    formula: str | None = None,
    form: str | None = None,
    inputs: Mapping[str, str] | None = None,
    over: str = "rows",
    laws: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    breaks: Mapping[str, str | Break] | None = None,
    declares: Mapping[str, Any] | None = None,
    call: str | Callable[..., Any] | None = None,
    examples: int | None = None,
    isolate: bool = False,
) -> Callable[[TestT], TestT]:
    """Run a test once for each law of a contract and each dtype; the test calls its argument ``check`` on the function.

    Parameters
    ----------
    contract
        Name of the contract.
    formula, form, inputs, over
        Formula to check against instead of a contract; see :func:`harness.check`.
    laws, dtypes
        Names of the laws and dtypes to check; all of the contract if empty.
    breaks
        Known failures: laws that the function breaks, each with its reason. These items are strict expected failures.
    declares
        Conventions that the function follows where the contract allows several.
    call
        Adapter for another signature or another array library.
    examples
        Number of Hypothesis examples for each law.
    isolate
        Whether to import the function in a separate process and to judge it in another one, as ``harness check``
        does. All items of a test share both processes.

    Returns
    -------
    callable
        A decorator of the test. pytest then collects one item for each law and dtype.

    Examples
    --------
    .. code-block:: python

        @harness.parametrize_laws("softmax", dtypes=["float32", "bfloat16"])
        def test_fused_softmax(check):
            check(my_kernels.fused_softmax)
    """
    from harness.verdict.campaign import Campaign

    question = Campaign(
        "",
        contract,
        dict(declares or {}),
        dict(breaks or {}),
        call,
        formula=formula,
        form=form,
        inputs=dict(inputs or {}),
        over=over,
        laws=tuple(laws),
        dtypes=tuple(dtypes),
        examples=examples,
    )

    def decorate(test: TestT) -> TestT:
        marked: TestT = getattr(pytest.mark, MARK)(question, isolate=isolate)(test)
        return marked

    return decorate


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of a session."""
    group = parser.getgroup("harness", "laws of numerical functions")
    group.addoption(
        "--harness-seconds",
        metavar="S",
        type=float,
        help="CPU time for each law, or measuring time for each benchmark of the harness, in seconds",
    )
    group.addoption("--harness-seed", metavar="N", type=int, help="random seed (default: fixed)")
    group.addoption("--harness-fix", action="store_true", help="show a verified fix of each function as a diff")
    group.addoption("--harness-strict", action="store_true", help="fail on lost digits and on undeclared properties")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    config.addinivalue_line("markers", f"{MARK}: laws to check, set by harness.parametrize_laws")
    config.addinivalue_line("markers", f"{AUDIT}(mode='full'): fail if a line of the test goes numerically wrong")
    config.pluginmanager.register(_Once(), "harness-once")
    if config.getoption("harness_fix"):
        config.pluginmanager.register(_Fixed(), "harness-fixed")
    config.pluginmanager.register(_Audited(), "harness-audited")


def pytest_report_header(config: pytest.Config) -> str:
    """Return the version, the seed and the time limit."""
    from importlib.metadata import version

    from harness.record import SEED

    seed, seconds = config.getoption("harness_seed"), config.getoption("harness_seconds")
    limit = "" if seconds is None else f", {seconds:g} s for each law"
    return f"harness: {version('stability-harness')}, seed {SEED if seed is None else seed}{limit}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate one item for each law and dtype, with an id that names both."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    if "check" not in metafunc.fixturenames:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: a test with `parametrize_laws` needs the argument `check`"
        )
    from harness.api import checks
    from harness.error import UsageError

    config = metafunc.config
    session = {name: config.getoption(f"harness_{name}") for name in ("seed", "seconds", "strict")}
    try:
        parameters = checks(replace(*mark.args, **session), **mark.kwargs)
    except UsageError as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from error
    for isolated in {check.isolated for check in parameters}:
        if isolated is not None:
            config.add_cleanup(isolated.close)
    metafunc.parametrize("check", [pytest.param(check, id=check.id, marks=_make_marks(check)) for check in parameters])


def _make_marks(check: "Check") -> list[pytest.MarkDecorator]:
    from harness.api import LawBroken

    if check.declared is None:
        return []
    # Only the failure that was declared is expected: an implementation that raises breaks no law.
    return [pytest.mark.xfail(reason=check.declared, raises=LawBroken, strict=True)]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Fail a test that checks nothing, skip one whose law does not apply, and attach the verdicts to its report."""
    check: Any = pyfuncitem.funcargs.get("check") if pyfuncitem.get_closest_marker(MARK) else None
    if check is None:
        return (yield)
    from harness.api import Inapplicable, Undeclared

    try:
        result = yield
    except Inapplicable as reason:
        pytest.skip(str(reason))
    except Undeclared as failure:
        pyfuncitem.user_properties.append((UNDECLARED, str(failure)))
        raise
    finally:
        for verdict in getattr(check, "verdicts", ()):
            pyfuncitem.user_properties.append((PROPERTY, verdict.model_dump_json()))
        for record in getattr(check, "properties", ()):
            pyfuncitem.user_properties.append((FOUND, record.model_dump_json()))
    if not check.verdicts:
        pytest.fail("nothing was checked: the test did not call `check` on a function", pytrace=False)
    return result


class _Once:
    """Report each cause once, instead of a traceback for every item."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
        """Hide items that break a law in the list of failures, except with ``-v``."""
        failed = terminalreporter.stats.get("failed", [])
        hidden = [] if terminalreporter.verbosity > 0 else [report for report in failed if _breaks(report)]
        terminalreporter.stats["failed"] = [report for report in failed if report not in hidden]
        terminalreporter.stats[HELD_BACK] = [*failed] if hidden else []
        return (yield)


class _Fixed:
    """Look for a fix of each function at the first item that it fails."""

    def __init__(self) -> None:
        self._tried: set[tuple[str, object]] = set()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Iterator[None]:
        """Attach the fix to the report of the item."""
        result = None
        try:
            result = yield
        finally:
            check: Any = pyfuncitem.funcargs.get("check") if pyfuncitem.get_closest_marker(MARK) else None
            test = (pyfuncitem.nodeid.partition("[")[0], getattr(check, "function", None))
            fails = check is not None and any(verdict.status.fails for verdict in check.verdicts)
            if fails and check.isolated is None and test not in self._tried:
                self._tried.add(test)
                if (fix := check.fix()) is not None:
                    pyfuncitem.user_properties.append((FIX, fix.model_dump_json()))
        return result


class _Audited:
    """Audit the body of a marked test, and fail the test if a line loses accuracy."""

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Iterator[None]:
        """Audit the call without its setup."""
        mark = pyfuncitem.get_closest_marker(AUDIT)
        if mark is None:
            return (yield)
        from harness.auditor.audit import audit

        with audit(name=pyfuncitem.name, **mark.kwargs) as report:
            result = yield
        if report.findings:
            pytest.fail(str(report), pytrace=False)
        if not report.record.ends:
            pytest.fail("nothing was audited: the test called neither backward nor a model", pytrace=False)
        return result


HELD_BACK = "held back"
"""Category of the failures that are reported as findings at the end."""


def _breaks(report: object) -> bool:
    """Whether an item fails because of a finding or an undeclared property, which are reported once."""
    verdicts = _read_verdicts(report)
    broken = bool(verdicts) and verdicts[-1].violation is not None and verdicts[-1].status.fails
    return broken or bool(_read_properties(report, UNDECLARED))


def _read_verdicts(report: object) -> "list[Verdict]":
    """The verdicts that an item reached."""
    if not (texts := _read_properties(report, PROPERTY)):
        return []
    from harness.record import Verdict

    return [Verdict.model_validate_json(text) for text in texts]


def _read_properties(report: object, of: str) -> list[str]:
    return [value for name, value in getattr(report, "user_properties", ()) if name == of]


def _format_sentences(reports: Sequence[object], *, strict: bool) -> list[str]:
    """Return the sentences about the properties of the functions, and mark those that fail items."""
    from harness.record import Property
    from harness.wording.verdict import property_sentences

    records = [Property.model_validate_json(text) for report in reports for text in _read_properties(report, FOUND)]
    distinct = {record.key: record for record in records}.values()
    failing = property_sentences(record for record in distinct if record.fails(strict=strict))
    return [f"{'UNDECLARED  ' if sentence in failing else ''}{sentence}" for sentence in property_sentences(distinct)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each finding once, and how much was checked."""
    held = terminalreporter.stats.pop(HELD_BACK, [])
    if held:
        terminalreporter.stats["failed"] = held
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    called = [report for report in reports if getattr(report, "when", None) == "call"]
    verdicts = [verdict for report in called for verdict in _read_verdicts(report)]
    if not verdicts:
        return
    from harness.error import printable
    from harness.findings import findings
    from harness.wording.verdict import verdict_line

    terminalreporter.section("laws")
    for sentence in _format_sentences(called, strict=terminalreporter.config.getoption("harness_strict")):
        terminalreporter.write_line(printable(sentence))
    for number, finding in enumerate(findings(verdicts)):
        terminalreporter.write_line(printable(_format_finding(finding, verdicts, first=number == 0)))
    for line in _list_fixes(called):
        terminalreporter.write_line(printable(line))
    examples, rows = (sum(getattr(verdict, name) for verdict in verdicts) for name in ("examples", "rows"))
    terminalreporter.write_line(f"{verdict_line(verdicts)}; {examples:,} examples, {rows:,} rows")


def _list_fixes(reports: Sequence[object]) -> list[str]:
    """Return the lines of the fixes, each once."""
    from harness.record import Fix
    from harness.wording.fix import fix_lines

    texts = dict.fromkeys(text for report in reports for text in _read_properties(report, FIX))
    return [line for text in texts for line in fix_lines(Fix.model_validate_json(text))]


def _format_finding(finding: "Finding", verdicts: "list[Verdict]", *, first: bool) -> str:
    from harness.wording.finding import finding_block, finding_in_short, title_of

    spell = finding_block if first else finding_in_short
    return spell(finding, verdicts, width=WIDTH, name=f"{title_of(finding)}  {finding.case}")
