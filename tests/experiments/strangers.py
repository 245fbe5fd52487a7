"""Check functions of other packages, if these are installed.

``python tests/experiments/strangers.py [PACKAGE ...]`` checks each function of the table like a user, in a separate
process. It prints the properties of the function and every finding in a sentence. It does not judge the harness:
compare each defect with an independent calculation.

``--dtypes float32,float16``, ``--examples N`` and ``--seconds N`` per law shorten it. A check is stopped after
``--bound`` seconds of CPU time, with a message. Users usually have JAX without ``JAX_ENABLE_X64=1``.
"""

import argparse
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

import harness
from harness.calling.importing import attribute
from harness.wording import property_sentences, sentence

JAX, NUMPY = "jax(axis=-1)", "numpy(axis=-1)"
GIVEN = "lambda f, x: f(x)"
"""The function unchanged; its result has no gradient."""
MADE = "lambda make, x: make(x.shape[-1]).to(x.dtype)(x)"
"""A module of the length of the row, in its dtype."""
ROWS = "lambda f, x: f(x, dim=-1)"
ROW_NORM = "lambda f, x: f(x, x.shape[-1:])"
KERAS = "lambda f, x: f(x, axis=-1)"
FLAX = "lambda f, x: (lambda m: torch.from_dlpack(m.apply({}, jnp.from_dlpack(x.detach().contiguous()))))"
LOSS = "lambda make, x, y: make()(x, y)"


class Row(NamedTuple):
    """A function and the options of its check."""

    package: str
    target: str
    contract: str
    call: str | None = None
    declares: str = ""
    title: str = ""


