"""The arms of the time gate: live processes with the cases of a tree, which time slices on request.

Arms of a pair are forked from one server, which has imported no case, and take turns; while one measures, the others
wait. If a fork is unsafe, arms are fresh interpreters. Their answers are validated JSON.
"""

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from harness.compat.installed import package_folders, python_folders
from harness.error import UsageError
from harness.isolation.delegate import Delegate, DelegateError
from harness.isolation.fork_server import ForkServer
from harness.isolation.limits import Limits
from harness.timing.clock import ROUND_S, warm

BASE, CANDIDATE, NULL, CONTROL = "base", "candidate", "null", "control"
"""The arms. The control is the second base, when it does a tenth more calls."""

SLICE_S, MIN_TURNS = 0.01, 5
"""Minimum duration and number of rounds of a slice."""

FEWER, MORE = 10, 11
"""Numbers of calls of the base and the positive control, which does a tenth more work."""


@dataclass(frozen=True)
class CaseSource:
    """Location of the cases of an arm."""

    tree: Path
    target: str
    """A target of :func:`harness.calling.target.load`; a file is relative to the tree."""
    contract: str | None
    """Contract of a target that is a single function."""
    images: Path
    """Folder of the images that loaders load."""
    compiled: Path
    """Folder for compiled Python files."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Cases that are requested by another name: their name in the tree, and the requested name."""
    pythonpath: tuple[str, ...] = ("", "src")
    """Folders of the tree from which its packages are imported."""


@dataclass(frozen=True)
class SlicePlan:
    """The rounds of a slice of a case, and the calls of a round."""

    rounds: int
    iterations: int

    @classmethod
    def of(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case, given the seconds of a warm call."""
        return cls._fit(max(1, round(ROUND_S / warm_s)), warm_s)

    @classmethod
    def plan_control(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case to which a tenth is added: rounds as short as that allows.

        It has another number of calls than the case's own slices, which distinguishes them.
        """
        tens = max(1, round(ROUND_S / (FEWER * warm_s)))
        return cls._fit(FEWER * (tens + (FEWER * tens == cls.of(warm_s).iterations)), warm_s)

    @classmethod
    def _fit(cls, iterations: int, warm_s: float) -> "SlicePlan":
        return cls(max(MIN_TURNS, round(SLICE_S / (iterations * warm_s))), iterations)

    @property
    def more(self) -> int:
        """Calls a round with a tenth added."""
        return self.iterations // FEWER * MORE

    def duration_s(self, warm_s: float) -> float:
        """Seconds of a slice, about."""
        return (self.rounds * self.iterations + 1) * warm_s


class SliceTimes(NamedTuple):
    """Times of a slice, in seconds for a round."""

    minimum_s: float
    median_s: float
    cpu_s: float
    start_s: float


class ArmError(Exception):
    """A case could not be timed; the message gives the reason."""


def is_installed(file: Path) -> bool:
    """Whether a file belongs to an installed package or the standard library of this interpreter."""
    folders = (Path(folder).resolve() for folder in (*python_folders(), *package_folders()))
    return any(map(file.resolve().is_relative_to, folders))


T = TypeVar("T")


class ArmProcess(Delegate):
    """Client of an arm process with the cases of a source, as a context that ends the process.

    Parameters
    ----------
    source
        Where its cases are.
    left_s
        Returns the seconds that are left for an answer, the import of the cases included.
    server
        The server of which it is forked; a fresh interpreter when absent.
    """

    def __init__(self, source: CaseSource, left_s: Callable[[], float], server: ForkServer | None = None) -> None:
        super().__init__("harness.gate.arm:Bench.of", {"source": source}, limits=Limits(), server=server)
        self._left_s = left_s

    def call(self, result: type[T], method: str, **arguments: Any) -> T:
        """Return the result of a method of :class:`Bench` in the process.

        Raises
        ------
        ArmError
            If the method raises, the process does not answer in time, or it has ended.
        """
        try:
            return self.ask(method, arguments, result, within_s=max(self._left_s(), 0.0))
        except UsageError as error:
            raise ArmError(str(error)) from error
        except DelegateError as error:
            raise ArmError(f"{'it' if self.has_imported else 'the import'} {error}") from None


class Bench:
    """The cases of one tree in this process, and the calls that can be timed."""

    def __init__(self, source: CaseSource) -> None:
        self.source = source
        self._timed: dict[str, Callable[[], Any]] = {}

    @staticmethod
    def of(source: CaseSource) -> "Bench":
        """Prepare this process, which is an arm's, for measurements."""
        import torch

        torch.set_num_threads(1)
        sys.pycache_prefix = str(source.compiled)
        return Bench(source)

    def imports(self) -> list[str]:
        """Load the cases, and return the names of all imported modules outside the tree.

        They include the modules of the command, which each arm imports, and the modules that the clock and torch's
        first gradient import: without a warm parent, these cost two seconds per arm and pair.
        """
        import torch

        self.cases()
        leaf = torch.ones(1, requires_grad=True)
        warm(lambda: torch.autograd.grad(leaf.exp(), leaf, torch.ones(1)), calls=1, duration_s=0.0)
        specs = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items()}
        return [name for name, spec in specs.items() if spec and spec.name == name and not self._inside(spec.origin)]

    def _inside(self, file: str | None) -> bool:
        """Whether a file belongs to the tree, and not to an environment inside it, such as a tox environment."""
        if file is None:
            return False
        path = Path(file).resolve()
        return path.is_relative_to(self.source.tree.resolve()) and not is_installed(path)

    @cached_property
    def _cases(self) -> Mapping[str, Any]:
        """The cases that can be timed, by name."""
        from harness.bench.workload import is_timed
        from harness.calling.target import load
        from harness.contracts import claimed

        path, _, function = self.source.target.partition(":")
        target = f"{self.source.tree / path}:{function}" if path.endswith(".py") else self.source.target
        # With a src layout, the installed package would otherwise be imported, from whichever tree.
        sys.path[:0] = [str(self.source.tree / folder) for folder in self.source.pythonpath]
        loaded = [claimed(case) for case in load(target, contract=self.source.contract, by_name=True)]
        self._stay_inside(path)
        return {case.name: case for case in loaded if is_timed(case)}

    def cases(self) -> dict[str, str]:
        """Load the cases, and return the names and contracts of the cases that can be timed."""
        return {name: case.contract for name, case in self._cases.items()}

    def _stay_inside(self, path: str) -> None:
        """Refuse to time another tree's code under this one's name."""
        file = None if path.endswith(".py") else getattr(sys.modules[path.partition(":")[0]], "__file__", None)
        if file is not None and not self._inside(file):
            raise ArmError(f"`{path}` is imported from {file}, outside the tree that is measured")

    def loads_images(self) -> bool:
        """Whether any case that can be timed loads images."""
        from harness.bench.workload import loads_images

        return any(map(loads_images, self._cases.values()))

    def prepare(self, case: str) -> float:
        """Make a case ready, call it until it is warm, and return the seconds of a warm call."""
        from harness.bench.workload import workload

        renamed = {new: self._cases[old] for old, new in self.source.renamed.items() if old in self._cases}
        timed = self._timed[case] = workload({**self._cases, **renamed}[case], self.source.images)
        gc.collect()
        gc.disable()
        return warm(timed, calls=3, duration_s=0.02).warm_s

    def slice(self, case: str, rounds: int, iterations: int) -> SliceTimes:
        """Time rounds of some calls each, after one call that is not timed."""
        timed = self._timed[case]
        timed()
        start, cpu = time.perf_counter(), time.process_time()
        times_s = [_round(timed, iterations) for _ in range(rounds)]
        cpu_s = (time.process_time() - cpu) / rounds
        return SliceTimes(min(times_s), statistics.median(times_s), cpu_s, start)


