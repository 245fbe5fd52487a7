"""Diagnosis: which simple variant of an operation a wrong function computes, and the expression that makes it so.

A contract has an :class:`~harness.diagnosis.operation.Operation`: its value as a short torch function, and the
variants that people write by mistake. A mistake is named only if a variant agrees with the function on all ordinary
examples and the contract does not.
"""

from harness.diagnosis.blame import Blame, blame_expression
from harness.diagnosis.examine import find_mistake, find_operation, find_rival, make_imitations
from harness.diagnosis.operation import Choice, Operation, Setting
from harness.diagnosis.search import Diagnosis, diagnose
