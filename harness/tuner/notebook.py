"""The Python interface of the tuner: the result as text, as a line to paste and as a plot."""

from collections.abc import Sequence
from html import escape
from typing import Any

from harness.error import UsageError
from harness.execution.environment import usable_cores
from harness.execution.logbook import drawing_in_html, logbook
from harness.execution.progress import Sign
from harness.loading.fault import LoadingError
from harness.loading.supervision import supervise
from harness.record import Estimate
from harness.tuner.loader_choice import Choice
from harness.tuner.remark import compare_workers, remarks
from harness.tuner.search import SearchState
from harness.tuner.search_space import SearchSpace, worker_counts
from harness.tuner.step import Step
from harness.tuner.target import GRACE_S
from harness.tuner.tuning import Tuning
from harness.wording.card import PRE, card


def tune(
    dataset: Any,
    *,
    batch_size: int = 256,
    workers: Sequence[int] | None = None,
    step: Step | None = None,
    seconds: float = 30.0,
    seed: int = 0,
) -> "Tuned":
    """Find a near-optimal ``DataLoader`` configuration for a data set with few measurements.

    Parameters
    ----------
    dataset
        A map-style data set, or an ``IterableDataset``.
    batch_size
        Samples per batch.
    workers
        Numbers of workers to choose from [default: depends on the number of cores].
    step
        The training step, a function of a batch. If given, the search stops at the first loader that keeps up with it.
    seconds
        Time limit, in seconds.
    seed
        Random seed for the order of measurements.

    Returns
    -------
    Tuned
        The best configuration with its rate in samples/s, and all measured configurations.

    Raises
    ------
    UsageError
        If loading fails, or if nothing was measured within the time limit.
    """
    cores = max(1, round(usable_cores()))
    space = SearchSpace((batch_size,), tuple(workers) if workers is not None else worker_counts(cores))
    tuning = Tuning(dataset, space, cores=cores, seconds=seconds, step=step, seed=seed)
    try:
        with Sign("tuning") as sign, supervise(seconds + GRACE_S):
            for standing in tuning.run():
                sign.show(f"best so far: {standing.best}, {standing.rate.point:,.0f} samples/s")
            tuning.close_budget()
    except LoadingError as error:
        fault = tuning.explain_timeout(error.fault, seconds + GRACE_S)
        raise UsageError(f"cannot load the data set: {fault.sentence}", remedy=fault.remedy) from error
    assert tuning.standing is not None
    return Tuned(tuning, tuning.standing)


class Tuned:
    """The result of a tuning.

    Parameters
    ----------
    tuning
        The tuning, at its end.
    standing
        The final state of the search.
    """

    def __init__(self, tuning: Tuning, standing: SearchState) -> None:
        self._tuning, self._snapshot = tuning, standing

    @property
    def choice(self) -> Choice:
        """The chosen configuration; its ``load`` method creates the loader."""
        return self._snapshot.best

    @property
    def rates(self) -> dict[Choice, Estimate]:
        """Samples per second of all measured configurations, the fastest first."""
        return dict(sorted(self._snapshot.rates.items(), key=lambda entry: -entry[1].point))

    @property
    def line(self) -> str:
        """The import and the line to paste."""
        shuffle = self._tuning.shuffles
        return f"{self.choice.imports(shuffle=shuffle)}\n{self.choice.line(shuffle=shuffle)}"

    @property
    def sentences(self) -> list[str]:
        """The reason for the choice, the time budget of a batch, and advice on the data set."""
        tuning, budget = self._tuning, self._tuning.budget
        lines = [f"why: {self._snapshot.reason}"]
        if self._snapshot.similar_choices:
            lines.append(f"not distinguishable from the choice: {'; '.join(map(str, self._snapshot.similar_choices))}")
        lines += [] if budget is None else budget.sentences(compare_workers(tuning))
        return lines + remarks(tuning)

    def __str__(self) -> str:
        """Return the result and the line to paste."""
        return "\n".join([self._headline(), *self.sentences, "", self.line])

    def _headline(self) -> str:
        rate = self._snapshot.rate.point
        default = self.rates.get(Choice(self.choice.batch_size))
        is_default = Choice(self.choice.batch_size) == self.choice
        gain = (
            "" if default is None or is_default else f", {rate / default.point:.1f} times the rate of torch's defaults"
        )
        return f"{self.choice}: {rate:,.0f} samples/s{gain}"

    def _repr_html_(self) -> str:
        """Return the notebook output: the result, the line to paste, the rates, and the reasons."""
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences)
        body = f"{PRE}{escape(self.line)}</pre>{drawing_in_html(self.plot)}<ul>{items}</ul>"
        return card(self._headline(), body, good=True)

    def plot(self) -> Any:
        """Return a plot of all measured rates with their intervals."""
        rates = [(str(choice), rate.point, rate.low, rate.high) for choice, rate in self.rates.items()]
        return logbook("notebook").rates_drawing(rates, str(self.choice))