TABLE = [
    Row("torch", "torch:softmax", "softmax", ROWS),
    Row("torch", "torch:log_softmax", "log_softmax", ROWS),
    Row("torch", "torch:logsumexp", "logsumexp", ROWS),
    Row("torch", "torch:sigmoid", "sigmoid"),
    Row("torch", "torch:logaddexp", "logaddexp"),
    Row("torch", "torch:var", "variance", "lambda f, x: f(x, -1)"),
    Row("torch", "torch.nn.functional:logsigmoid", "logsigmoid"),
    Row("torch", "torch.nn.functional:softplus", "softplus"),
    Row("torch", "torch.nn.functional:cross_entropy", "cross_entropy"),
    Row("torch", "torch.nn.functional:binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits"),
    Row("torch", "torch.nn.functional:gaussian_nll_loss", "gaussian_nll"),
    Row("torch", "torch.nn.functional:mse_loss", "squared_error"),
    Row("torch", "torch.nn.functional:layer_norm", "layer_norm", ROW_NORM),
    Row("torch", "torch.nn.functional:rms_norm", "rms_norm", ROW_NORM),
    Row("torch", "torch.nn.functional:rms_norm", "rms_norm", "lambda f, x: f(x, x.shape[-1:], eps=0.0)", title="eps=0"),
    Row("torch", "torch.nn.functional:linear", "linear"),
    Row("torch", "torch.nn.functional:kl_div", "kl_divergence", "lambda f, q, p: f(q, p, reduction='none').sum(-1)"),
    Row("torch", "torch.optim:SGD", "sgd_with_momentum"),
    Row("torch", "torch:vmap", "softmax", "lambda f, x: f(lambda row: row.softmax(-1))(x)"),
    Row("torch", "torch.jit:trace", "softmax", "lambda f, x: f(lambda rows: rows.softmax(-1), (x,))(x)"),
    Row("torch", "torch:autocast", "softmax", "lambda f, x: f('cpu', torch.bfloat16)(torch.softmax)(x, -1)"),
    Row("torch", "torch.special:entr", "entropy", "lambda f, x: f(x.softmax(-1)).sum(-1)"),
    Row("scipy", "scipy.special:softmax", "softmax", NUMPY),
    Row("scipy", "scipy.special:log_softmax", "log_softmax", NUMPY),
    Row("scipy", "scipy.special:logsumexp", "logsumexp", NUMPY),
    Row("scipy", "scipy.special:expit", "sigmoid", "numpy"),
    Row("scipy", "scipy.special:log_expit", "logsigmoid", "numpy"),
    Row("scipy", "scipy.special:rel_entr", "kl_divergence_of_probabilities",
        "lambda f, p, q: f(p.numpy(), q.numpy()).sum(-1)"),
    Row("numpy", "numpy:logaddexp", "logaddexp", "numpy"),
    Row("numpy", "numpy:var", "variance", NUMPY),
    Row("numpy", "numpy:square", "squared_error", "lambda f, a, b: f((a - b).numpy()).mean()"),
    Row("jax", "jax.nn:softmax", "softmax", JAX),
    Row("jax", "jax.nn:log_softmax", "log_softmax", JAX),
    Row("jax", "jax.nn:logsumexp", "logsumexp", JAX),
    Row("jax", "jax.nn:sigmoid", "sigmoid", "jax"),
    Row("jax", "jax.nn:gelu", "gelu_tanh", "jax"),
    Row("jax", "jax.nn:gelu", "gelu", "jax(approximate=False)", title="exact"),
    Row("jax", "jax.nn:log_sigmoid", "logsigmoid", "jax"),
    Row("jax", "jax.nn:softplus", "softplus", "jax"),
    Row("jax", "jax.numpy:logaddexp", "logaddexp", "jax"),
    Row("jax", "jax.numpy:var", "variance", JAX),
    Row("jax", "jax.nn:standardize", "layer_norm", JAX),
    Row("optax", "optax:softmax_cross_entropy_with_integer_labels", "cross_entropy", "jax"),
    Row("optax", "optax:softmax_cross_entropy", "cross_entropy",
        "lambda f, x, y: (lambda z: f(z, jax.nn.one_hot(jnp.from_dlpack(y.contiguous()), z.shape[-1], dtype=z.dtype)))"
        "(jnp.from_dlpack(x.detach().contiguous()))"),
    Row("optax", "optax:sigmoid_binary_cross_entropy", "binary_cross_entropy_with_logits", "jax"),
    Row("optax", "optax:l2_loss", "squared_error", "jax"),
    Row("optax", "optax:squared_error", "squared_error", "jax"),
    Row("optax", "optax.losses:kl_divergence", "kl_divergence", "jax"),
    Row("flax", "flax.linen:LayerNorm", "layer_norm",
        FLAX + "(f(use_scale=False, use_bias=False, dtype=jnp.from_dlpack(x.detach().contiguous()).dtype))"),
    Row("flax", "flax.linen:RMSNorm", "rms_norm", FLAX + "(f(use_scale=False))"),
    Row("keras", "keras.ops:softmax", "softmax", KERAS),
    Row("keras", "keras.ops:log_softmax", "log_softmax", KERAS),
    Row("keras", "keras.ops:logsumexp", "logsumexp", KERAS),
    Row("keras", "keras.ops:sigmoid", "sigmoid"),
    Row("keras", "keras.ops:log_sigmoid", "logsigmoid"),
    Row("keras", "keras.ops:softplus", "softplus"),
    Row("keras", "keras.ops:logaddexp", "logaddexp"),
    Row("keras", "keras.ops:var", "variance", KERAS),
    Row("keras", "keras.ops:rms_normalization", "rms_norm"),
    Row("keras", "keras.ops:layer_normalization", "layer_norm"),
    Row("keras", "keras.losses:mean_squared_error", "squared_error", "lambda f, p, t: f(t, p)"),
    Row("keras", "keras.losses:sparse_categorical_crossentropy", "cross_entropy",
        "lambda f, x, y: f(y, x, from_logits=True)"),
    Row("keras", "keras.losses:binary_crossentropy", "binary_cross_entropy_with_logits",
        "lambda f, x, y: f(y, x, from_logits=True)"),
    Row("keras", "keras.losses:kl_divergence", "kl_divergence_of_probabilities"),
    Row("autograd", "autograd.scipy.special:logsumexp", "logsumexp", NUMPY),
    Row("autograd", "autograd.numpy:logaddexp", "logaddexp", "numpy"),
    Row("onnxruntime", "exported:softmax", "softmax", GIVEN),
    Row("onnxruntime", "exported:log_softmax", "log_softmax", GIVEN),
    Row("onnxruntime", "exported:layer_norm", "layer_norm", GIVEN),
    Row("sklearn", "sklearn.utils.extmath:softmax", "softmax", "numpy"),
    Row("sklearn", "sklearn.metrics:mean_squared_error", "squared_error", "lambda f, a, b: f(b.numpy(), a.numpy())"),
    Row("sklearn", "sklearn.preprocessing:scale", "layer_norm", "numpy(axis=1)"),
    Row("sklearn", "sklearn.metrics:accuracy_score", "accuracy", "lambda f, x, y: f(y.numpy(), x.argmax(-1).numpy())"),
    Row("fvcore", "fvcore.nn:sigmoid_focal_loss", "binary_cross_entropy_with_logits",
        "lambda f, x, y: f(x, y, alpha=-1, gamma=0, reduction='mean')", title="gamma=0"),
    Row("transformers", "transformers.models.t5.modeling_t5:T5LayerNorm", "rms_norm", MADE),
    Row("transformers", "transformers.models.llama.modeling_llama:LlamaRMSNorm", "rms_norm", MADE),
    Row("transformers", "transformers.models.gemma.modeling_gemma:GemmaRMSNorm", "rms_norm", MADE),
    Row("transformers", "transformers.models.olmo.modeling_olmo:OlmoLayerNorm", "layer_norm", MADE),
    Row("transformers", "transformers.loss.loss_utils:fixed_cross_entropy", "cross_entropy"),
    Row("timm", "timm.layers:LayerNorm", "layer_norm", MADE),
    Row("timm", "timm.layers:RmsNorm", "rms_norm", MADE),
    Row("timm", "timm.layers:RmsNormFp32", "rms_norm", MADE),
    Row("timm", "timm.loss:LabelSmoothingCrossEntropy", "cross_entropy", "lambda make, x, y: make(0.0)(x, y)"),
    Row("timm", "timm.loss:SoftTargetCrossEntropy", "cross_entropy",
        "lambda make, x, y: make()(x, F.one_hot(y, x.shape[-1]).to(x.dtype))"),
    Row("timm", "timm.loss:BinaryCrossEntropy", "binary_cross_entropy_with_logits",
        "lambda make, x, y: make(smoothing=0.0)(x, y)"),
    Row("timm", "timm.optim:SGDW", "sgd_with_momentum"),
    Row("torch_geometric", "torch_geometric.utils:softmax", "softmax",
        "lambda f, x: f(x.T.contiguous(), torch.zeros(x.shape[1], dtype=torch.long)).T.contiguous()"),
    Row("torch_geometric", "torch_geometric.nn:LayerNorm", "layer_norm",
        "lambda make, x: make(x.shape[-1], affine=False, mode='node')(x)"),
    Row("torch_geometric", "torch_geometric.nn.aggr:VarAggregation", "variance",
        "lambda make, x: make()(x.T.contiguous(), torch.zeros(x.shape[1], dtype=torch.long))[0]"),
    Row("segmentation_models_pytorch", "segmentation_models_pytorch.losses:SoftCrossEntropyLoss", "cross_entropy",
        "lambda make, x, y: make(smooth_factor=0.0)(x, y)"),
    Row("segmentation_models_pytorch", "segmentation_models_pytorch.losses:SoftBCEWithLogitsLoss",
        "binary_cross_entropy_with_logits", LOSS),
    Row("torchmetrics", "torchmetrics.functional:kl_divergence", "kl_divergence_of_probabilities",
        "lambda f, p, q: f(p, q, reduction='none')"),
    Row("torchmetrics", "torchmetrics.functional:kl_divergence", "kl_divergence",
        "lambda f, q, p: f(p.log(), q, log_prob=True, reduction='none')", title="log_prob"),
    Row("torchmetrics", "torchmetrics.functional:mean_squared_error", "squared_error"),
    Row("torchmetrics", "torchmetrics.functional:accuracy", "accuracy",
        "lambda f, x, y: f(x, y, task='multiclass', num_classes=max(2, x.shape[-1]), average='micro')"),
    Row("torch_optimizer", "torch_optimizer:SGDW", "sgd_with_momentum"),
    Row("x_transformers", "x_transformers.x_transformers:RMSNorm", "rms_norm", MADE),
    Row("x_transformers", "x_transformers.x_transformers:SimpleRMSNorm", "rms_norm", MADE),
    Row("x_transformers", "x_transformers.x_transformers:LayerNorm", "layer_norm", MADE),
    Row("einx", "einx:softmax", "softmax", "lambda f, x: f('a [b]', x)"),
    Row("einx", "einx:log_softmax", "log_softmax", "lambda f, x: f('a [b]', x)"),
    Row("einx", "einx:logsumexp", "logsumexp", "lambda f, x: f('a [b]', x)"),
    Row("einx", "einx:var", "variance", "lambda f, x: f('a [b]', x)"),
    Row("einx", "einx:logaddexp", "logaddexp", "lambda f, a, b: f('a, a', a, b)"),
    Row("botorch", "botorch.utils.safe_math:logplusexp", "logaddexp"),
    Row("botorch", "botorch.utils.safe_math:logsumexp", "logsumexp", ROWS),
    Row("botorch", "botorch.utils.safe_math:sigmoid", "sigmoid"),
    Row("botorch", "botorch.utils.safe_math:sigmoid", "logsigmoid", "lambda f, x: f(x, log=True)", title="log"),
    Row("torchvision", "torchvision.ops:sigmoid_focal_loss", "binary_cross_entropy_with_logits",
        "lambda f, x, y: f(x, y, alpha=-1, gamma=0, reduction='mean')", title="gamma=0"),
    Row("monai", "monai.losses:FocalLoss", "binary_cross_entropy_with_logits",
        "lambda make, x, y: make(gamma=0.0)(x[:, None], y[:, None])", title="gamma=0"),
    Row("monai", "monai.losses:FocalLoss", "cross_entropy",
        "lambda make, x, y: make(gamma=0.0, use_softmax=True, to_onehot_y=True, reduction='none')"
        "(x[..., None], y[:, None, None]).sum(1).mean()", title="gamma=0, use_softmax"),
    Row("allennlp_light", "allennlp_light.nn.util:masked_softmax", "masked_softmax"),
    Row("allennlp_light", "allennlp_light.nn.util:masked_softmax", "masked_softmax",
        "lambda f, x, keep: f(x, keep, memory_efficient=True)", title="memory_efficient"),
    Row("allennlp_light", "allennlp_light.nn.util:masked_log_softmax", "log_softmax",
        "lambda f, x: f(x, torch.ones_like(x, dtype=torch.bool))"),
    Row("allennlp_light", "allennlp_light.nn.util:logsumexp", "logsumexp"),
    Row("diffusers", "diffusers.models.normalization:RMSNorm", "rms_norm",
        "lambda make, x: make(x.shape[-1], eps=1e-6).to(x.dtype)(x)"),
    Row("diffusers", "diffusers.models.normalization:MochiRMSNorm", "rms_norm",
        "lambda make, x: make(x.shape[-1], eps=1e-6, elementwise_affine=False)(x)"),
    Row("diffusers", "diffusers.models.normalization:FP32LayerNorm", "layer_norm",
        "lambda make, x: make(x.shape[-1], elementwise_affine=False)(x)"),
    Row("tinygrad", "tinygrad:Tensor", "softmax", "lambda f, x: f(x.numpy()).softmax().numpy()"),
    Row("tinygrad", "tinygrad:Tensor", "log_softmax", "lambda f, x: f(x.numpy()).log_softmax().numpy()"),
    Row("tinygrad", "tinygrad:Tensor", "sigmoid", "lambda f, x: f(x.numpy()).sigmoid().numpy()"),
    Row("pytorch_optimizer", "pytorch_optimizer:SGDW", "sgd_with_momentum"),
    Row("pytorch_optimizer", "pytorch_optimizer:BCELoss", "binary_cross_entropy_with_logits",
        "lambda make, x, y: make(label_smooth=0.0, eps=0.0)(x.sigmoid(), y)", title="of a sigmoid"),
    Row("equinox", "equinox.nn:LayerNorm", "layer_norm",
        "lambda make, x: torch.from_dlpack(jax.vmap(make(x.shape[-1]))(jnp.from_dlpack(x.contiguous())))"),
]  # fmt: skip
"""The functions, by package."""


