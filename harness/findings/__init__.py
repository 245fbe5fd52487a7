"""Analysis of records: failures grouped by cause, grades of accuracy, and the trend of headroom over steps."""

from harness.findings.finding import WRONG, Finding, Grade, grade, grades, index_by_verdict
from harness.findings.headroom_trend import find_trends
from harness.findings.merging import findings, get_mark
