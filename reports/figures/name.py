"""The shortest names that tell the cases of one figure apart."""

import pandas as pd


def names_of(frame: pd.DataFrame) -> dict[str, str]:
    """Return the name of each case: its style where no other case has it, else the case without its family."""
    cases = frame.drop_duplicates("case")
    styles = {str(case): str(style) for case, style in zip(cases["case"], cases["style"], strict=True)}
    unique = [style for style in styles.values() if list(styles.values()).count(style) == 1]
    return {case: style if style in unique else case.partition(".")[2] or case for case, style in styles.items()}
