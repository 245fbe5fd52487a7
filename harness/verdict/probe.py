"""Probing: find the properties of an implementation by a few calls before its laws are judged.

A property is not a law. It describes the platform in one sentence, and explains violations that would otherwise appear
in many laws. It is accepted only if it explains every digit: results that are float32 numbers, or zeros for all
subnormal numbers and for hardly any others.

The probe searches for refusals only after an exception in a law: the implementation raises for NaN or infinity, and
returns a result otherwise. A call on NaN may hang instead, and this must be a verdict of the law.
"""

import contextlib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.calling.modes import seed_all
from harness.floats import FORMATS, Format, to_array
from harness.laws import CaseError, Contract, Example, Law
from harness.laws.subject import REFUSED
from harness.record import Fault, Property, Verdict
from harness.record.property import COMPUTES_IN, CONVENTION, OPERATION, REFUSES, REPEATABLE, RETURNS, SUBNORMALS
from harness.verdict import draw
from harness.verdict.declaration import Flushing, find_convention, own_eps
from harness.verdict.job import Job
from harness.verdict.named import Names

REFUSAL = (
    "{case} refuses %s in {dtypes} (%s): laws about such inputs are not judged (accept it with `--declare refuses=%s`)"
)
"""Sentence shown to users, with the refused inputs, the exception and the value to declare."""

_OF_A_CALL = re.compile(r"[\d({\[]")
"""Start of the part of an exception message that belongs to one call: a shape, a number, a tensor."""


def find_refusals(job: Job, value: Law) -> list[Property]:
    """Return the refused inputs as properties.

    Parameters
    ----------
    job
        The job of a case in a dtype.
    value
        The law of its value, with ordinary inputs.

    Raises
    ------
    CaseError, NotApplicable
        If it returns no result for ordinary numbers.
    """
    example = draw.draw_few_examples(value.inputs or job.contract.inputs, job.format)[-1]
    read = [example[name] for name in value.reads]
    call = [x[0] if job.contract.grouped and isinstance(x, Tensor) else x for x in read]
    subject = job.subject
    subject.once(*(_replace_first_entry(x, None) for x in call))
    words: dict[str, str] = {}
    for kind, number in (("nan", math.nan), ("inf", math.inf)):
        try:
            subject.once(*(_replace_first_entry(x, number) for x in call))
        except CaseError as error:
            if error.fault is Fault.RAISED:
                words[kind] = error.raised
    if not words:
        return []
    kind = "non_finite" if len(words) > 1 else next(iter(words))
    sentence = REFUSAL % (REFUSED[kind], _remove_details(next(iter(words.values()))), kind)
    case, dtype = job.case.name, job.format.name
    return [Property(case=case, name=REFUSES, dtype=dtype, device=job.device, value=kind, sentence=sentence)]


def _replace_first_entry(x: Any, number: float | None) -> Any:
    """Copy an argument; if a number is given, it replaces the first floating-point entry."""
    if not isinstance(x, Tensor):
        return x
    copy = x.clone(memory_format=torch.contiguous_format)
    if number is not None and x.is_floating_point() and x.numel():
        copy.reshape(-1)[0] = number
    return copy


def _remove_details(words: str) -> str:
    """Return the text of the exception without details of the call."""
    general = _OF_A_CALL.split(words, maxsplit=1)[0].rstrip(" ,;:.")
    return general if general == words.rstrip(".") else f"{general} ..."


FLOAT32 = FORMATS["float32"]
_WIDER = {"float32", "float64"}

SENTENCES = {
    COMPUTES_IN: "{case} computes in float32: {dtypes} inputs get only float32 accuracy and are not judged (accept "
    "it with `--declare computes_in=float32`)",
    "autocast": "{case} computes in {format} under autocast: {dtypes} inputs are not judged (accept it with "
    "`--declare computes_in={format}`)",
    "jax": "{case} computes in float32, as JAX does unless JAX_ENABLE_X64=1 is set: {dtypes} inputs are not judged "
    "(accept it with `--declare computes_in=float32`)",
    RETURNS: "{case} returns {format} for {dtypes} inputs: its values are rounded to the input dtype and then "
    "judged (accept it with `--declare returns={format}`)",
    "number": "{case} returns a Python number (float64) for {dtypes} inputs: its values are rounded to the input "
    "dtype and then judged (accept it with `--declare returns=float64`)",
    SUBNORMALS: "{case} flushes subnormal numbers to zero in {dtypes}: they are judged as zeros (accept it with "
    "`--declare subnormals=flushed`)",
    REPEATABLE: "{case} draws random numbers: calls on the same inputs differ, so most other laws are not judged; "
    "for a module in training mode, check `module.eval()`",
}
"""Sentences shown to users, by property."""


