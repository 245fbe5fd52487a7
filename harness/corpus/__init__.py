"""The corpus: counterexamples that were found before, replayed before any are drawn.

One file of JSON Lines for each contract lies beside this module. An example is tried on whatever implementation claims
the contract: what broke one breaks others of its kind, and a mended one must not break again.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from harness.law import Contract, Example, Law
from harness.precision import Format
from harness.record import Counterexample, Verdict, write_atomically
from harness.replay import from_text

FOLDER = Path(__file__).parent

LARGEST = 64
"""Counterexamples with more elements are found again by drawing."""


def examples(contract: Contract, law: Law, format_: Format, folders: Iterable[Path] = (FOLDER,)) -> list[Example]:
    """Return the known counterexamples to a law in a format; none to a law about inputs of its own.

    Such a law is drawn from few and peculiar examples, and a counterexample that was made minimal is no longer one of
    them: it would break implementations that the law is not about.
    """
    if law.inputs is not None:
        return []
    return [
        from_text(known.example)
        for folder in folders
        for known in known_counterexamples(contract.name, folder)
        if (known.law, known.dtype) == (law.name, format_.name)
    ]


@cache
def known_counterexamples(contract: str, folder: Path = FOLDER) -> tuple[Counterexample, ...]:
    """Read the corpus of a contract; empty where there is none."""
    path = folder / f"{contract}.jsonl"
    if not path.is_file():
        return ()
    return tuple(map(Counterexample.model_validate_json, path.read_text(encoding="utf-8").splitlines()))


def freeze(verdicts: Iterable[Verdict], folder: Path = FOLDER) -> int:
    """Add the counterexamples of a run to the corpus; return how many were new.

    Parameters
    ----------
    verdicts
        Those without a violation, or with a large one, are passed over.
    folder
        Where the corpus lies.
    """
    added = 0
    found: dict[str, list[Counterexample]] = {}
    for verdict in verdicts:
        if (counterexample := _counterexample(verdict)) is not None:
            found.setdefault(verdict.contract, []).append(counterexample)
    for contract, new in found.items():
        known = {_key(one): one for one in known_counterexamples(contract, folder)}
        merged = {**{_key(one): one for one in new}, **known}
        added += len(merged) - len(known)
        lines = sorted(one.model_dump_json() for one in merged.values())
        write_atomically(folder / f"{contract}.jsonl", "".join(f"{line}\n" for line in lines))
    known_counterexamples.cache_clear()
    return added


def _counterexample(verdict: Verdict) -> Counterexample | None:
    if verdict.violation is None:
        return None
    example = verdict.violation.example
    tensors = [value for value in example.values() if not isinstance(value, (bool, int, float, str, list))]
    if any(len(tensor.values) > LARGEST or (not tensor.values and 0 not in tensor.shape) for tensor in tensors):
        return None
    return Counterexample(law=verdict.law, dtype=verdict.dtype, example=example, found_in=verdict.case)


def _key(one: Counterexample) -> str:
    return json.dumps([one.law, one.dtype, one.model_dump(mode="json")["example"]], sort_keys=True)
