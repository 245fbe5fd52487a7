"""Made-up audits of a run."""

from harness.record import Audit, AuditFinding, AuditKind, Edit, Fix, Headroom


def finding(*, file: str = "/somewhere/train.py", line: int = 12) -> AuditFinding:
    """An exponential that overflows."""
    return AuditFinding(
        kind=AuditKind.OVERFLOW,
        file=file,
        line=line,
        function="softmax",
        module="head",
        sentence="exp(123.24) overflows: from 88.72283935546875 on it is inf in float32 (255 of 256 rows)",
        remedy="subtract the row maximum first",
        operation="exp",
        dtype="float32",
        reaches=("the loss", "the gradient of bias", "the gradient of weight"),
    )


def room(*, factor: float = 3.0, line: int = 14) -> Headroom:
    """An exponential with headroom."""
    return Headroom(
        file="/somewhere/train.py",
        line=line,
        function="softmax",
        operation="exp",
        dtype="float32",
        quantity="input",
        value=88.72283935546875 / factor,
        breaks_at=88.72283935546875,
        factor=factor,
    )


def audit(case: str = "train.step", *findings: AuditFinding) -> Audit:
    """Return an audit with the given findings, by default one."""
    return Audit(
        case=case,
        mode="full",
        findings=findings or (finding(),),
        headroom=(room(), room(factor=40.0, line=15)),
        notes=("the gradient of key.bias is zero up to rounding",),
        blind={"fft": 2},
        operations=24,
        ends=3,
        loss_error=1e-6,
        duration_s=0.25,
    )


def fix(case: str) -> Fix:
    """Return a fix of the first line of a file."""
    return Fix(
        case=case,
        repairs="log(0)",
        file="train.py",
        titles=("compute log_softmax",),
        sentence="verified: the finding is gone",
        is_safe=True,
        diff=("-a", "+b"),
        edits=(Edit(line=1, end=2, text="b\n"),),
    )
