"""The numeric functions of every library, and the reasons to omit the others."""

from importlib import import_module

from harness.calling.known import TABLES

MODULES = tuple(TABLES)
"""Modules in the order of the page."""

COMPLETE = ("torch.nn.functional", "torch.special")
"""Modules of which every public function is in the table of adapters, or has a reason here."""

NO_CLOSED_FORM = "no formula: the formula language has no Bessel, gamma, zeta or inverse error function"
_IN_PLACE = "changes its argument; the function without the underscore is checked"
_RANDOM = "draws random numbers"
_MOVES = "moves numbers and computes nothing"
_INDICES = "returns a pair with indices; the function without `with_indices` is checked"
_LONGER = "another name of a function that is checked"

_FUNCTIONAL: dict[str, str] = {
    _IN_PLACE: "celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ scaled_addmm_ selu_ threshold_",
    _RANDOM: "alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout gumbel_softmax "
    "fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d "
    "fractional_max_pool3d_with_indices",
    _MOVES: "channel_shuffle native_channel_shuffle fold unfold pad pixel_shuffle pixel_unshuffle max_unpool1d "
    "max_unpool2d max_unpool3d upsample_nearest",
    _INDICES: "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
    "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices",
    "a helper of torch's own code": "assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function "
    "has_torch_function_unary has_torch_function_variadic",
    "a convolution as `conv1d`, with more axes": "conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d "
    "conv_transpose3d",
    "its weights depend on the shape: check one output with the formulas `linear_upsampling`, `cubic_upsampling` and "
    "`bilinear`": "interpolate upsample upsample_bilinear grid_sample affine_grid",
    "needs an accelerator": "grouped_mm scaled_addmm scaled_mm scaled_grouped_mm",
    "a linear map and `cross_entropy` in one": "linear_cross_entropy",
    "linear maps around `scaled_dot_product_attention`": "multi_head_attention_forward",
}
_SPECIAL: dict[str, str] = {_LONGER: "psi", _MOVES: "round"}

UNASKED: dict[str, dict[str, str]] = {
    "torch.nn.functional": {name: why for why, names in _FUNCTIONAL.items() for name in names.split()},
    "torch.special": {name: why for why, names in _SPECIAL.items() for name in names.split()},
}
"""Functions without a law, by module, each with the reason."""


def public(module: str) -> list[str]:
    """Return the public functions of a module that is installed."""
    loaded = import_module(module)
    names = [name for name in dir(loaded) if name[0].islower()]
    return [name for name in names if callable(getattr(loaded, name)) and not isinstance(getattr(loaded, name), type)]


def targets(module: str) -> list[str]:
    """Return the targets of a module: its table of adapters, and in a complete module also the remaining functions."""
    names = list(TABLES[module])
    if module in COMPLETE:
        names += [name for name in public(module) if name not in {*names, *UNASKED[module]}]
    return [f"{module}:{name}" for name in names]
