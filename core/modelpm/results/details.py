"""The details of one model and its variants, as ``show`` returns them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelpm.results.installed import InstalledModel


@dataclass(frozen=True, slots=True)
class FileDetails:
    """One file of a variant; size and sha256 are None until the install learns them."""

    path: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ComponentDetails:
    """Files of a variant that only work together, their role, and the file that a program opens."""

    role: str
    files: tuple[str, ...]
    entry_point: str


@dataclass(frozen=True, slots=True)
class Fits:
    """Whether a variant fits this machine; None if unknown.

    Attributes:
        ram: Into the memory that a process may use.
        vram: Into the memory of the GPUs.
        disk: On the disk of the store.
    """

    ram: bool | None = None
    vram: bool | None = None
    disk: bool | None = None


@dataclass(frozen=True, slots=True)
class VariantDetails:
    """One variant of a model.

    Attributes:
        name: Variant or quantization.
        release: Version it belongs to.
        format: gguf, safetensors, onnx, …
        quantization: As the publisher calls it.
        bytes: Size of all files, None if one is unknown.
        min_memory: The least bytes of memory that it needs, None if unknown.
        recommended: Whether it is the release's default.
        source: The reference that it comes from.
        files: Every file.
        components: The files that only work together, with their roles.
        installed: Whether it is installed.
        architecture: As the header names it, empty if unknown.
        parameters: Numbers of all tensors together, None if unknown.
        context_length: Tokens, None if unknown.
        memory_bytes: Bytes of memory it needs, None if unknown.
        memory_context: Tokens of that estimate; None for a model without a cache.
        fits: Whether it fits this machine.
    """

    name: str
    release: str
    format: str
    quantization: str
    bytes: int | None
    min_memory: int | None
    recommended: bool
    source: str
    files: tuple[FileDetails, ...]
    components: tuple[ComponentDetails, ...] = ()
    installed: bool = False
    architecture: str = ""
    parameters: int | None = None
    context_length: int | None = None
    memory_bytes: int | None = None
    memory_context: int | None = None
    fits: Fits = Fits()


@dataclass(frozen=True, slots=True)
class Details:
    """One model, as ``show`` shows it."""

    name: str
    model: str
    catalog: str
    title: str
    description: str
    license: str
    homepage: str
    tasks: tuple[str, ...]
    tags: tuple[str, ...]
    release: str
    source: str
    variants: tuple[VariantDetails, ...]
    installed: InstalledModel | None
    notes: tuple[str, ...] = ()
    runtime: Mapping[str, Any] = field(default_factory=dict)
