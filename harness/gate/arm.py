"""The arms of the time gate: trees of two commits, and live processes with their cases that time slices on request.

Arms of a couple are forked from one parent (:mod:`harness.gate.preload`) and take turns; while one measures, the others
wait. If a fork is unsafe, arms are spawned instead.
"""

import gc
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from harness.error import UsageError
from harness.timing.clock import ROUND_S, warm

BASE, CANDIDATE, NULL, CONTROL = "base", "candidate", "null", "control"
"""The arms. The control is the second base, when it does a tenth more calls."""

BASE_FOLDER, CANDIDATE_FOLDER = "base", "here"
"""Names of the trees' folders: equally long, as the length of a path changes where things lie in memory."""

SLICE_S, MIN_TURNS = 0.01, 5
"""Minimum duration and number of rounds of a slice."""

FEWER, MORE = 10, 11
"""Numbers of calls of the base and the positive control, which does a tenth more work."""


class Trees(NamedTuple):
    """Two trees in one folder, which also has the images that both load, and compiled Python files."""

    folder: Path

    @property
    def base(self) -> Path:
        """The tree of the base."""
        return self.folder / BASE_FOLDER

    @property
    def candidate(self) -> Path:
        """The working tree."""
        return self.folder / CANDIDATE_FOLDER