class Probe:
    """The properties of cases, searched once per process; they depend only on the case."""

    def __init__(self) -> None:
        self._conventions: dict[Any, dict[str, Any]] = {}
        self._natures: dict[Any, list[Property]] = {}
        self._refusals: dict[Any, list[Property]] = {}
        self._remarks: dict[Any, str | None] = {}
        self._names = Names()

    def decide(self, job: Job, decide: Callable[[Job], Verdict]) -> Verdict:
        """Decide the job with the found properties; after an exception, also with the refused inputs."""
        judged = self.add_declarations(job)
        verdict = decide(judged)
        refused = self._find_refused(judged, job) if verdict.fault is Fault.RAISED else []
        declares = {**judged.case.declares, **{trait.name: trait.value for trait in refused}}
        if refused:
            return decide(replace(judged, case=replace(judged.case, declares=declares)))
        return self._add_mistake(judged, verdict)

    def _add_mistake(self, judged: Job, verdict: Verdict) -> Verdict:
        """Return the verdict with the mistake that causes the violation."""
        if (verdict.violation is None and verdict.fault is None) or not _is_probed(judged):
            return verdict
        with _restore_state(judged):
            return self._names.add_mistake(judged, verdict)

    def properties(self, job: Job) -> list[Property]:
        """Return the properties of the job's case in its dtype."""
        convention = self._find_convention(job)
        conventions = []
        if convention:
            names = [name for name, value in convention.items() if value == own_eps(job.format)]
            text = _write_convention(
                convention, where=f" in {{dtypes}} (the {names[0]} of the dtype itself)" if names else ""
            )
            declared = " ".join(f"{name}={_format_value(value)}" for name, value in convention.items())
            conventions.append(_make_property(job, CONVENTION, declared, text, dtype=job.format.name if names else ""))
        return (
            self._find_remark(job)
            + conventions
            + self._find_traits(job, convention)
            + self._refusals.get(_make_dtype_key(job), [])
        )

    def _find_remark(self, job: Job) -> list[Property]:
        """Return the remark about the operation, as the case carries it out."""
        key = _make_key(job)
        if key not in self._remarks:
            self._remarks[key] = None
            if job.contract.remark is not None:
                subject = self.add_declarations(job).subject
                with _restore_state(job), contextlib.suppress(CaseError, NotApplicable):
                    self._remarks[key] = job.contract.remark(subject)
        text = self._remarks[key]
        return [_make_property(job, OPERATION, "", text, dtype="")] if text else []

    def add_declarations(self, job: Job) -> Job:
        """Return the job with the found properties as declarations."""
        declares = dict(self._find_convention(job))
        for trait in self._find_traits(job, declares):
            # Only this law reports an implementation that draws random numbers.
            if trait.name != REPEATABLE or job.law.name != "calls_agree":
                declares[trait.name] = trait.value
        return replace(job, case=replace(job.case, declares={**job.case.declares, **declares})) if declares else job

    def examine(self, job: Job) -> tuple[Job, list[Property]]:
        """Return the job with the found properties, and these properties."""
        properties = self.properties(job)
        return self.add_declarations(job), properties

    def _find_convention(self, job: Job) -> dict[str, Any]:
        """Return the convention of the case in every dtype; each dtype has a separate default eps."""
        key = _make_key(job)
        names = [name for name in (FLOAT32.name, *job.contract.dtypes) if name in job.case.dtypes]
        looked_in = FORMATS[names[0]]
        if key not in self._conventions:
            with _restore_state(job):
                self._conventions[key] = (
                    find_convention(job.case, job.contract, looked_in, job.device) if _is_open(job) else {}
                )
        eps_values = {own_eps(looked_in): own_eps(job.format)}
        return {name: eps_values.get(value, value) for name, value in self._conventions[key].items()}

    def _find_traits(self, job: Job, convention: Mapping[str, Any]) -> list[Property]:
        """Return the properties in the job's dtype; laws report a missing result."""
        key, traits = _make_dtype_key(job), list[Property]()
        if key not in self._natures:
            case = replace(job.case, declares={**job.case.declares, **convention})
            with _restore_state(job), contextlib.suppress(CaseError, NotApplicable):
                traits.extend(_find_properties(replace(job, case=case)) if _is_probed(job) else ())
            self._natures[key] = traits
        return self._natures[key]

    def _find_refused(self, judged: Job, job: Job) -> list[Property]:
        """Find refused inputs, once for each dtype."""
        key = _make_dtype_key(job)
        if key not in self._refusals:
            self._refusals[key] = []
            value = _get_value_law(job.contract) if _is_probed(job) and REFUSES not in job.case.declares else None
            if value is not None:
                with _restore_state(job), contextlib.suppress(CaseError, NotApplicable):
                    self._refusals[key] = find_refusals(judged, value)
        return self._refusals[key]


