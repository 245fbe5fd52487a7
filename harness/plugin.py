"""The pytest plugin: a test of somebody's own function becomes one item for each law and dtype.

It is loaded into every pytest session of whoever has the harness installed, and so imports pytest alone: what needs
torch is imported when a test with :func:`parametrize_laws` is collected.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from harness.case import Break

if TYPE_CHECKING:
    from harness.api import Check

MARK = "harness_laws"
"""The mark that the decorator leaves on a test."""

PROPERTY = "harness"
"""The property under which an item's outcome travels with its report, from worker to controller too."""

FOUND = "harness found"
"""The property under which what kind of thing the function is travels."""

TestT = TypeVar("TestT", bound=Callable[..., Any])


def parametrize_laws(
    contract: str,
    *,
    laws: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    breaks: Mapping[str, str | Break] | None = None,
    declares: Mapping[str, Any] | None = None,
    call: str | Callable[..., Any] | None = None,
    examples: int | None = None,
) -> Callable[[TestT], TestT]:
    """Run a test once for each law of a contract and each dtype; it calls its argument ``check`` on the function.

    Parameters
    ----------
    contract
        Name of the contract.
    laws, dtypes
        Names to restrict to; all of the contract's where empty.
    breaks
        Laws that the function is known to break, each with its reason: these items are expected to fail, and fail
        where they do not.
    declares
        Conventions in which the contract leaves a choice.
    call
        How to call a function of another signature, or on other arrays.
    examples
        Hypothesis examples a law.

    Examples
    --------
    .. code-block:: python

        @harness.parametrize_laws("softmax", dtypes=["float32", "bfloat16"])
        def test_fused_softmax(check):
            check(my_kernels.fused_softmax)
    """
    claims = {"declares": dict(declares or {}), "breaks": dict(breaks or {}), "call": call}

    def decorate(test: TestT) -> TestT:
        mark = getattr(pytest.mark, MARK)
        marked: TestT = mark(contract, claims, tuple(laws), tuple(dtypes), examples)(test)
        return marked

    return decorate


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what can be set for a session."""
    group = parser.getgroup("harness", "laws of numerical functions")
    group.addoption(
        "--harness-seconds",
        metavar="S",
        type=float,
        help="after S seconds a law draws no further examples; what a benchmark of the harness measures",
    )
    group.addoption("--harness-seed", metavar="N", type=int, help="seed of the draws")
    group.addoption("--harness-strict", action="store_true", help="lost digits fail a test")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{MARK}: laws to check, set by harness.parametrize_laws")


def pytest_report_header(config: pytest.Config) -> str:
    """Say with which seed, and within what time."""
    from importlib.metadata import version

    from harness.record import SEED

    seed, seconds = config.getoption("harness_seed"), config.getoption("harness_seconds")
    limit = "" if seconds is None else f", {seconds:g} s a law"
    return f"harness: {version('stability-harness')}, seed {SEED if seed is None else seed}{limit}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item of each law and dtype, with an id that reads as what is claimed."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    if "check" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: a test with `parametrize_laws` takes `check`")
    from harness.api import checks
    from harness.error import UsageError

    contract, claims, laws, dtypes, examples = mark.args
    config = metafunc.config
    settings = {"examples": examples, "seed": config.getoption("harness_seed")}
    settings["seconds"] = config.getoption("harness_seconds")
    strict = config.getoption("harness_strict")
    try:
        parameters = checks(contract, claims, laws=laws, dtypes=dtypes, strict=strict, **settings)
    except UsageError as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from error
    metafunc.parametrize("check", [pytest.param(check, id=check.id, marks=_marks(check)) for check in parameters])


def _marks(check: "Check") -> list[pytest.MarkDecorator]:
    from harness.api import LawBroken

    if check.declared is None:
        return []
    # Only the failure that was declared is expected: an implementation that raises breaks no law.
    return [pytest.mark.xfail(reason=check.declared, raises=LawBroken, strict=True)]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Fail a test that checks nothing, and let the report carry what was checked."""
    check: Any = pyfuncitem.funcargs.get("check") if pyfuncitem.get_closest_marker(MARK) else None
    try:
        result = yield
    finally:
        for verdict in getattr(check, "verdicts", ()):
            pyfuncitem.user_properties.append((PROPERTY, [str(verdict.status), verdict.examples, verdict.rows]))
        for one in getattr(check, "properties", ()):
            pyfuncitem.user_properties.append((FOUND, one.model_dump(mode="json")))
    if check is not None and not check.verdicts:
        pytest.fail("the test has not called `check` on a function: nothing was checked", pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was checked, and with what result; and once, what kind of thing the functions are."""
    tallies = _reported(terminalreporter, PROPERTY)
    if not tallies:
        return
    counts = Counter(status for status, _, _ in tallies)
    outcome = ", ".join(f"{counts[status]:,} {status}" for status in counts)
    examples, rows = (sum(value[at] for value in tallies) for at in (1, 2))
    terminalreporter.section("laws")
    for sentence in _sentences(_reported(terminalreporter, FOUND)):
        terminalreporter.write_line(sentence)
    terminalreporter.write_line(f"{len(tallies):,} checked: {outcome}; {examples:,} examples, {rows:,} rows")


def _reported(terminalreporter: pytest.TerminalReporter, of: str) -> list[Any]:
    return [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == of
    ]


def _sentences(found: Sequence[Any]) -> list[str]:
    if not found:
        return []
    from harness.record import Property, property_sentences

    properties = map(Property.model_validate, found)
    return property_sentences({one.key: one for one in properties}.values())
