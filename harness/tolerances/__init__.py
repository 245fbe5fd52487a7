"""Tolerances of tests: which of them are right, and the derived error bound of an operation as one assertion.

`assertion` compares a result with exact arithmetic, and allows the error that a sound implementation may have for these
inputs. `interception` watches the comparisons of a test suite, `judgment` calls each of them again with damaged
results, `plugin` does so while pytest runs the suite, `suite_run` starts pytest and reads the verdicts, `processors`
compares runs on several processors, `output` writes formats and the baseline, `proposal` narrows tolerances,
and `command` is ``harness tolerances``.
`place` has the verdicts.
"""