def _make_key(job: Job) -> tuple[Any, ...]:
    # The key has the function as well: the identity of a living object is unique.
    return job.case.name, id(job.case.function), str(sorted(job.case.declares.items())), job.contract.name, job.device


def _make_dtype_key(job: Job) -> tuple[Any, ...]:
    """In the job's dtype."""
    return *_make_key(job), job.format.name


def _is_probed(job: Job) -> bool:
    """Only functions of tensors whose value is a law."""
    return (
        job.contract.output is not None and job.contract.form == "function" and _get_value_law(job.contract) is not None
    )


def _is_open(job: Job) -> bool:
    """Return whether to look for a convention: not if the case declares violations because of its convention."""
    required = {law.name for law in job.contract.laws if law.name == "value" or law.group == "special"}
    is_called = job.contract.output is not None and job.contract.form == "function" and job.contract.conventions
    return bool(is_called) and not required & job.case.breaks.keys()


def _get_value_law(contract: Contract) -> Law | None:
    """Return the law of the value, which `add` calls `correctly_rounded`."""
    return next((law for law in contract.laws if law.name in {"value", "correctly_rounded"}), None)


@contextlib.contextmanager
def _restore_state(job: Job) -> Iterator[None]:
    """Restore random numbers and all other settings that a call may change.

    Warnings, for example about the variance of a single number, are ignored. Compiled implementations also get all
    shapes here, because there are few, and a property needs many numbers.
    """
    with torch.random.fork_rng(devices=[]), job.subject.host.watch(draws=True).law():
        seed_all(0)
        with warnings.catch_warnings(action="ignore"):
            yield


def _make_property(job: Job, name: str, value: str, sentence: str, *, dtype: str | None = None) -> Property:
    dtype_name = job.format.name if dtype is None else dtype
    return Property(case=job.case.name, name=name, dtype=dtype_name, device=job.device, value=value, sentence=sentence)


def _write_convention(convention: Mapping[str, Any], *, where: str) -> str:
    options = " ".join(f"--declare {name}={_format_value(value)}" for name, value in convention.items())
    return (
        f"{{case}} agrees with `{options}` on ordinary inputs{where} and is judged with it: declare it if you "
        "intend this"
    )


def _format_value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


# Looking


def _find_properties(job: Job) -> Iterator[Property]:
    """Yield the properties of a case in one dtype."""
    declared, look = job.case.declares, _Look(job)
    if REPEATABLE not in declared and look.draws():
        yield _make_property(job, REPEATABLE, "no", SENTENCES[REPEATABLE])
        return
    if COMPUTES_IN not in declared and (narrow := look.computes_in()):
        format_, sentence = narrow
        yield _make_property(job, COMPUTES_IN, format_.name, SENTENCES[sentence].replace("{format}", format_.name))
        return
    if RETURNS not in declared and (wide := look.returns_wider()):
        sentence = SENTENCES["number" if look.is_number else RETURNS]
        yield _make_property(job, RETURNS, wide, sentence.replace("{format}", wide))
    if SUBNORMALS not in declared and Flushing(job, look.subject, look.value, look.samples).is_seen():
        yield _make_property(job, SUBNORMALS, "flushed", SENTENCES[SUBNORMALS])


