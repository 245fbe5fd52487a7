"""Laws and contracts as data, their inputs and rays, and the laws of every operation."""

from harness.laws.case_error import CaseError as CaseError
from harness.laws.contract import AnyNumber as AnyNumber
from harness.laws.contract import Axes as Axes
from harness.laws.contract import Contract as Contract
from harness.laws.derivation import compare_repeated_calls as compare_repeated_calls
from harness.laws.derivation import repeatable as repeatable
from harness.laws.derivative import derivative_laws as derivative_laws
from harness.laws.every_operation import derive_long_rows as derive_long_rows
from harness.laws.every_operation import implementation_laws as implementation_laws
from harness.laws.law import GROUPS as GROUPS
from harness.laws.law import Example as Example
from harness.laws.law import Inputs as Inputs
from harness.laws.law import Law as Law
from harness.laws.law import law as law
from harness.laws.ray import Limit as Limit
from harness.laws.ray import Ray as Ray
from harness.laws.size import derive_many_rows as derive_many_rows
from harness.laws.size import many_rows as many_rows
from harness.laws.size import no_drift as no_drift
from harness.laws.standard_rays import COLUMNS as COLUMNS
from harness.laws.standard_rays import LONGEST as LONGEST
from harness.laws.standard_rays import list_rays as list_rays
from harness.laws.subject import Subject as Subject
