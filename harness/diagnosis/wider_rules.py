"""Rules for rewrites that compute in a wider format."""

import libcst as cst

from harness.diagnosis.code import Code, Rewrite, operands, square_of

_SUMS = ("sum", "mean", "cumsum")


def wider_sum(code: Code, node: cst.BaseExpression, dtype: str) -> str | None:
    """Sum in a wider format."""
    called = code.written(node, *_SUMS)
    if called is None or "dtype" in called.keywords:
        return None
    text = code.bare(node)
    separator = "" if text[:-1].rstrip().endswith(("(", ",")) else ", "
    wide = f"{text[:-1].rstrip()}{separator}dtype={code.torch}.{dtype})"
    return f"{wide}.to({called.of.value}.dtype)" if isinstance(called.of, cst.Name) else wide


def wider_square(code: Code, node: cst.BaseExpression, dtype: str) -> str | None:
    """Square in a wider format."""
    is_written = operands(node, cst.Power) is not None or isinstance(node, cst.Call)
    x = square_of(code, node) if is_written else None
    is_wide = x is not None and code.called(x, "to", "float", "double") is not None
    return None if x is None or is_wide else f"{code.operand(x)}.to({code.torch}.{dtype}) ** 2"


def wider(dtype: str) -> tuple[Rewrite, ...]:
    """Return the rules for a format."""
    return (
        Rewrite(f"sum in {dtype}", lambda code, node: wider_sum(code, node, dtype)),
        Rewrite(f"square in {dtype}", lambda code, node: wider_square(code, node, dtype)),
    )