class _Look:
    """The search for the properties of a case in a dtype: a few examples, and a call on the last one."""

    def __init__(self, job: Job) -> None:
        value = _get_value_law(job.contract)
        assert value is not None, "only contracts of functions of tensors are probed"
        self.job, self.value, self.subject = job, value, job.subject
        self.drawn = draw.draw_few_examples(value.inputs or self.job.contract.inputs, self.job.format)
        self.call = self._get_arguments(self.drawn[-1])
        # Keep the raw result.
        self.output = self.subject.once(*_copy_arguments(self.call))
        self.is_number = self.subject.returns_number
        self.samples = [draw.measure_sample(self.subject, value, example) for example in self.drawn]

    def _get_arguments(self, example: Example) -> tuple[Any, ...]:
        """Return the arguments of a call."""
        read = (example[name] for name in self.value.reads)
        return tuple(x[0] if self.job.contract.grouped and isinstance(x, Tensor) else x for x in read)

    def draws(self) -> bool:
        """Whether calls with equal random states agree, and calls with different ones differ."""
        seed_all(0)
        before = torch.get_rng_state()
        first = to_array(self.subject.once(*_copy_arguments(self.call)))
        if torch.equal(before, torch.get_rng_state()):
            return False
        third = to_array(self.subject.once(*_copy_arguments(self.call)))
        seed_all(0)
        second = to_array(self.subject.once(*_copy_arguments(self.call)))
        repeats, coincides = (bool(np.array_equal(first, x, equal_nan=True)) for x in (second, third))
        return repeats and not coincides

    def computes_in(self) -> tuple[Format, str] | None:
        """Return the narrower format of the computation and its remark; ``None`` if it is not narrower."""
        if self._is_jax_without_float64():
            return FLOAT32, "jax"
        if draw.compute_share(self.samples) > draw.HALF:
            return None
        with self.subject.host.seeing() as seen:
            self.subject.once(*_copy_arguments(self.call))
        autocast = FORMATS.get(seen.autocast)
        narrow = autocast or FLOAT32
        # A float32 accumulator of a float64 function is a defect: what computes in float32 returns float32 numbers.
        narrows = autocast or self.output.dtype == torch.float32 or self._answers_float32_numbers()
        if narrow.precision >= self.job.format.precision or not narrows:
            return None
        subject = replace(self.job, format=narrow).subject
        rounded = [_round_example(example, narrow, self.job.format) for example in self.drawn]
        if (
            draw.compute_share([draw.measure_sample(subject, self.value, example) for example in rounded])
            < draw.NEARLY_ALL
        ):
            return None
        if autocast:
            return narrow, "autocast"
        return narrow, "jax" if not seen.to_float32 and self.subject.host.jax_is_narrow() else COMPUTES_IN

    def _is_jax_without_float64(self) -> bool:
        """Return whether its arrays are JAX's without float64, regardless of other errors."""
        narrowed = (self.job.format.name, self.output.dtype) == ("float64", torch.float32)
        return narrowed and self.job.case.call is not None and self.subject.host.jax_is_narrow()

    def _answers_float32_numbers(self) -> bool:
        """Whether all results are float32 numbers."""
        actual = draw.join_numbers(self.samples, "actual")
        actual = actual[np.isfinite(actual) & (actual != 0.0)]
        with np.errstate(over="ignore", under="ignore"):
            return actual.size >= draw.ENOUGH and bool((actual.astype(np.float32).astype(np.float64) == actual).all())

    def returns_wider(self) -> str | None:
        """Return the wider format of the result, for 16-bit inputs or for a result that is a Python number.

        A library may have no kernel of 16 bits, and a Python number has no other format; a tensor of float64 for
        float32 inputs was promoted on the way.
        """
        if self.is_number:
            return "float64" if self.job.format.name != "float64" else None
        name = str(self.output.dtype).removeprefix("torch.")
        return name if self.job.format.precision < FLOAT32.precision and name in _WIDER else None


def _copy_arguments(arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return copies of the arguments, which the call may change."""
    return tuple(x.clone() if isinstance(x, Tensor) else x for x in arguments)


def _round_example(example: Example, narrow: Format, wide: Format) -> Example:
    """Return the example, rounded to numbers of the narrower format."""
    return {name: x.to(narrow.dtype).to(wide.dtype) if draw.is_float(x) else x for name, x in example.items()}
