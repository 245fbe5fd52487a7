"""Hostile implementations: each gets a verdict, none passes, none ends the run."""

import time

import pytest

from harness.isolation.limits import Limits
from harness.record import Fault, Status, Verdict
from harness.verdict.campaign import Campaign

pytestmark = pytest.mark.judged

DEADLY = {
    "loops": (Fault.HUNG, "hangs: a call did not return within 2 s (deadly.py, line 1"),
    "sleeps": (Fault.HUNG, "hangs: a call did not return within 2 s (deadly.py, line 2"),
    "holds_the_lock": (Fault.HUNG, "hangs: a call did not return within 2 s (deadly.py, line "),
    "ignores_the_alarm": (Fault.HUNG, "does not finish within 6 s"),
    "raises_an_endless_text": (Fault.HUNG, "hangs: a call did not return within 2 s (deadly.py, line "),
    "hangs_backwards": (Fault.HUNG, "hangs: a call did not return within 2 s (deadly.py, line "),
    "exits_with_success": (Fault.EXITED, "ends the process with exit code 0"),
    "exits_with_3": (Fault.EXITED, "ends the process with exit code 3"),
    "kills_itself": (Fault.KILLED, "ends the process with SIGKILL"),
    "terminates_itself": (Fault.KILLED, "ends the process with SIGTERM"),
    "reads_address_zero": (Fault.KILLED, "ends the process with SIGSEGV (segmentation fault)"),
    "aborts": (Fault.KILLED, "ends the process with SIGABRT (aborted)"),
    "interrupts": (Fault.RAISED, "raises KeyboardInterrupt"),
    "fills_the_memory": (Fault.MEMORY, "requests more memory than allowed: MemoryError"),
    "asks_for_a_terabyte": (Fault.MEMORY, "requests more memory than allowed: RuntimeError"),
    "forks": (Fault.STATE, "leaves a process running"),
    "talks_on_every_line": (Fault.STATE, "writes into files that it has not opened"),
    "closes_every_line": (Fault.STATE, "closes files that it has not opened"),
}
"""The fault and message for each implementation in ``hostile.deadly``."""

RUDE = {
    "raises": (Fault.RAISED, "raises ValueError: no softmax today (rude.py, line "),
    "raises_what_is_no_exception": (Fault.RAISED, "raises hostile.rude.raises_what_is_no_exception.<locals>.Ending"),
    "raises_what_cannot_be_printed": (Fault.RAISED, "<exception str() failed>"),
    "raises_at_length": (Fault.RAISED, "xxx..."),
    "exits": (Fault.EXITED, "ends the process: SystemExit: 0"),
    "stops_an_iteration": (Fault.RAISED, "raises StopIteration"),
    "recurses": (Fault.RAISED, "raises RecursionError"),
    "nothing": (Fault.TYPE, "returns NoneType, not a tensor"),
    "text": (Fault.TYPE, "returns str, not a tensor"),
    "pair": (Fault.TYPE, "returns tuple, not a tensor"),
    "numbers": (Fault.TYPE, "returns list, not a tensor"),
    "rows": (Fault.TYPE, "returns generator, not a tensor"),
    "array": (Fault.TYPE, "returns numpy.ndarray, not a tensor; check a NumPy implementation with `--call numpy`"),
    "itself": (Fault.TYPE, "returns function, not a tensor"),
    "one_number": (Fault.SHAPE, "returns shape [] for inputs of shape"),
    "a_sum": (Fault.SHAPE, "returns shape [] for inputs of shape"),
    "transposed": (Fault.SHAPE, "the contract requires (logits[n,k]) -> [n,k]"),
    "one_axis_more": (Fault.SHAPE, "the contract requires (logits[n,k]) -> [n,k]"),
    "complex_numbers": (Fault.TYPE, "returns complex numbers"),
    "sparse": (Fault.TYPE, "returns a tensor that is sparse, nested or quantized"),
    "nowhere": (Fault.DEVICE, "returns a tensor on meta for inputs on cpu"),
    "whole_numbers": "output_like_input",
    "wider": "output_like_input",
    "not_a_number": "value",
    "infinite": "value",
    "zeros": "value",
    "uninitialised": "value",
    "the_input": "value",
    "a_view": "output_is_its_own",
    "stubborn": "value",
    "mutates": "inputs_unmodified",
    "empties": (Fault.STATE, "changes the shape of its inputs"),
    "guesses": "calls_agree",
    "alternates": "calls_agree",
    "detaches": (Fault.NO_GRADIENT, "returns a tensor that autograd cannot follow back to its input"),
    "raises_backwards": (Fault.RAISED, "the backward pass of hostile.rude.raises_backwards raises ArithmeticError"),
    "wrong_backwards": "gradient",
    "default_dtype": (Fault.STATE, "changes torch's default dtype from torch.float32 to torch.float64 (restored)"),
    "number_of_threads": (Fault.STATE, "changes torch's number of threads from 1 to 2 (restored)"),
    "seed": (Fault.STATE, "changes torch's seed from 20240229 to 0 (restored)"),
    "seed_of_python": (Fault.STATE, "seeds or draws Python's random numbers (restored)"),
    "seed_of_numpy": (Fault.STATE, "seeds or draws NumPy's random numbers (restored)"),
    "deterministic": (Fault.STATE, "changes torch's deterministic algorithms from False to True (restored)"),
    "no_gradients": (Fault.STATE, "changes torch's gradient mode from True to False (restored)"),
    "flushes_subnormals": (Fault.STATE, "changes whether subnormal numbers are kept from True to False (restored)"),
    "working_directory": (Fault.STATE, "changes the working directory"),
    "environment": (Fault.STATE, "changes the environment: SOFTMAX (restored)"),
    "warning_filters": (Fault.STATE, "changes the warning filters (restored)"),
    "search_path": (Fault.STATE, "changes the module search path (restored)"),
    "recursion_limit": (Fault.STATE, "to 12345 (restored)"),
    "no_collection": (Fault.STATE, "changes garbage collection from True to False (restored)"),
    "signal_handler": (Fault.STATE, "changes signal handlers (restored)"),
    "blocked_alarm": (Fault.STATE, "changes the blocked signals from [] to ['SIGALRM'] (restored)"),
    "rounding_mode": (Fault.STATE, "changes the rounding mode from to nearest to toward zero (restored)"),
    "numpy_errors": (Fault.STATE, "changes NumPy's handling of floating-point errors"),
    "thread": (Fault.STATE, "leaves 1 thread running"),
    "thread_and_recursion_limit": (Fault.STATE, "to 12345 (restored) and leaves 1 thread running"),
    "prints": (Fault.PRINTED, "prints `logits: tensor("),
    "prints_an_error": (Fault.PRINTED, "prints `careful`"),
    "prints_past_python": (Fault.PRINTED, "prints `from C"),
    "replaces_the_stream": (Fault.STATE, "replaces sys.stdout or sys.stderr (restored)"),
}
"""The fault and message for each implementation in ``hostile.rude``, or the law that it breaks."""

