"""Public names of torch's operations, instead of dispatched names such as ``rsub`` and ``_to_copy``."""

from collections.abc import Mapping

_KNOWN: Mapping[str, str] = {
    "_to_copy": "Tensor.to",
    "_softmax": "softmax",
    "_safe_softmax": "scaled_dot_product_attention",
    "_log_softmax": "log_softmax",
    "_softmax_backward_data": "the gradient of softmax",
    "_log_softmax_backward_data": "the gradient of log_softmax",
    "_cdist_forward": "cdist",
    "_fft_c2c": "fft",
    "_fft_r2c": "rfft",
    "_fft_c2r": "irfft",
    "_native_batch_norm_legit": "batch_norm",
    "_batch_norm_with_update": "batch_norm",
    "_amp_foreach_non_finite_check_and_unscale": "GradScaler.unscale_",
    "_amp_update_scale": "GradScaler.update",
    "_thnn_fused_gru_cell": "GRUCell",
    "_thnn_fused_lstm_cell": "LSTMCell",
    "addbmm": "matmul",
    "addcdiv": "division",
    "addcmul": "multiplication",
    "addmm": "linear",
    "addmv": "linear",
    "baddbmm": "matmul",
    "bmm": "matmul",
    "convolution": "conv",
    "embedding_dense": "embedding",
    "linalg_vector_norm": "norm",
    "log_sigmoid_forward": "logsigmoid",
    "mkldnn_rnn_layer": "LSTM",
    "mm": "matmul",
    "mv": "matmul",
    "native_batch_norm": "batch_norm",
    "native_dropout": "dropout",
    "native_group_norm": "group_norm",
    "native_layer_norm": "layer_norm",
    "nll_loss2d_forward": "nll_loss",
    "nll_loss_forward": "nll_loss",
    "rsub": "sub",
    "threshold": "relu",
}

_FUSED = {"_fused_adam": "Adam", "_fused_adamw": "AdamW", "_fused_sgd": "SGD", "_fused_adagrad": "Adagrad"}


def bare(name: str) -> str:
    """Return the dispatched name without marks of in-place and multi-tensor variants: ``add`` for ``_foreach_add_``."""
    return name.removeprefix("_foreach_").rstrip("_")


def known_as(name: str) -> str:
    """Return the name of torch's public function for a dispatched operation."""
    plain = bare(name)
    if plain in _FUSED:
        return _FUSED[plain]
    if plain in _KNOWN:
        return _KNOWN[plain]
    for ending in ("_backward", "_forward"):
        inner = plain.removesuffix(ending)
        if inner != plain:
            return f"the gradient of {known_as(inner)}" if ending == "_backward" else known_as(inner)
    return plain.strip("_")