@contextmanager
def trees(reference: str) -> Iterator[Trees]:
    """Check another commit out next to the working tree, and remove it at the end.

    Raises
    ------
    UsageError
        If this is no git repository, or it has no such commit.
    """
    top = Path(git("rev-parse", "--show-toplevel"))
    git("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    commit = git("merge-base", reference, "HEAD")
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as name:
        both = Trees(Path(name).resolve())
        git("worktree", "add", "--detach", "--quiet", str(both.base), commit)
        both.candidate.symlink_to(top, target_is_directory=True)
        try:
            yield both
        finally:
            git("worktree", "remove", "--force", str(both.base))


def git(*arguments: str) -> str:
    """Return what git says.

    Raises
    ------
    UsageError
        If it fails, with its own words.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise UsageError("`git` not found", rule="the time gate compares commits", remedy="install git") from error
    except subprocess.CalledProcessError as error:
        complaint = error.stderr.strip().splitlines()
        raise UsageError(
            f"`git {' '.join(arguments)}` failed: {complaint[-1] if complaint else 'no such commit'}",
            remedy="name a commit, branch or tag as the base; a shallow clone in CI needs `fetch-depth: 0`",
        ) from error
    return done.stdout.strip()


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


@dataclass(frozen=True)
class SlicePlan:
    """The rounds of a slice of a case, and the calls of a round."""

    rounds: int
    iterations: int

    @classmethod
    def of(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case, given the seconds of a warm call."""
        return cls._lasting(max(1, round(ROUND_S / warm_s)), warm_s)

    @classmethod
    def of_control(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case to which a tenth is added: rounds as short as that allows.

        It has another number of calls than the case's own slices, which distinguishes them.
        """
        tens = max(1, round(ROUND_S / (FEWER * warm_s)))
        return cls._lasting(FEWER * (tens + (FEWER * tens == cls.of(warm_s).iterations)), warm_s)

    @classmethod
    def _lasting(cls, iterations: int, warm_s: float) -> "SlicePlan":
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


FORK = "forkserver" if sys.platform == "linux" else "spawn"
"""Start method of arms: a fork of a warm parent where forks are safe, which excludes macOS and Windows."""


IMPORTS = "HARNESS_GATE_IMPORTS"
"""Environment variable: file that lists the modules to import in the parent process of the arms."""


def warm_parent(imports: Iterable[str], file: Path) -> None:
    """Set the modules that the parent process of the arms imports before its first fork."""
    file.write_text("\n".join(imports), encoding="utf-8")
    os.environ[IMPORTS] = str(file)
    multiprocessing.get_context("forkserver").set_forkserver_preload(["harness.gate.preload"])


def installed() -> set[Path]:
    """Return the folders of installed packages and of the standard library of this interpreter."""
    paths = sysconfig.get_paths()
    return {Path(paths[kind]).resolve() for kind in ("purelib", "platlib", "stdlib", "platstdlib")}


class ArmProcess:
    """Client of an arm process with the cases of a source; ``method`` starts the process."""

    def __init__(self, source: CaseSource, *, method: str = FORK) -> None:
        context: Any = multiprocessing.get_context(method)
        self._parent_end, child_end = context.Pipe()
        self._process = context.Process(target=serve, args=(child_end, source), daemon=True)
        self._process.start()
        child_end.close()

    def ask(self, method: str, *arguments: Any, within_s: float | None = None) -> Any:
        """Return the result of a method of :class:`Bench` in the process.

        Raises
        ------
        ArmError
            If the method raises, the process does not answer in time, or it has ended.
        """
        try:
            self._parent_end.send((method, *arguments))
            if within_s is not None and not self._parent_end.poll(max(within_s, 0.0)):
                raise ArmError("start-up takes longer than the budget")
            reply, error = self._parent_end.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as gone:
            self._process.join()
            raise ArmError(f"the timing process exited with code {self._process.exitcode}") from gone
        if error is not None:
            raise ArmError(error)
        return reply

    def end(self) -> None:
        """Let the process end, and wait for it."""
        self._parent_end.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def serve(connection: Connection, source: CaseSource) -> None:
    """Answer requests until the connection is closed."""
    import torch

    torch.set_num_threads(1)
    sys.pycache_prefix = str(source.compiled)
    bench = Bench(source)
    reply: tuple[Any, str | None]
    while True:
        try:
            method, *arguments = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            reply = getattr(bench, method)(*arguments), None
        except (ArmError, UsageError) as error:
            reply = None, str(error)
        except Exception as error:  # noqa: BLE001 - whatever the case does becomes a finding
            reply = None, f"it raises {type(error).__name__}: {error}"
        try:
            connection.send(reply)
        except BrokenPipeError:  # the budget was used up meanwhile
            return


class Bench:
    """The cases of one tree in this process, and the calls that can be timed."""

    def __init__(self, source: CaseSource) -> None:
        self.source = source
        self._cases: dict[str, Any] | None = None
        self._timed: dict[str, Callable[[], Any]] = {}

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
        return path.is_relative_to(self.source.tree.resolve()) and not any(map(path.is_relative_to, installed()))

    def cases(self) -> dict[str, str]:
        """Load the cases, and return the names and contracts of the cases that can be timed."""
        from harness.bench.workload import is_timed
        from harness.calling.target import load
        from harness.contracts import claimed

        path, _, function = self.source.target.partition(":")
        target = f"{self.source.tree / path}:{function}" if path.endswith(".py") else self.source.target
        # With a src layout, the installed package would otherwise be imported, from whichever tree.
        sys.path[:0] = [str(self.source.tree), str(self.source.tree / "src")]
        loaded = [claimed(case) for case in load(target, contract=self.source.contract, by_name=True)]
        self._stay_inside(path)
        timed = {case.name: case for case in loaded if is_timed(case)}
        self._cases = timed | {new: timed[old] for old, new in self.source.renamed.items() if old in timed}
        return {name: case.contract for name, case in timed.items()}

    def _loaded(self) -> Mapping[str, Any]:
        """The cases that can be timed, by name."""
        if self._cases is None:
            self.cases()
        assert self._cases is not None
        return self._cases

    def _stay_inside(self, path: str) -> None:
        """Refuse to time another tree's code under this one's name."""
        file = None if path.endswith(".py") else getattr(sys.modules[path.partition(":")[0]], "__file__", None)
        if file is not None and not self._inside(file):
            raise ArmError(f"`{path}` is imported from {file}, outside the tree that is measured")

    def loads_images(self) -> bool:
        """Whether any case that can be timed loads images."""
        from harness.bench.workload import loads_images

        return any(map(loads_images, self._loaded().values()))

    def prepare(self, case: str) -> float:
        """Make a case ready, call it until it is warm, and return the seconds of a warm call."""
        from harness.bench.workload import workload

        timed = self._timed[case] = workload(self._loaded()[case], self.source.images)
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


class Couple:
    """Processes that are alive together, by name of their arm; ``draw`` draws the order of measurements."""

    def __init__(self, arms: Mapping[str, ArmProcess], draw: random.Random) -> None:
        self._arms = arms
        self._draw = draw

    def cases(self, arm: str) -> dict[str, str]:
        """Names of the cases of an arm's tree that are timed, each with its contract."""
        contracts: dict[str, str] = self._ask(arm, "cases")
        return contracts

    def warm_s(self, case: str) -> float:
        """Seconds of a warm call in the base."""
        return float(self._ask(BASE, "prepare", case))

    def prepare(self, case: str) -> None:
        """Make a case ready in all arms."""
        for arm in self._in_random_order(self._arms):
            self._ask(arm, "prepare", case)

    def turn(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of a case in every arm, in random order."""
        return self._measured(case, plan, dict.fromkeys(self._arms, plan.iterations))

    def control(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of a case in the base, and one in the second base with a tenth more calls a round."""
        measured = self._measured(case, plan, {BASE: plan.iterations, NULL: plan.more})
        return {BASE: measured[BASE], CONTROL: measured[NULL]}

    def _measured(self, case: str, plan: SlicePlan, iterations: Mapping[str, int]) -> dict[str, SliceTimes]:
        order = self._in_random_order(iterations)
        return {arm: self._ask(arm, "slice", case, plan.rounds, iterations[arm]) for arm in order}

    def _in_random_order(self, names: Mapping[str, object]) -> list[str]:
        return self._draw.sample(list(names), len(names))

    def _ask(self, arm: str, method: str, *arguments: Any) -> Any:
        """Ask one arm; the message of an :class:`ArmError` names the arm first."""
        try:
            return self._arms[arm].ask(method, *arguments)
        except ArmError as error:
            raise ArmError(f"in the {arm}, {error}") from error


@contextmanager
def couple(sources: Mapping[str, CaseSource], draw: random.Random) -> Iterator[Couple]:
    """Begin one process for each source, in random order, and end them at the end."""
    arms: dict[str, ArmProcess] = {}
    try:
        for name in draw.sample(list(sources), len(sources)):
            arms[name] = ArmProcess(sources[name])
        yield Couple(arms, draw)
    finally:
        for arm in arms.values():
            arm.end()