def _checked(row: Row, options: dict[str, Any]) -> None:
    """Check a function, and print the results."""
    began = time.process_time()
    declares = dict(pair.split("=") for pair in row.declares.split())
    module, _, name = row.target.partition(":")
    function = attribute(module, name)
    verdicts = harness.check(function, row.contract, call=row.call, declares=declares, corpora=(), **options)
    title = f"{row.target}{' ' + row.title if row.title else ''} as {row.contract}"
    ran = sum(verdict.status != "skipped" for verdict in verdicts)
    print(f"{title}: {ran} of {len(verdicts)} laws, {time.process_time() - began:.1f} CPU-s", flush=True)
    for said in property_sentences(verdicts.properties):
        print(f"  property     {said}")
    for finding in verdicts.findings:
        laws, dtypes = ", ".join(finding.laws), ", ".join(finding.dtypes)
        print(f"  {finding.status:<12} {sentence(finding)}\n{'':15}{laws} [{dtypes}]", flush=True)
        if finding.violation is not None:
            print(f"{'':15}{finding.first.where}: {finding.violation.replay[:200]}", flush=True)


def _apart(at: int, rest: list[str], bound: int) -> None:
    """Check a row of the table in a separate process with a limit of CPU seconds."""
    environment = {"KERAS_BACKEND": "torch", **os.environ}
    done = subprocess.run(
        [sys.executable, __file__, "--row", str(at), *rest],
        env=environment,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (bound, bound + 5)),
    )
    if done.returncode:
        said = f"not finished in {bound} CPU-s" if done.returncode == -signal.SIGXCPU else f"ended by {done.returncode}"
        print(f"{TABLE[at].target} {TABLE[at].title} as {TABLE[at].contract}: {said}", flush=True)


def main() -> int:
    """Check the named packages, by default all that are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(dict.fromkeys(row.package for row in TABLE)))
    parser.add_argument("--dtypes", default="")
    parser.add_argument("--examples", type=int)
    parser.add_argument("--seconds", type=float, help="after which no law draws further examples")
    parser.add_argument("--bound", type=int, default=240, help="of the seconds of a processor that a row may take")
    parser.add_argument("--row", type=int, help="of the table, checked in this process")
    asked = parser.parse_args()
    options = {"dtypes": [name for name in asked.dtypes.split(",") if name]}
    options |= {"examples": asked.examples, "seconds": asked.seconds}
    if asked.row is not None:
        _checked(TABLE[asked.row], options)
        return 0
    rest = [f"--dtypes={asked.dtypes}"]
    rest += [f"--{name}={getattr(asked, name)}" for name in ("examples", "seconds") if getattr(asked, name)]
    for package in asked.packages:
        if importlib.util.find_spec(package) is None:
            print(f"{package}: not installed", flush=True)
            continue
        for at in (at for at, row in enumerate(TABLE) if row.package == package):
            _apart(at, rest, asked.bound)
    return 0


if __name__ == "__main__":
    sys.exit(main())
