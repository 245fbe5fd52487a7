"""Examples as text: the command that reproduces an example bit for bit, and the corpus of known counterexamples.

The folder ``corpus`` has one file of JSON Lines for each contract, which are replayed before new examples are drawn. An
example is tried on every implementation of the contract, because similar implementations have the same defects, and a
repaired defect must not return. The last line of a file is a digest of the others, so that a damaged file is refused.
"""

import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError, join_names
from harness.floats.format import Format
from harness.laws import Contract, Example, Law
from harness.record import Breaking, Counterexample, Input, Proof, TensorText, Verdict, Worst, write_atomically
from harness.record.storage import is_there, parse_record, read_text


def format_hexadecimal(value: float) -> str:
    """``float.hex`` without the trailing zeros of the significand: ``0x1.62e43p+6``; ``0.0`` for zero."""
    if value == 0.0 or not math.isfinite(value):
        return str(value)
    significand, exponent = value.hex().split("p")
    return f"{significand.rstrip('0').rstrip('.')}p{exponent}"


def decode_example(example: Mapping[str, Any], contract: Contract | None = None) -> Example:
    """Invert :func:`encode_example`."""
    read = {name: _decode_tensor(value) if isinstance(value, TensorText) else value for name, value in example.items()}
    return read if contract is None else add_groups(read, contract)


def restore_example(example: Mapping[str, Any], contract: Contract) -> list[Example]:
    """Return the example again if its values are recorded; no example otherwise."""
    tensors = (value for value in example.values() if isinstance(value, TensorText))
    whole = all(len(text.values) == math.prod(text.shape) for text in tensors)
    return [decode_example(example, contract)] if whole else []


def remove_groups(example: Example, contract: Contract) -> Example:
    """Return the inputs of the call for an example with a single group, in the shapes of the signature."""
    if not is_one_group(example, contract):
        return example
    grouped = _list_grouped_names(contract, example)
    return {name: value.squeeze(0) if name in grouped else value for name, value in example.items()}


def is_one_group(example: Example, contract: Contract) -> bool:
    """Whether an example has an axis of groups with one group only."""
    inputs = [(example[name], contract.axes[name]) for name in _list_grouped_names(contract, example)]
    return bool(inputs) and all(value.ndim == len(axes.names) and len(value) == 1 for value, axes in inputs)


def _list_grouped_names(contract: Contract, example: Mapping[str, Any]) -> list[str]:
    """Return the names of the tensors that have a leading axis of groups."""
    axes = contract.axes if contract.grouped else {}
    return [name for name in example if name in axes and axes[name].names[:1] == ("g",)]


def add_groups(example: Example, contract: Contract) -> Example:
    """Invert :func:`remove_groups`; an example that still has its axis of groups is returned unchanged."""
    grouped = _list_grouped_names(contract, example)
    called = [name for name in grouped if example[name].ndim == len(contract.axes[name].names) - 1]
    return {name: value.unsqueeze(0) if name in called else value for name, value in example.items()}


def _decode_tensor(text: TensorText) -> Tensor:
    dtype = getattr(torch, text.dtype)
    if dtype.is_floating_point:
        values = torch.tensor([float.fromhex(value) for value in text.values], dtype=torch.float64).to(dtype)
    else:
        values = torch.tensor([value == "True" if dtype is torch.bool else int(value) for value in text.values])
    return values.to(dtype).reshape(text.shape)


MAX_ELEMENTS = 1024
"""Tensors with more elements are recorded by dtype and shape, and replayed from the seed that drew them."""


def encode_example(example: Example, contract: Contract | None = None) -> dict[str, Any]:
    """Return every input of a call in the form of the record: tensors as :class:`~harness.record.TensorText`."""
    called = example if contract is None else remove_groups(example, contract)
    return {name: _encode_tensor(value) if isinstance(value, Tensor) else value for name, value in called.items()}


def _encode_tensor(tensor: Tensor) -> TensorText:
    plain = tensor.detach().cpu()
    values: tuple[str, ...] = ()
    if plain.numel() <= MAX_ELEMENTS:
        spell = format_hexadecimal if plain.dtype.is_floating_point else str
        values = tuple(spell(value) for value in plain.flatten().tolist())
    return TensorText(dtype=str(plain.dtype).removeprefix("torch."), shape=tuple(plain.shape), values=values)


def make_json(example: Example, contract: Contract, format_: Format) -> str:
    """Return the example in the format of ``--example``.

    Tensors are nested lists in the shapes of a call, floats in hexadecimal. A dtype that does not follow from the
    contract and the format precedes the list: ``{"int64": [0, 1]}``.
    """
    called = remove_groups(example, contract)
    tensors = {name: value for name, value in called.items() if isinstance(value, Tensor)}
    nested = {
        name: _make_nested_list(value, _find_implied_dtype(name, contract, format_)) for name, value in tensors.items()
    }
    return json.dumps({**called, **nested})


