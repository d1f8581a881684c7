"""The configuration of a Keras model: what in it is code.

Keras makes whatever a configuration names, and gives it what the configuration says. So modules are checked against a
list, and functions against another: ``get_file`` of ``keras.utils`` is a function as well.
"""

import re
from typing import Final

from modelpm.api.toolkit import MalformedError
from modelpm_formats.documents import parsed

_PARTS: Final = (
    "layers models initializers regularizers constraints optimizers losses metrics activations dtype_policies "
    "quantizers random tokenizers samplers"
)
_SAFE: Final = re.compile(
    r"(keras|tf_keras|keras_hub|keras_nlp|keras_cv)(\.src)?(\.(" + "|".join(_PARTS.split()) + r")(\.[a-z0-9_]+)*)?"
)
_RUNS_CODE: Final = frozenset({"TFSMLayer", "TorchModuleWrapper"})  # they load what is beside the model
_LAMBDA: Final = "lambda"
_FUNCTION: Final = "function"
_KNOWN: Final = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
    "sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold binary_crossentropy "
    "binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy categorical_hinge circle "
    "cosine_similarity ctc dice hinge huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error "
    "mean_squared_error mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge tversky "
    "accuracy binary_accuracy categorical_accuracy sparse_categorical_accuracy top_k_categorical_accuracy mse mae "
    "mape msle gelu_approximate "
)
_FUNCTIONS: Final = frozenset(_KNOWN.split())


def code_in(text: bytes) -> str | None:
    """Return what a configuration would run when Keras reads it; ``None`` if that is nothing.

    Args:
        text: The ``config.json`` of a ``.keras`` file, or the attribute of an HDF5 file.
    """
    try:
        left: list[object] = [parsed(text)]
    except MalformedError as error:
        return f"its Keras configuration cannot be read: {error}"
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += value.values()
            if "class_name" in value and (found := _code_of(value)):
                return found
    return None


def _code_of(value: dict[str, object]) -> str | None:
    """Return what is code in the one object that this part of a configuration makes."""
    name, module = str(value["class_name"]), value.get("module")
    if _LAMBDA in name.lower():
        return f"its Keras model has a layer of the kind Lambda ({name[:80]}), which is code"
    if name in _RUNS_CODE:
        return f"its Keras model has a {name}, which runs code from outside of it"
    if name == _FUNCTION:
        what = value.get("config")
        return None if what in _FUNCTIONS else f"its Keras model calls the function {str(what)[:80]!r}"
    # Without a module it is of an older Keras, or a class that Keras has only where the program registered it.
    known = module is None or (_SAFE.fullmatch(str(module)) and name.isidentifier())
    return None if known else f"its Keras model imports {f'{module}.{name}'[:80]!r}"
