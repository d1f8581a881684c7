"""Which format a file's first bytes are, which format its name claims, and the inspection of the two together."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from modelpm.inspection.findings import Danger, Findings, Kind, Problem
from modelpm.inspection.formats import executables, ggml, gguf, onnx, pickles, safetensors
from modelpm.inspection.source import ByteSource

HEAD: Final = 4096
_INSPECTORS: Final[dict[str, tuple[Callable[[bytes], bool], Callable[[ByteSource], Findings]]]] = {
    module.NAME: (module.recognizes, module.inspect) for module in (gguf, safetensors, executables, ggml, onnx, pickles)
}
_OTHERS: Final = {
    "hdf5": (0, b"\x89HDF\r\n\x1a\n"),
    "tflite": (4, b"TFL3"),
    "fasttext": (0, b"\xba\x16\x4f\x2f"),
    "git-lfs-pointer": (0, b"version https://git-lfs.github.com/spec/"),
    "html": (0, b"<!DOCTYPE html"),
}
_PICKLED: Final = frozenset({"pickle", "torch", "torch-legacy", "joblib", "numpy", "npz", "zip", "tar", "compressed"})
_CLAIMS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    ".gguf": (gguf.NAME, frozenset({gguf.NAME})),
    ".safetensors": (safetensors.NAME, frozenset({safetensors.NAME})),
    ".onnx": (onnx.NAME, frozenset({onnx.NAME})),
    ".ggml": (ggml.NAME, frozenset({ggml.NAME})),
    ".llamafile": (executables.NAME, frozenset({executables.NAME})),
    ".tflite": ("tflite", frozenset({"tflite"})),
    ".h5": ("hdf5", frozenset({"hdf5"})),
    ".keras": (pickles.NAME, frozenset({"zip", "hdf5"})),
    ".npz": (pickles.NAME, frozenset({"npz", "zip"})),
    ".npy": (pickles.NAME, frozenset({"numpy", "pickle"})),
    ".nemo": (pickles.NAME, frozenset({"tar", "compressed", "zip"})),
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ptl", ".ckpt", ".mar"), (pickles.NAME, _PICKLED)),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill"), (pickles.NAME, _PICKLED)),
}
_MAYBE_PICKLED: Final = (
    ".bin",
    ".p",
    ".sav",
    ".model",
    ".data",
    ".th",
    ".t7",
    ".jit",
    ".pkl.zst",
    ".pickle.zst",
    ".pkl.lz4",
    ".joblib.lz4",
)
_SCRIPTS: Final = (".py", ".sh", ".bash", ".pl", ".rb", ".js", ".ps1")


def recognize(head: bytes) -> str | None:
    """Return the format of a file by its first 4 KiB.

    Archives and compressed files count as ``pickle``: its inspection tells them apart.
    """
    for name, (offset, magic) in _OTHERS.items():
        if head[offset : offset + len(magic)] == magic:
            return name
    return next((name for name, (recognizes, _) in _INSPECTORS.items() if recognizes(head)), None)


def claimed(name: str) -> frozenset[str]:
    """Return the formats that the ending of a file's name allows; an empty set if it promises none."""
    return _claim(name)[2]


def _claim(name: str) -> tuple[str, str | None, frozenset[str]]:
    lower = name.lower()
    for suffix, (inspector, formats) in _CLAIMS.items():
        if lower.endswith(suffix):
            return suffix, inspector, formats
    return "", pickles.NAME if lower.endswith(_MAYBE_PICKLED) else None, frozenset()


def inspect(source: ByteSource, name: str) -> Findings:
    """Inspect a file by its bytes, and hold them against its name.

    Args:
        source: The file.
        name: Its name in the model; only the ending counts.

    Returns:
        The findings of the format that the bytes are. If they are none, those of the format that the name promises.
    """
    head = source.read(0, HEAD)
    found = recognize(head)
    suffix, likely, allowed = _claim(name)
    if found == executables.NAME and name.lower().endswith(_SCRIPTS):
        return Findings("script")  # a script under its own name is not loaded with the model
    tried = found or likely or ""
    findings = _INSPECTORS[tried][1](source) if tried in _INSPECTORS else Findings(found)
    if found is None and tried != pickles.NAME:
        findings = replace(findings, format=None)
    if likely == pickles.NAME and tried != pickles.NAME and pickles.judge(source):
        also = Problem(Kind.DANGER, f"the bytes are {found}, and a pickle to the program that the name is for")
        findings = replace(findings, danger=Danger.CODE, problems=(*findings.problems, also))
    if allowed and findings.format not in allowed:
        told = f"the bytes are {findings.format}" if findings.format else "modelpm does not recognize the bytes"
        lie = Problem(Kind.LIE, f"the name ends in {suffix}, and {told}")
        findings = replace(findings, problems=(lie, *findings.problems))
    return findings
