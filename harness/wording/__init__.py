"""Sentences, numbers and blocks of text for records: terminal, report, Markdown and notebook use the same words."""

from harness.wording.audit import (
    audit_line,
    excerpt,
    finding_lines,
    format_audit,
    format_trend,
    report_failed_steps,
    run_lines,
    select_informative,
    select_narrowest,
)
from harness.wording.finding import (
    explanation,
    finding_block,
    finding_in_full,
    finding_in_short,
    format_source,
    glossary_line,
    list_details,
    sentence,
    title_of,
    unclaimed_line,
)
from harness.wording.fix import fix_html, fix_lines, fix_title
from harness.wording.markdown import fence_code, render_markdown
from harness.wording.proof import (
    format_broken_laws,
    format_differences,
    format_extent,
    format_witness,
    format_worst,
    group_unanswered_proofs,
    list_held_laws,
    list_layouts,
    proof_line,
)
from harness.wording.survey import (
    find_first_loss,
    format_certainty,
    format_closed_form,
    format_result,
    format_summing,
    group_by_case,
    select_disagreeing,
    select_unanswered,
    select_undeclared,
    summarize_failures,
    survey_line,
)
from harness.wording.table.audit import audit_html
from harness.wording.verdict import (
    census_line,
    count_laws,
    property_sentences,
    select_failing,
    skip_lines,
    verdict_line,
    violation_block,
)