LAWS = ("value", "gradient", "calls_agree", "inputs_unmodified", "output_is_its_own", "output_like_input")


def by_case(campaign: Campaign, limits: Limits, processes: int = 2) -> dict[str, list[Verdict]]:
    """Decide a campaign under limits, and return the verdicts by the name of the function."""
    found: dict[str, list[Verdict]] = {}
    for verdict in campaign.run(processes=processes, limits=limits):
        found.setdefault(verdict.case.rpartition(".")[2], []).append(verdict)
    return found


@pytest.fixture(scope="module")
def deadly() -> dict[str, list[Verdict]]:
    """Return verdicts on one law, which a worker may not survive."""
    campaign = Campaign("hostile.deadly", laws=["gradient"], dtypes=["float32"])
    started = time.monotonic()
    # Some wait for a limit; the others continue meanwhile.
    found = by_case(campaign, Limits(call_s=2.0, first_call_s=2.0, memory_gib=0.25, law_s=6.0), processes=4)
    assert time.monotonic() - started < 120.0
    # On a busy machine, a fork may take longer than the usual limit of a call.
    patient = Limits(call_s=20.0, first_call_s=20.0, memory_gib=0.25, law_s=60.0)
    forks = Campaign("hostile.deadly:forks", "softmax", laws=["gradient"], dtypes=["float32"])
    return {**found, **by_case(forks, patient)}


@pytest.fixture(scope="module")
def rude() -> dict[str, list[Verdict]]:
    """Return verdicts on several laws."""
    return by_case(Campaign("hostile.rude", laws=LAWS, dtypes=["float32"]), Limits(call_s=10.0, memory_gib=1.0))


@pytest.mark.parametrize("name", DEADLY)
def test_what_takes_the_process_with_it_costs_one_verdict(deadly: dict[str, list[Verdict]], name: str) -> None:
    """The reason tells how the process ended, and later implementations are checked."""
    fault, sentence = DEADLY[name]
    (verdict,) = deadly[name]
    assert verdict.status is Status.ERROR
    assert verdict.fault is fault
    assert verdict.reason is not None
    assert sentence in verdict.reason


@pytest.mark.parametrize("name", RUDE)
def test_what_does_not_do_as_it_is_asked_fails(rude: dict[str, list[Verdict]], name: str) -> None:
    """It has the expected fault and message, or breaks the law for its defect."""
    verdicts, expected = rude[name], RUDE[name]
    failing = [verdict for verdict in verdicts if verdict.status.fails]
    assert failing
    if isinstance(expected, str):
        assert Status.BROKEN in {verdict.status for verdict in failing if verdict.law == expected}
    else:
        assert {expected[0]} == {verdict.fault for verdict in failing}
        assert all(expected[1] in (verdict.reason or "") for verdict in failing)


def test_the_tables_name_every_hostile_implementation(
    deadly: dict[str, list[Verdict]], rude: dict[str, list[Verdict]]
) -> None:
    """There are more than sixty."""
    assert deadly.keys() == DEADLY.keys()
    assert rude.keys() == RUDE.keys()
    assert len(DEADLY) + len(RUDE) > 60


def test_an_implementation_that_hangs_is_given_up_soon() -> None:
    """The first call has the full time, later ones less. After three calls the other laws are skipped."""
    campaign = Campaign("hostile.deadly:loops", "softmax", dtypes=["float32"])
    started = time.monotonic()
    verdicts = list(campaign.run(processes=1, limits=Limits(call_s=3.0, first_call_s=3.0)))
    assert time.monotonic() - started < 3.0 * 3.0 + 20.0
    assert [verdict.status for verdict in verdicts[:3]] == [Status.ERROR] * 3
    assert {verdict.status for verdict in verdicts[3:]} == {Status.SKIPPED}
    reason = "not tried: 3 earlier calls of hostile.deadly.loops did not return"
    assert {verdict.reason for verdict in verdicts[3:]} == {reason}