def _round(timed: Callable[[], Any], iterations: int) -> float:
    """Return the seconds of some calls."""
    calls: Sequence[None] = [None] * iterations
    start = time.perf_counter()
    for _ in calls:
        result = timed()
    end = time.perf_counter()
    del result
    return end - start


class ProcessPair:
    """Processes that are alive together, by name of their arm; ``draw`` draws the order of measurements."""

    def __init__(self, arms: Mapping[str, ArmProcess], draw: random.Random) -> None:
        self._arms = arms
        self._draw = draw

    def cases(self, arm: str) -> dict[str, str]:
        """Names of the cases of an arm's tree that are timed, each with its contract."""
        return self._ask(dict[str, str], arm, "cases")

    def warm_s(self, case: str) -> float:
        """Seconds of a warm call in the base."""
        return self._ask(float, BASE, "prepare", case=case)

    def prepare(self, case: str) -> None:
        """Make a case ready in all arms."""
        for arm in self._draw_order(self._arms):
            self._ask(float, arm, "prepare", case=case)

    def turn(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of a case in every arm, in random order."""
        return self._measure(case, plan, dict.fromkeys(self._arms, plan.iterations))

    def control(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of a case in the base, and one in the second base with a tenth more calls a round."""
        measured = self._measure(case, plan, {BASE: plan.iterations, NULL: plan.more})
        return {BASE: measured[BASE], CONTROL: measured[NULL]}

    def _measure(self, case: str, plan: SlicePlan, iterations: Mapping[str, int]) -> dict[str, SliceTimes]:
        return {
            arm: self._ask(SliceTimes, arm, "slice", case=case, rounds=plan.rounds, iterations=iterations[arm])
            for arm in self._draw_order(iterations)
        }

    def _draw_order(self, names: Mapping[str, object]) -> list[str]:
        return self._draw.sample(list(names), len(names))

    def _ask(self, result: type[T], arm: str, method: str, **arguments: Any) -> T:
        """Ask one arm; the message of an :class:`ArmError` names the arm first."""
        try:
            return self._arms[arm].call(result, method, **arguments)
        except ArmError as error:
            raise ArmError(f"in the {arm}, {error}") from error


@contextmanager
def start_pair(
    sources: Mapping[str, CaseSource], draw: random.Random, left_s: Callable[[], float], server: ForkServer | None
) -> Iterator[ProcessPair]:
    """Begin one process for each source, in random order, and end them at the end."""
    with ExitStack() as stack:
        order = draw.sample(list(sources), len(sources))
        yield ProcessPair(
            {name: stack.enter_context(ArmProcess(sources[name], left_s, server)) for name in order}, draw
        )
