"""The largest standard deviation of the initial weights."""

from harness.course.exercise import Answer, Command, Exercise


def _compute_largest_std() -> float:
    """Return the standard deviation at which the largest logit reaches the limit of exp in float32."""
    import torch

    from harness.floats import FORMATS

    generator = torch.Generator().manual_seed(0)
    X = torch.rand(64, 784, generator=generator)
    logits = X.double() @ torch.randn(784, 10, generator=generator).double()
    return FORMATS["float32"].log_max / float(logits.max())


QUESTION = """\
STD = 10.0
LARGEST_STD = ...  # to two digits: the audit shows how far exp is from its overflow
"""
STEP = '''
generator = torch.Generator().manual_seed(0)
X = torch.rand(64, 784, generator=generator)
W = STD * torch.randn(784, 10, generator=generator)
W.requires_grad_()
y = torch.arange(64) % 10


def step():
    """Take one step of softmax regression, with the softmax as it is defined."""
    X_exp = torch.exp(X @ W)
    y_hat = X_exp / X_exp.sum(1, keepdim=True)
    loss = -torch.log(y_hat[range(64), y]).mean()
    loss.backward()
'''

EXERCISE = Exercise(
    number="6.6",
    title="Find out how large the initial weights may be",
    question="The weights start as random numbers with a standard deviation STD. What happens in the first step if STD "
    "is too large, and which STD is the largest that works?",
    start=f"import torch\n\n{QUESTION}{STEP}",
    solution=f"import torch\n\nSTD = 0.01\nLARGEST_STD = 2.1\n{STEP}",
    hints=(
        "Set STD to 0.01, the chapter's value, and run the exercise again.",
        "The logits are proportional to STD. The audit reports the headroom of exp: its input may grow by this factor.",
        "With STD = 10.0, exp overflows in the first step. LARGEST_STD is STD times the headroom of exp.",
    ),
    learned="The logits grow in proportion to the initial weights. With a standard deviation of 0.01, exp has a "
    "headroom of more than a hundred; a too large one makes the first loss NaN.",
    commands=(Command("audit {file}:step"),),
    answers=(Answer("LARGEST_STD", _compute_largest_std, digits=2),),
)
