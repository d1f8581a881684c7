import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.cursor import Memory
from modelpm_formats import onnx
from tests.support.scaling import LINEAR, exponent

# Written by the official library: a weight of 4 x 8, one of 16 x 2 in model.onnx_data, and a constant in both branches
# of an If node.
OFFICIAL = base64.b64decode(
    "CA4SB3B5dG9yY2g68wIKmAEKAWMSAXkiAklmKkUKC2Vsc2VfYnJhbmNoMjMKLhIBcSIIQ29uc3RhbnQqHwoFdmFsdWUqEwgFEApC"
    "AWNKCgA8ADwAPAA8ADygAQQSAXOgAQUqRQoLdGhlbl9icmFuY2gyMwouEgFxIghDb25zdGFudCofCgV2YWx1ZSoTCAUQCkIBY0oK"
    "ADwAPAA8ADwAPKABBBIBc6ABBRIBZyqMAQgECAgQAUIBd0qAAQAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAA"
    "gD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8A"
    "AIA/AACAPwAAgD8AAIA/KkQIEAgCEAFCAWVqGwoIbG9jYXRpb24SD21vZGVsLm9ubnhfZGF0YWoLCgZvZmZzZXQSATBqDQoGbGVu"
    "Z3RoEgMxMjhwAUICEBw="
)


def number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(key: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return number(key << 3) + number(value)
    return number(key << 3 | 2) + number(len(value)) + value


def model(graph: bytes) -> bytes:
    return field(1, 8) + field(2, b"pytorch") + field(7, graph)


def tensor(*more: bytes, dims: tuple[int, ...] = (2, 3)) -> bytes:
    return field(5, b"".join(field(1, size) for size in dims) + field(2, 1) + field(8, b"w") + b"".join(more))


def external(place: bytes) -> bytes:
    return field(13, field(1, b"location") + field(2, place)) + field(14, 1)


def told(data: bytes) -> str:
    return " ".join(problem.message for problem in onnx.inspect(Memory(data)).problems)


def test_a_model_of_the_official_library_has_its_facts() -> None:
    found = onnx.inspect(Memory(OFFICIAL))
    assert onnx.recognizes(OFFICIAL[:4096])
    assert (found.problems, found.external) == ((), ("model.onnx_data",))
    assert found.facts
    assert found.facts.tensors
    assert (found.facts.parameters, found.facts.quantization) == (4 * 8 + 16 * 2 + 5 + 5, "FLOAT")
    assert (found.facts.tensors.count, found.facts.tensors.nbytes) == (4, 4 * 8 * 4 + 128 + 2 * 5 * 2)


def test_weights_are_passed_over_unread() -> None:
    class Counted(Memory):
        def read(self, offset: int, length: int) -> bytes:
            asked.append(length)
            return Memory.read(self, offset, length)

    asked: list[int] = []
    weights = tensor(field(9, bytes(8 << 20)), dims=(2 << 20,))
    found = onnx.inspect(Counted(model(weights * 3)))
    assert found.facts
    assert found.facts.parameters == 3 * (2 << 20)
    assert sum(asked) < 1 << 20


@pytest.mark.parametrize("place", [b"../secret", b"/etc/passwd", b"a/../../b", b"C:\\x", b"\\\\host\\x", b"", b"a\0b"])
def test_external_data_outside_the_folder_is_a_finding(place: bytes) -> None:
    assert "outside the model's folder" in told(model(tensor(external(place))))
    assert not told(model(tensor(external(b"weights/model.onnx_data"))))


def nested(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))
    return graph


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (field(1, 8) + field(2, b"x"), "holds no graph"),
        (field(1, 8) + number(7 << 3 | 2) + number(1 << 63), "ends beyond its message"),
        (model(number(5 << 3 | 2) + number(100)), "ends beyond its message"),
        (model(b"\xff" * 20), "has no end"),
        (model(b"\x0b"), "wire type 3"),
        (model(nested(60)), "nested too deeply"),
        (model(tensor(dims=(1,) * 50)), "more than 32 dimensions"),
        (model(tensor(field(1, b"\xff")))[:-1], "ends beyond"),
        (model(tensor())[:-3], "ends beyond"),
    ],
)
def test_a_hostile_model_is_a_finding(data: bytes, message: str) -> None:
    assert message in told(data)


@pytest.mark.no_cover  # it measures time
def test_the_time_is_linear_in_the_nodes() -> None:
    def make(count: int) -> Memory:
        return Memory(model(field(1, field(1, b"x") + field(4, b"Relu")) * count))

    assert exponent(make, onnx.inspect, 16_000) < LINEAR


@given(st.binary(max_size=60), st.integers(0, len(OFFICIAL)), st.integers(0, 255))
def test_no_bytes_break_the_walk(noise: bytes, at: int, value: int) -> None:
    onnx.inspect(Memory(noise))
    onnx.inspect(Memory(model(noise)))
    onnx.inspect(Memory(OFFICIAL[:at] + bytes([value]) + OFFICIAL[at + 1 :]))
    onnx.inspect(Memory(OFFICIAL[:at]))
