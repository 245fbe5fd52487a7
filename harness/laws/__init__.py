"""Laws and contracts as data, their inputs and rays, and the laws of every operation."""

from harness.laws.case_error import CaseError
from harness.laws.contract import AnyNumber, Axes, Contract
from harness.laws.derivation import repeatable, repeated
from harness.laws.derivative import derivative_laws
from harness.laws.every_operation import implementation_laws, on_long_rows
from harness.laws.law import GROUPS, Example, Inputs, Law, law
from harness.laws.ray import Limit, Ray
from harness.laws.size import many_rows, no_drift, on_many_rows
from harness.laws.standard_rays import COLUMNS, LONGEST, rays_of
from harness.laws.subject import Subject

__all__ = [
    "COLUMNS",
    "GROUPS",
    "LONGEST",
    "AnyNumber",
    "Axes",
    "CaseError",
    "Contract",
    "Example",
    "Inputs",
    "Law",
    "Limit",
    "Ray",
    "Subject",
    "derivative_laws",
    "implementation_laws",
    "law",
    "many_rows",
    "no_drift",
    "on_long_rows",
    "on_many_rows",
    "rays_of",
    "repeatable",
    "repeated",
]
