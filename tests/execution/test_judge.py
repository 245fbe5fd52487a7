"""The judge has imported everything that decides a verdict before user code starts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

JUDGE = """
import json, sys
from harness.execution.plan import from_document
from harness.execution.worker import _Isolated
from harness.isolation.child import Child
from harness.isolation.limits import Limits

before = set()
start = Child.start

def started(child):
    before.update(before and () or sys.modules)
    start(child)

Child.start = started
judge = _Isolated(from_document(json.loads(sys.argv[1])), Limits(), None)
judge.prepare()
limits = {"call_s": 60.0, "first_call_s": 60.0, "law_s": 300.0}
lost = [index for index in range(len(judge.about)) if judge.do(index, **limits).failure is not None]
judge._child.close()
print(json.dumps([lost, sorted(set(sys.modules) - before)]))
"""

LATE = ("harness", "torch", "numpy", "flint", "hypothesis", "pydantic", "scipy", "sympy", "libcst")
"""Packages of which the judge imports nothing more."""

CODE = """
import torch
from torch.utils.data import DataLoader, TensorDataset

def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

def swish(x):
    return x * torch.sigmoid(1.5 * x)

def mse(y_hat, y):
    return ((y_hat - y) ** 2).mean() / 3

def fails(x):
    raise ValueError("no")

def loader(batch_size=4, num_workers=0, shuffle=False, drop_last=False):
    samples = TensorDataset(torch.arange(9.0))
    return DataLoader(samples, batch_size, num_workers=num_workers, shuffle=shuffle, drop_last=drop_last)
"""

CAMPAIGN = "harness.verdict.campaign", "Campaign"
PLANS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "naive": (*CAMPAIGN, {"contract": "softmax", "recheck_seed": 7}),
    "fails": (*CAMPAIGN, {"contract": "softmax"}),
    "swish": (*CAMPAIGN, {"contract": "formula: x * sigmoid(x)"}),
    "mse": (*CAMPAIGN, {"contract": "squared_error"}),
    "loader": (*CAMPAIGN, {"contract": "data_loader", "laws": ["each_sample_once"]}),
    "naive surveyed": ("harness.surveyor.plan", "Survey", {"contract": "softmax", "laws": ["value"], "batches": 1}),
}
"""Questions about the functions above; some laws break, because the search for a cause needs more modules."""


@pytest.mark.parametrize("name", PLANS)
def test_the_judge_imports_nothing_after_user_code_starts(tmp_path: Path, name: str) -> None:
    """Code that rewrites the installed files would decide about its own verdict."""
    (tmp_path / "own.py").write_text(CODE, encoding="utf-8")
    module, kind, facts = PLANS[name]
    facts = {"target": f"own.py:{name.split()[0]}", "dtypes": ["float32"], **facts}
    words = [sys.executable, "-P", "-c", JUDGE, json.dumps({"module": module, "name": kind, "facts": facts})]
    output = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    lost, imported = json.loads(output.splitlines()[-1])
    assert lost == []
    assert [late for late in imported if late.partition(".")[0] in LATE] == []
