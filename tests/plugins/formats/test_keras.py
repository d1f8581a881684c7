import io
import json
import zipfile
from typing import Any

import pytest

from modelpm.api.cursor import Memory
from modelpm.api.inspection import Danger
from modelpm_formats import keras, pickles


def layer(name: str, module: Any = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"class_name": name, "module": module, "config": config, "registered_name": None}


def function(name: str, module: str = "builtins") -> dict[str, Any]:
    return {"class_name": "function", "module": module, "config": name, "registered_name": "function"}


CODE = [
    layer("Lambda"),
    layer("Lambda", "keras.src.layers.core.lambda_layer"),
    layer("TFOpLambda", None),
    layer("lambda"),
    {"class_name": "__lambda__", "config": {"value": "x"}},
    layer("system", "os"),
    layer("exec", "builtins"),
    function("exec"),
    function("get_file", "keras.utils"),
    function("utils.get_file", "keras"),
    layer("get_file", "keras.utils"),
    layer("utils.get_file", "keras"),
    layer("x", "keras.utils.io_utils"),
    layer("Layer", "kerasx.layers"),
    layer("write_file", "tensorflow.io"),
    layer("Dense", 7),
    layer("TFSMLayer"),
    layer("TorchModuleWrapper"),
    {"class_name": ["Lambda"]},
    {"class_name": "__typespec__", "module": "tensorflow", "spec_name": "TensorSpec"},
]
DATA = [
    layer("Dense", activation=function("relu")),
    layer("Dense", "keras.src.layers.core.dense", kernel_initializer=layer("GlorotUniform", "keras.initializers")),
    layer("Functional", "keras.src.models.functional"),
    layer("Adam", "keras.optimizers", learning_rate=layer("ExponentialDecay", "keras.optimizers.schedules")),
    layer("GemmaBackbone", "keras_hub.src.models.gemma.gemma_backbone"),
    layer("Custom", None),
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}},
    {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
]


@pytest.mark.parametrize("part", CODE, ids=str)
def test_what_keras_would_run_is_code_however_deep_it_stands(part: Any) -> None:
    assert keras.code_in(json.dumps(part).encode())
    deep = {"class_name": "Functional", "module": "keras", "config": {"layers": [[{"x": part}]]}}
    assert keras.code_in(json.dumps(deep).replace("Lambda", "L\\u0061mbda").encode("utf-16"))


@pytest.mark.parametrize("part", DATA, ids=str)
def test_what_keras_itself_writes_is_not_code(part: Any) -> None:
    assert keras.code_in(json.dumps(part).encode()) is None


@pytest.mark.parametrize("others", [(), ("metadata.json", "model.weights.h5"), ("model.weights.npz",)])
def test_a_keras_file_is_judged_by_its_configuration_alone(others: tuple[str, ...]) -> None:
    for part, danger in ((layer("Lambda"), Danger.CODE), (layer("Dense"), Danger.NONE)):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", json.dumps(part))
            for name in others:
                archive.writestr(name, b"{}")
        assert pickles.inspect(Memory(stream.getvalue())).danger is danger
