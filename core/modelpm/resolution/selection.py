"""Select the files of a model from a listing: paths and globs, quantizations with all shards, no pickle with a twin.

Pure: a listing goes in, files or an error that says what there is come out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from modelpm.api.types import RemoteFile
from modelpm.errors import Code, NotFound, UsageError
from modelpm.text.human import binary_size
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import shortened

PICKLES = (".pt", ".pth", ".ckpt", ".pkl")  # `.bin` is the ending of many formats
_SAFE = {"safetensors": (".safetensors",), "gguf": (".gguf",), "onnx": (".onnx",)}
# Q4_K_M, IQ4_XS, Q8_0, F16, BF16, MXFP4, UD-Q4_K_XL, TQ1_0, Q4_0_4_8, Q4_K_M_L …
_QUANT = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP\d+|NVFP\d+|BF16|F16|FP16|F32|FP32))(?=$|[-._/])",
    re.IGNORECASE,
)
_FEW = 8  # names in a hint: what fits two lines
_LONG = 200  # characters of each
_SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected files.

    Attributes:
        files: The files of the model, in the listing's order.
        left_out: Pickle-bearing files that a safe twin makes needless.
    """

    files: tuple[RemoteFile, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One GGUF quantization a repository offers.

    Attributes:
        name: Upper case, e.g. ``Q4_K_M``.
        files: Its files, all shards.
    """

    name: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int | None:
        """Bytes of all shards, or None where one is unknown."""
        sizes = [f.size for f in self.files]
        return None if None in sizes else sum(s for s in sizes if s is not None)


def select(
    files: Sequence[RemoteFile],
    *,
    what: str,
    file: str = "",
    quantization: str = "",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Selection:
    """Choose the files of a model.

    Args:
        files: The whole listing.
        what: The reference as the user wrote it, for messages.
        file: A path or glob; empty means all.
        quantization: A GGUF quantization; empty means no choice.
        include: Globs of which one must match.
        exclude: Globs of which none may match.

    Raises:
        NotFound: Nothing matches; the hints say what there is.
        UsageError: There are several quantizations and none was chosen; lists them with sizes.
    """
    if not files:
        raise NotFound(f"{what} has no files")
    taken = _named(files, file, what) if file else list(files)
    taken = [f for f in taken if _wanted(f.path, include, exclude)]
    if not taken:
        raise NotFound(f"no file of {what} matches", hints=[_some([f.path for f in files])])
    if quantization:
        return Selection(_quantized(taken, quantization, what))
    if not file and not include and not exclude:
        _refuse_open_choice(taken, what)
        _whole(taken, what)
    return _without_twins(taken)


def choices(files: Iterable[RemoteFile]) -> tuple[Choice, ...]:
    """Return the GGUF quantizations in a listing, smallest first."""
    found: dict[str, list[RemoteFile]] = {}
    for file in files:
        name = quantization_of(file.path) if file.path.lower().endswith(".gguf") else ""
        if name and not is_projector(file.path):
            found.setdefault(name, []).append(file)
    made = [Choice(name, tuple(sorted(group, key=lambda f: f.path))) for name, group in found.items()]
    return tuple(sorted(made, key=lambda c: (c.size or 0, c.name)))


def quantization_of(path: str) -> str:
    """Return the quantization a GGUF's name carries, upper case, or an empty text."""
    stem = path.rsplit("/", 1)[-1].removesuffix(".gguf").removesuffix(".GGUF")
    if shard := _SHARD.match(stem):
        stem = shard[1]
    names = _QUANT.findall(stem)
    if not names and "/" in path:  # split files in a folder named for the quantization
        names = _QUANT.findall(path.rsplit("/", 2)[-2])
    return str(names[-1]).upper() if names else ""


def is_projector(path: str) -> bool:
    """Whether a GGUF is the vision or audio part that accompanies a model."""
    return "mmproj" in path.rsplit("/", 1)[-1].lower()


def first_shard(paths: Sequence[str]) -> str | None:
    """Return the first shard, if the paths are the shards of one split GGUF (a projector beside them aside)."""
    weights = [p for p in paths if p.endswith(".gguf") and not is_projector(p)]
    shards = [m for p in weights if (m := _SHARD.match(p.removesuffix(".gguf")))]
    one = len({(m[1], m[3]) for m in shards}) == 1 and len(shards) == len(weights) == int(shards[0][3])
    return min(weights) if one and all(p.endswith(".gguf") for p in paths) else None


def format_of(paths: Iterable[str]) -> str:
    """Return the weights' format by the files' endings: gguf, safetensors, onnx, pickle, or an empty text."""
    endings = {p.rsplit(".", 1)[-1].lower() for p in paths if "." in p}
    for name in ("gguf", "safetensors", "onnx"):
        if name in endings:
            return name
    return "pickle" if any(f".{e}" in PICKLES for e in endings) else ""


def _named(files: Sequence[RemoteFile], name: str, what: str) -> list[RemoteFile]:
    exact = [f for f in files if f.path == name]
    if exact:
        return exact
    pattern = name + "*" if name.endswith("/") else name
    matching = [f for f in files if fnmatchcase(f.path, pattern) or f.path.startswith(name.rstrip("/") + "/")]
    if not matching:
        paths = [f.path for f in files]
        hints = suggest(name, paths, most=3) or [_some(paths)]
        raise NotFound(f"{what}: it has no file `{shortened(name)}`", hints=hints)
    return matching


def _wanted(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    def matches(pattern: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(path.rsplit("/", 1)[-1], pattern)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))


def _quantized(files: Sequence[RemoteFile], quantization: str, what: str) -> tuple[RemoteFile, ...]:
    offered = choices(files)
    wanted = quantization.upper()
    chosen = next((c for c in offered if c.name == wanted), None)
    if chosen is None:
        if not offered:
            raise NotFound(f"{what}: the repository has no GGUF files with a quantization in their name")
        raise NotFound(f"{what}: it has no quantization `{shortened(quantization)}`", hints=[_table(offered)])
    _one_model(chosen, what)
    _whole(chosen.files, what)
    return chosen.files


def _one_model(choice: Choice, what: str) -> None:
    """Refuse a quantization that several models of the repository carry.

    Raises:
        UsageError: Names their first files.
    """
    found = _by_stem(choice.files)
    if len(found) > 1:
        firsts = [min(paths) for paths in found.values()]
        raise UsageError(
            f"{what} holds {len(found)} models in {choice.name}; choose one by its file: {few(firsts)}",
            code=Code.CHOOSE_FILE,
            hints=[f"e.g. {what}/{shortened(firsts[0], _LONG)}"],
        )


def _whole(files: Sequence[RemoteFile], what: str) -> None:
    """Refuse a split GGUF of which a shard is missing.

    Raises:
        NotFound: Code ``shard_missing``.
    """
    for stem, paths in _by_stem(files).items():
        count = max(paths.values())
        if len(paths) != count:
            missing = count - len(paths)
            raise NotFound(
                f"{what}: `{shortened(stem)}` is split into {count} files, and {missing} of them are not there",
                code=Code.SHARD_MISSING,
                hints=[f"there are: {few(sorted(paths))}; tell the publisher, or choose something else"],
            )


def _by_stem(files: Iterable[RemoteFile]) -> dict[str, dict[str, int]]:
    """Return the GGUFs by their name without shard number, each with how many shards there should be."""
    found: dict[str, dict[str, int]] = {}
    for file in files:
        if file.path.lower().endswith(".gguf"):
            shard = _SHARD.match(file.path[: -len(".gguf")])
            stem, count = (shard[1], int(shard[3])) if shard else (file.path, 1)
            found.setdefault(stem, {})[file.path] = count
    return found


def _refuse_open_choice(files: Sequence[RemoteFile], what: str) -> None:
    offered = choices(files)
    if len(offered) > 1:
        smallest = offered[0].name
        raise UsageError(
            f"{what} holds {len(offered)} quantizations; choose one",
            code=Code.CHOOSE_QUANTIZATION,
            hints=[_table(offered), f"e.g. {what}:{smallest}; all of them: --include '*'"],
        )


def _table(offered: Sequence[Choice]) -> str:
    width = max(len(c.name) for c in offered)
    rows = [f"  {c.name:<{width}}  {binary_size(c.size):>9}" + _shards(c) for c in offered]
    return "there are:\n" + "\n".join(rows)


def _shards(choice: Choice) -> str:
    return f"  {len(choice.files)} files" if len(choice.files) > 1 else ""


def _without_twins(files: Sequence[RemoteFile]) -> Selection:
    """Leave out what is a pickle by its name, where a safe format is there; whether it is one, its bytes tell."""
    pickles = [f.path for f in files if f.path.lower().endswith((".bin", *PICKLES))]
    has_twin = any(f.path.lower().endswith(ends) for f in files for ends in _SAFE.values())
    if not has_twin:
        return Selection(tuple(files))
    return Selection(tuple(f for f in files if f.path not in pickles), tuple(pickles))


def few(paths: Sequence[str]) -> str:
    """Return the first names of several, for a message."""
    shown = ", ".join(f"`{shortened(p, _LONG)}`" for p in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004 - as cut above


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(shortened(p, _LONG) for p in paths[:_FEW])
    return "there are: " + shown + (f", … ({len(paths)} files)" if len(paths) > _FEW else "")
