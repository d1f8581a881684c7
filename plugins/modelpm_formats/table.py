"""The inspectors by name: what each recognizes, and what the endings of names promise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from modelpm.api.inspection import ByteSource, Danger, Facts, Findings, Tensor
from modelpm_formats import executables, ggml, gguf, hdf5, onnx, pickles, safetensors, signatures

_NONE: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})
_ARCHIVES: Final = frozenset({"zip", "tar", "compressed"})
_PICKLED: Final = frozenset({"pickle", "torch", "torch-legacy", "joblib", "numpy", "npz"}) | _ARCHIVES
_SUSPECTS: Final = (
    ".bin", ".p", ".sav", ".model", ".data", ".th", ".t7", ".jit", ".pt", ".pth", ".pt2", ".ptl", ".ckpt", ".mar",
    ".pkl", ".pickle", ".joblib", ".dill", ".npz", ".npy", ".nemo", ".keras", ".pkl.zst", ".pickle.zst", ".pkl.lz4",
    ".joblib.lz4",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Format:
    """An inspector made of the functions of one module; see :class:`modelpm.api.inspection.Inspector`."""

    recognizes: Callable[[bytes], bool]
    inspect: Callable[[ByteSource], Findings]
    formats: frozenset[str]
    claims: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NONE)
    suspects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Glanced(Format):
    """One that knows by the first bytes that a file is dangerous."""

    glance: Callable[[bytes], Danger] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Hidden(Glanced):
    """One that bytes of other formats may hold as well, from their first byte or a later one."""

    may_be: Callable[[bytes], bool] = field(kw_only=True)
    begins_later: Callable[[ByteSource], bool] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Embedded(Format):
    """One that programs find in a file that begins as another one."""

    begins_later: Callable[[ByteSource], bool] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Headed(Format):
    """One that reads facts from few ranges of a remote file, and where its tensors are."""

    read: Callable[[ByteSource], Facts | None] = field(kw_only=True)
    tensors: Callable[[ByteSource], Sequence[Tensor]] = field(kw_only=True)


def _recognized(name: str, recognizes: Callable[[bytes], bool], *endings: str) -> Format:
    """Return an inspector that recognizes a format and looks no further."""
    formats = frozenset({name})
    return Format(recognizes, lambda _: Findings(name), formats, dict.fromkeys(endings, formats))


def _one(name: str, *endings: str) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    formats = frozenset({name})
    return formats, dict.fromkeys(endings, formats)


_PICKLE_CLAIMS: Final = {
    ".keras": frozenset({"zip", "hdf5"}),
    ".npz": frozenset({"npz", "zip"}),
    ".npy": frozenset({"numpy", "pickle"}),
    ".nemo": _ARCHIVES,
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ptl", ".ckpt", ".mar"), _PICKLED),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill"), _PICKLED),
}
FORMATS: Final[Mapping[str, Format]] = {
    "gguf": Headed(gguf.recognizes, gguf.inspect, *_one("gguf", ".gguf"), read=gguf.brief, tensors=gguf.tensors),
    "safetensors": Headed(
        safetensors.recognizes,
        safetensors.inspect,
        *_one("safetensors", ".safetensors"),
        read=safetensors.brief,
        tensors=safetensors.tensors,
    ),
    "executable": Glanced(
        executables.recognizes, executables.inspect, *_one("executable", ".llamafile"), glance=executables.glance
    ),
    "ggml": Format(ggml.recognizes, ggml.inspect, *_one("ggml", ".ggml")),
    "ctranslate2": _recognized("ctranslate2", signatures.is_ctranslate2),
    "openvino": _recognized("openvino", signatures.is_openvino),
    "tflite": _recognized("tflite", signatures.is_tflite, ".tflite"),
    "fasttext": _recognized("fasttext", signatures.is_fasttext, ".ftz"),
    "coreml": _recognized("coreml", signatures.is_coreml, ".mlmodel"),
    "tensorflow": _recognized("tensorflow", signatures.is_tensorflow, "saved_model.pb"),
    "keras": Embedded(hdf5.recognizes, hdf5.inspect, *_one("hdf5", ".h5", ".hdf5"), begins_later=hdf5.begins_later),
    "onnx": Format(onnx.recognizes, onnx.inspect, *_one("onnx", ".onnx")),
    "html": _recognized("html", signatures.is_html),
    "git-lfs": _recognized("git-lfs-pointer", signatures.is_git_lfs_pointer),
    "pickle": Hidden(
        pickles.recognizes,
        pickles.inspect,
        _PICKLED,
        _PICKLE_CLAIMS,
        _SUSPECTS,
        glance=pickles.glance,
        may_be=pickles.may_be,
        begins_later=pickles.begins_later,
    ),
}
