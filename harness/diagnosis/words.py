"""A diagnosis in words: the computation, the requirement of the contract, and the convention for the deviation."""

import math
from dataclasses import asdict

from harness.case import Case
from harness.diagnosis.blame import blame_expression
from harness.diagnosis.operation import Choice
from harness.diagnosis.search import Diagnosis
from harness.formula.catalogue import CATALOGUE
from harness.formula.spelling import is_formula
from harness.laws.contract import Contract
from harness.laws.subject import add_defaults
from harness.record import Mistake

_OF_LOGARITHMS = {"log_softmax", "logsigmoid"}
"""Contracts whose result is the logarithm itself, not its negative."""


def make_mistake(diagnosis: Diagnosis, case: Case, contract: Contract) -> Mistake:
    """Return the record of a diagnosis, with the line of source if it is known."""
    choices = [(choice, diagnosis.setting.numbers.get(slot)) for slot, choice in diagnosis.setting.choices.items()]
    eps = add_defaults(contract, case.declares).get("eps")
    computations = " and ".join(_fill_in(choice.computation, contract, number, eps) for choice, number in choices)
    requirement = _join_clauses(
        [_fill_in(choice.requirement, contract, number, eps) for choice, number in choices], contract.name
    )
    cap = next((_format_cap(choice, number, contract) for choice, number in choices if choice.cap and number), "")
    declare = " ".join(f"--declare {choice.declare}" for choice, _ in choices)
    choice, number = choices[0]
    blame = blame_expression(case, choice.marks, number)
    mistake = Mistake(
        names=tuple(choice.key for choice, _ in choices),
        sentence=f"{computations}{cap}; {requirement}",
        declare=choices[0][0].contract
        or (declare if all(_has_convention(contract, choice) for choice, _ in choices) else ""),
    )
    return mistake if blame is None else mistake.model_copy(update=asdict(blame))


def _has_convention(contract: Contract, choice: Choice) -> bool:
    """Whether the contract has the convention that declares a deviation."""
    return bool(choice.declare) and choice.declare.partition("=")[0] in contract.conventions


def _fill_in(text: str, contract: Contract, number: float | None, eps: object) -> str:
    """Fill in the number, the contract and its epsilon."""
    is_of_formula = is_formula(contract.name) or contract.name in CATALOGUE
    name = contract.summary if is_of_formula else contract.name
    sentence = text.replace("{op}", name).replace("{eps}", f"eps = {eps:g}" if isinstance(eps, float) else "eps")
    return sentence if number is None else sentence.replace("{c}", f"{number:.7g}")


def _join_clauses(clauses: list[str], name: str) -> str:
    """Join clauses that begin with the same name."""
    first, *rest = dict.fromkeys(clauses)
    return " and ".join([first, *(clause.removeprefix(f"{name} ") for clause in rest)])


def _format_cap(choice: Choice, number: float, contract: Contract) -> str:
    """Say how large the result can be."""
    assert choice.cap is not None, "the deviation has a cap"
    upper = choice.cap(number)
    if contract.name in _OF_LOGARITHMS:
        return f", so the result cannot be less than {-upper:.5g} = ln({number:g})"
    # An epsilon is negligible next to a probability near 1, so a probability of 0 determines the cap.
    limit_text = f"{upper:.3f}" if math.isfinite(upper) else "infinity"
    return f", so the loss cannot exceed {limit_text} = -ln({number:g})"
