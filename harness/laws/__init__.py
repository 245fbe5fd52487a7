"""Laws and contracts as data, their inputs and rays, and the laws of every operation."""

from harness.laws.case_error import CaseError
from harness.laws.contract import AnyNumber, Axes, Contract
from harness.laws.derivation import compare_repeated_calls, repeatable
from harness.laws.derivative import derivative_laws
from harness.laws.every_operation import derive_long_rows, implementation_laws
from harness.laws.law import Example, Inputs, Law, law
from harness.laws.ray import Limit, Ray
from harness.laws.size import many_rows, no_drift
from harness.laws.standard_rays import COLUMNS, LONGEST, list_rays
from harness.laws.subject import Subject
