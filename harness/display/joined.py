"""Documents about several targets, joined into one."""

import json
from collections.abc import Callable, Mapping, Sequence

from junitparser import JUnitXml

from harness.display.document import xml_of
from harness.record import Verdict
from harness.wording import verdict_line


def joined_json(texts: Sequence[str]) -> str:
    """Return one JSON document with the records of all, and a verdict on all."""
    first, *rest = map(json.loads, texts)
    for other in rest:
        first |= {name: [*first[name], *more] for name, more in other.items() if isinstance(more, list)}
    first["verdict"] = verdict_line([Verdict.model_validate(one) for one in first["verdicts"]])
    return json.dumps(first, indent=2, ensure_ascii=False) + "\n"


def joined_junit(texts: Sequence[str]) -> str:
    """Return one JUnit document with the suites of all."""
    document = JUnitXml("harness check")
    for text in texts:
        for suite in JUnitXml.fromstring(text.encode("utf-8")):
            document.add_testsuite(suite)
    return xml_of(document, pretty=False)


JOIN: Mapping[str, Callable[[Sequence[str]], str]] = {"json": joined_json, "junit": joined_junit, "markdown": "\n".join}
"""The joins by format."""
