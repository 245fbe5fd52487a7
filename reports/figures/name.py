"""The shortest names that distinguish the cases of a figure."""

from collections import Counter

import pandas as pd


def names_of(frame: pd.DataFrame) -> dict[str, str]:
    """Return the shortest unique name of every case: its style, its name without family, or its whole name.

    User code has its whole name, since its style does not describe it.
    """
    cases = frame.drop_duplicates("case")
    names = [
        (str(case), _levels(str(case), str(style))) for case, style in zip(cases["case"], cases["style"], strict=True)
    ]
    shared = [Counter(level) for level in zip(*(levels for _, levels in names), strict=True)]
    return {
        case: next(name for name, counts in zip(levels, shared, strict=True) if counts[name] == 1)
        for case, levels in names
    }


def _levels(case: str, style: str) -> tuple[str, str, str]:
    return (case, case, case) if style == "foreign" else (style, remove_family(case), case)


def remove_family(case: str) -> str:
    """Return a case without its family, if it has one."""
    return case.partition(".")[2] or case
