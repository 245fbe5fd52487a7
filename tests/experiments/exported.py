"""ONNX operations in ONNX Runtime: models with a single node, for the table of foreign functions."""

from functools import cache

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import Tensor

KINDS = {torch.float64: TensorProto.DOUBLE, torch.float32: TensorProto.FLOAT, torch.float16: TensorProto.FLOAT16}
OPSET, IR = 17, 8
"""The first operator set with a layer normalization, and a suitable model format."""


@cache
def _session(operation: str, dtype: torch.dtype, *, scaled: bool = False) -> "onnxruntime.InferenceSession":
    """Return a session of a single node along the last axis."""
    kind, names = KINDS[dtype], ["x", "scale"] if scaled else ["x"]
    node = helper.make_node(operation, names, ["y"], axis=-1)
    shapes = {"x": [None, None], "scale": [None]}
    inputs = [helper.make_tensor_value_info(name, kind, shapes[name]) for name in names]
    outputs = [helper.make_tensor_value_info("y", kind, [None, None])]
    graph = helper.make_graph([node], "graph", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _run(operation: str, x: Tensor, *, scaled: bool = False) -> Tensor:
    rows = x.detach().numpy()
    inputs = {"x": rows, "scale": np.ones(rows.shape[-1], rows.dtype)} if scaled else {"x": rows}
    return torch.from_numpy(_session(operation, x.dtype, scaled=scaled).run(None, inputs)[0])


def softmax(x: Tensor) -> Tensor:
    """``Softmax`` along the last axis."""
    return _run("Softmax", x)


def log_softmax(x: Tensor) -> Tensor:
    """``LogSoftmax`` along the last axis."""
    return _run("LogSoftmax", x)


def layer_norm(x: Tensor) -> Tensor:
    """``LayerNormalization`` with scales of 1 and its default eps, 1e-5."""
    return _run("LayerNormalization", x, scaled=True)