def _find_implied_dtype(name: str, contract: Contract, format_: Format) -> torch.dtype | None:
    """Return the dtype of a list that names none; ``None`` if an input is a tensor only with a dtype."""
    axes = contract.axes.get(name)
    if axes is None:
        return None
    return torch.int64 if axes.index_of is not None else format_.dtype


def _make_nested_list(tensor: Tensor, implied: torch.dtype | None) -> Any:
    values = _write_nested_list(tensor.detach().cpu().tolist())
    return values if tensor.dtype == implied else {str(tensor.dtype).removeprefix("torch."): values}


def _write_nested_list(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_write_nested_list(item) for item in nested]
    return format_hexadecimal(nested) if isinstance(nested, float) else nested


def read_json(text: str, contract: Contract, format_: Format) -> Example:
    """Read the output of :func:`make_json`.

    Floating-point inputs may be hexadecimal strings or plain JSON numbers; they are rounded to the format.

    Raises
    ------
    UsageError
        If the text is not such an example.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("not an object")
        read = {
            name: _read_value(value, _find_implied_dtype(name, contract, format_)) for name, value in document.items()
        }
        example = add_groups(read, contract)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            "cannot read `--example`",
            rule='it must be JSON such as `{"logits": [["0x1.8p+1", 0.5]]}`',
            value=f"{text!r:.60} ({error})",
        ) from error
    for name, value in example.items():
        names = contract.axes[name].names if name in contract.axes else ()
        if isinstance(value, Tensor) and value.ndim < len(names):
            raise UsageError(
                f"cannot use `--example`: `{name}` has too few axes",
                rule=f"the contract takes {name}[{','.join(names)}]",
                value=str(list(value.shape)),
                remedy="write one more pair of brackets around its numbers",
            )
    return example


def _read_value(value: Any, implied: torch.dtype | None) -> Any:
    if isinstance(value, dict):
        ((name, value),) = value.items()
        implied = getattr(torch, name)
    if implied is None:
        return value
    if implied.is_floating_point:
        return torch.tensor(_parse_nested_list(value), dtype=torch.float64).to(implied)
    return torch.tensor(value, dtype=implied)


def _parse_nested_list(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_parse_nested_list(item) for item in nested]
    return float.fromhex(nested) if isinstance(nested, str) else float(nested)


def replay_command(
    case: Case, contract: Contract, law: str, format_: Format, example: Example, draws: str, *, device: str = "cpu"
) -> str:
    """Return the command that measures a law of a case on an example.

    No command can import a function that a notebook or a program defines. The text is then the Python call that checks
    the law again with the same seed. ``draws`` has the options that draw the example again if it is too large to be
    spelled out.
    """
    home, _, function = case.target.partition(":")
    if home == "__main__":
        declares = {"declares": dict(case.declares)} if case.declares else {}
        arguments = {"laws": [law], "dtypes": [format_.name], **declares}
        options = "".join(f", {name}={value!r}" for name, value in arguments.items())
        return f"harness.check({function}, {contract.name!r}{options})"
    words = ["harness", "check", case.target, "--contract", contract.name, "--law", law]
    if contract.form != "delivery":
        words += ["--dtypes", format_.name]
    if device != "cpu":
        words += ["--devices", device]
    if isinstance(case.call, str):
        words += ["--call", case.call]
    for name, value in case.declares.items():
        words += ["--declare", f"{name}={value}"]
    small = all(value.numel() <= MAX_ELEMENTS for value in example.values() if isinstance(value, Tensor))
    if small:
        return shlex.join([*words, "--example", make_json(example, contract, format_)])
    return f"{shlex.join(words)} {draws}"


# The corpus

CORPUS = Path(__file__).parent / "corpus"
"""Folder of the counterexamples that belong to the harness."""

_WHAT = "a corpus of counterexamples"
_REMEDY = "fix or delete the line, or freeze the run again"
_RESTORE = "restore the file, or delete it and freeze the run again"


def read_corpus(file: Path) -> tuple[Counterexample, ...]:
    """Read a file of counterexamples; none where it does not exist.

    Raises
    ------
    UsageError
        If a line is no counterexample, or the digest does not match.
    """
    if not is_there(file):
        return ()
    text = read_text(file, what=_WHAT, remedy=_REMEDY)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    *others, last = lines or [(1, "")]
    if last[1].strip() != _make_digest_line(line for _, line in others):
        raise UsageError(f"the digest of the corpus does not match: `{file}`", remedy=_RESTORE)
    return tuple(
        parse_record(Counterexample, line, place=f"{file}:{number}", what=_WHAT, remedy=_REMEDY)
        for number, line in others
    )


def make_corpus_text(lines: Iterable[str]) -> str:
    """Return the content of a file of counterexamples: their lines in order, and the digest."""
    ordered = sorted(lines)
    return "".join(f"{line}\n" for line in [*ordered, _make_digest_line(ordered)])


def _make_digest_line(lines: Iterable[str]) -> str:
    content = "\n".join(line.strip() for line in lines)
    return json.dumps({"digest": hashlib.blake2b(content.encode(errors="replace"), digest_size=16).hexdigest()})


def reject_damaged(folder: Path) -> None:
    """Read every corpus of a folder, before anything is checked with it.

    Raises
    ------
    UsageError
        If the folder is none, or a line in it is no counterexample.
    """
    if not folder.is_dir():
        remedy = "pass the folder that `harness freeze` wrote as `--corpus`"
        raise UsageError(f"folder not found: `{folder}`", remedy=remedy)
    for file in sorted(folder.glob("*.jsonl")):
        read_corpus(file)


_LARGEST = 64
"""Counterexamples with more elements are found again by drawing."""


def list_known_examples(
    contract: Contract, law: Law, format_: Format, folders: Iterable[Path] = (CORPUS,)
) -> list[Example]:
    """Return the known counterexamples to a law in a format; none for a law with separate inputs.

    Such a law has few and peculiar examples, and a minimal counterexample no longer belongs to them. It would break
    implementations that the law does not concern.
    """
    if law.inputs is not None:
        return []
    return [
        _ensure_inputs(counterexample, contract, law, folder / f"{contract.name}.jsonl")
        for folder in folders
        for counterexample in read_counterexamples(contract.name, folder)
        if (counterexample.law, counterexample.dtype) == (law.name, format_.name)
    ]


def _ensure_inputs(known: Counterexample, contract: Contract, law: Law, file: Path) -> Example:
    """Return the example; raise an error if it lacks an input that the law reads."""
    if missing := [name for name in law.reads if name not in known.example]:
        raise UsageError(
            f"cannot read a counterexample in `{file}`: {join_names(missing)} missing",
            rule=f"`{law.name}` needs {join_names(law.reads)}",
            remedy=_REMEDY,
        )
    return decode_example(known.example, contract)


@cache
def read_counterexamples(contract: str, folder: Path = CORPUS) -> tuple[Counterexample, ...]:
    """Read the corpus of a contract; empty if it does not exist.

    Raises
    ------
    UsageError
        If a line is not a counterexample.
    """
    return read_corpus(folder / f"{contract}.jsonl")


Recorded = Verdict | Breaking | Worst | Proof


def freeze(findings: Iterable[Recorded], folder: Path = CORPUS) -> int:
    """Add the counterexamples of a run to the corpus; return how many were new.

    Parameters
    ----------
    findings
        Verdicts, breaking points and worst cases; those on which no law is broken, or with large inputs, are passed
        over.
    folder
        Folder of the corpus.
    """
    added = 0
    fresh: dict[str, list[Counterexample]] = {}
    for finding in findings:
        if broken := list(_list_counterexamples(finding)):
            fresh.setdefault(finding.contract, []).extend(broken)
    for contract, new in fresh.items():
        stored = {
            _make_key(counterexample): counterexample for counterexample in read_counterexamples(contract, folder)
        }
        merged = {**{_make_key(counterexample): counterexample for counterexample in new}, **stored}
        added += len(merged) - len(stored)
        lines = (counterexample.model_dump_json() for counterexample in merged.values())
        write_atomically(folder / f"{contract}.jsonl", make_corpus_text(lines))
    read_counterexamples.cache_clear()
    return added


def _list_counterexamples(finding: Recorded) -> Iterator[Counterexample]:
    for law, example in _list_broken_laws(finding):
        tensors = [value for value in example.values() if isinstance(value, TensorText)]
        if all(0 < len(tensor.values) <= _LARGEST or 0 in tensor.shape for tensor in tensors):
            yield Counterexample(law=law, dtype=finding.dtype, example=example, found_in=finding.case)


def _list_broken_laws(finding: Recorded) -> Iterator[tuple[str, dict[str, Input]]]:
    """Yield each broken law with the inputs that break it."""
    match finding:
        case Verdict(violation=violation) if violation is not None:
            yield finding.law, violation.example
        # A property of the format that a ray follows is no law, and every implementation breaks it.
        case Breaking(example=example) if example is not None and _is_law(finding):
            yield finding.law, example
        case Worst() if finding.broken:
            yield finding.law, finding.example
        case Proof():
            yield from (
                (outcome.law, outcome.violation.example) for outcome in finding.laws if outcome.violation is not None
            )


def _is_law(finding: Breaking) -> bool:
    return any(law.name == finding.law for law in contract_named(finding.contract).laws)


def _make_key(counterexample: Counterexample) -> str:
    record = counterexample.model_dump(mode="json")
    return json.dumps([record["law"], record["dtype"], record["example"]], sort_keys=True)
