"""Where the tensors of a file are, as the official libraries say."""

from pathlib import Path
from typing import Any

import gguf as official
import numpy as np
import pytest
from safetensors.numpy import save

from modelpm.api.toolkit import MalformedError, Memory
from modelpm_formats import gguf, safetensors
from tests.support.ggufs import language_model


def test_the_tensors_of_gguf_are_where_the_official_reader_finds_them(tmp_path: Path) -> None:
    data = language_model(tmp_path, tokens=50)
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    found = {each.name: each for each in gguf.tensors(Memory(data))}
    reader = official.GGUFReader(path)
    for tensor in reader.tensors:
        placed = found.pop(tensor.name)
        assert (placed.start, placed.stop) == (tensor.data_offset, tensor.data_offset + tensor.n_bytes)
        assert placed.kind == "F32 (64,)"
    assert not found


def test_the_tensors_of_safetensors_hold_their_bytes() -> None:
    wanted: dict[str, np.ndarray[Any, Any]] = {
        "a": np.arange(12, dtype=np.int32).reshape(3, 4),
        "b": np.ones(5, dtype=np.float16),
    }
    data = save(wanted)
    found = safetensors.tensors(Memory(data))
    found_bytes = {each.name: data[each.start : each.stop] for each in found}
    assert found_bytes == {"a": wanted["a"].tobytes(), "b": wanted["b"].tobytes()}
    assert {each.name: each.kind for each in found} == {"a": "I32 (4,)", "b": "F16 ()"}


@pytest.mark.parametrize("data", [b"GGUF", b"GGUF\3\0\0\0" + b"\xff" * 40])
def test_a_header_that_is_cut_or_lies_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        gguf.tensors(Memory(data))
