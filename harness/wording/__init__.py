"""Sentences, numbers and blocks of text for records: terminal, report, Markdown and notebook use the same words."""

from harness.wording.audit import (
    audit_line,
    audit_text,
    excerpt,
    finding_lines,
    most_informative,
    narrowest,
    ruin_line,
    run_lines,
    trend_line,
)
from harness.wording.finding import (
    details,
    explanation,
    finding_block,
    finding_in_full,
    finding_in_short,
    glossary_line,
    sentence,
    source_lines,
    title_of,
    unclaimed_line,
)
from harness.wording.fix import fix_html, fix_lines, fix_title
from harness.wording.markdown import fence_code, markdown_text
from harness.wording.proof import (
    broken_blocks,
    differing,
    extent,
    laws_held,
    proof_line,
    unanswered_proofs,
    where,
    witness,
    worst,
)
from harness.wording.survey import (
    closed_form,
    disagreeing,
    first_loss,
    group_by_case,
    how_sure,
    select_unanswered,
    select_undeclared,
    summarize_failures,
    summing,
    survey_line,
    what_happens,
)
from harness.wording.table.audit import audit_html
from harness.wording.verdict import (
    census_line,
    failing,
    laws_in,
    property_sentences,
    skip_lines,
    verdict_line,
    violation_block,
)
