"""The tuner's Python door: a data set's near-best loader as a value that reads, is pasted, and is drawn."""

from collections.abc import Sequence
from html import escape
from typing import Any

from harness.error import UsageError
from harness.loading.fault import LoadingError, within
from harness.record import Estimate
from harness.record.card import PRE, card
from harness.show.budget import budget_lines
from harness.tuner.configuration import Choice, worker_counts
from harness.tuner.search import SearchState
from harness.tuner.step import Step
from harness.tuner.tuning import Tuning, Wish
from harness.work.environment import usable_cores
from harness.work.logbook import notebook
from harness.work.progress import Sign

GRACE_S = 20.0
"""Extra seconds after the time limit before loading counts as hanging."""


def tune(
    dataset: Any,
    *,
    batch_size: int = 256,
    workers: Sequence[int] | None = None,
    step: Step | None = None,
    seconds: float = 30.0,
    seed: int = 0,
) -> "Tuned":
    """Find a near-best ``DataLoader`` configuration of a data set with few measurements.

    Parameters
    ----------
    dataset
        Map-style, or an iterable one of torch's.
    batch_size
        Samples a batch.
    workers
        Numbers of workers to choose from; those that the cores make sense of where absent.
    step
        A function of a batch: the training step that loading is to keep ahead of; where absent the fastest loader is
        looked for.
    seconds
        Time bound.
    seed
        Seed of the order of measurements.

    Raises
    ------
    UsageError
        If the data set does not deliver, or nothing could be measured within the time.
    """
    cores = max(1, round(usable_cores()))
    wish = Wish((batch_size,), tuple(workers) if workers is not None else worker_counts(cores))
    tuning = Tuning(dataset, wish, cores=cores, seconds=seconds, step=step, seed=seed)
    try:
        with Sign("tuning") as sign, within(seconds + GRACE_S):
            for standing in tuning.run():
                sign.show(f"best so far: {standing.best}, {standing.rate.point:,.0f} samples/s")
            tuning.close_budget()
    except LoadingError as error:
        raise UsageError(f"cannot load the data set: {error.fault.sentence}", remedy=error.fault.remedy) from error
    if tuning.standing is None:
        raise UsageError(f"nothing was measured within {seconds:g} s", remedy="allow more `seconds`")
    return Tuned(tuning, tuning.standing)


class Tuned:
    """What a tuning found.

    Parameters
    ----------
    tuning
        The tuning, at its end.
    standing
        What is known of the loaders.
    """

    def __init__(self, tuning: Tuning, standing: SearchState) -> None:
        self._tuning, self._standing = tuning, standing

    @property
    def choice(self) -> Choice:
        """The configuration to take; its ``load`` makes the loader."""
        return self._standing.best

    @property
    def rates(self) -> dict[Choice, Estimate]:
        """Samples a second of everything that was measured, the fastest first."""
        return dict(sorted(self._standing.rates.items(), key=lambda entry: -entry[1].point))

    @property
    def line(self) -> str:
        """The import and the line to paste."""
        shuffle = self._tuning.shuffles
        return f"{self.choice.imports(shuffle=shuffle)}\n{self.choice.line(shuffle=shuffle)}"

    @property
    def sentences(self) -> list[str]:
        """Why it is the choice, where the time of a batch goes, and what to know about the data set."""
        budget, advice = self._tuning.budget, self._tuning.advice
        said = [f"why: {self._standing.reason}"]
        said += [] if budget is None else budget_lines(budget)
        return said + ([] if advice is None else advice.sentences())

    def __str__(self) -> str:
        """Return the outcome, and the line to paste."""
        return "\n".join([self._headline(), *self.sentences, "", self.line])

    def _headline(self) -> str:
        rate = self._standing.rate.point
        slowest = min(self.rates.values(), key=lambda own: own.point).point
        gain = f", {rate / slowest:.1f} times as fast as the slowest configuration" if len(self.rates) > 1 else ""
        return f"{self.choice}: {rate:,.0f} samples/s{gain}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the outcome, the line to paste, how fast the others are, and why."""
        drawing = self.plot()
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences)
        body = f"{PRE}{escape(self.line)}</pre>{drawing.svg}<ul>{said}</ul>"
        return card(self._headline(), body, good=True)

    def plot(self) -> Any:
        """Return the rates of everything that was measured as a drawing, with their intervals."""
        rates = [(str(choice), rate.point, rate.low, rate.high) for choice, rate in self.rates.items()]
        return notebook().rates_drawing(rates, str(self.choice))
