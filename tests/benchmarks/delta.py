"""What a new version of a file costs where the old version is here; prints a Markdown table.

``python -m tests.benchmarks.delta [MIB]``. Works in memory (``/dev/shm``), of which it takes about four times the size.
The server is 50 ms away and sends 100 MB a second. ``plain`` is the same file where no older version is.
"""

import hashlib
import json
import logging
import random
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from tests.benchmarks.far import Line, far_away
from tests.benchmarks.peers import at_home, environment, ours, sending_to
from tests.benchmarks.transfer import measure
from tests.support.hub import Hub, HubFile, Repo, running_hub

_MIB = 1 << 20
_ROW = 4096
_BLOCKS = 32
_TOKENS = 128_000
_TEMPLATE = "x" * 4000
DELAY, RATE = 0.05, 100e6

Piece: TypeAlias = tuple[str, int]  # what it is made of, and its bytes
Tensor: TypeAlias = Sequence[Piece]
Tensors: TypeAlias = Mapping[str, Tensor]


def model(size: int, name: str = "old", tokens: int = _TOKENS) -> dict[str, Tensor]:
    """Return the tensors of a model of about so many bytes: an embedding of a tenth, and blocks of seven and a norm."""
    rows = size // 10 // _ROW
    grown = rows * (tokens - _TOKENS) // _TOKENS
    tensors: dict[str, Tensor] = {"token_embd.weight": [(f"{name}-embd", rows * _ROW), ("grown", grown * _ROW)]}
    each = size * 9 // 10 // _BLOCKS // 7 // _ROW * _ROW
    for i in range(_BLOCKS):
        tensors[f"blk.{i}.attn_norm.weight"] = [(f"{name}-{i}-norm", 16_384)]
        for part in ("q", "k", "v", "out", "gate", "up", "down"):
            tensors[f"blk.{i}.{part}.weight"] = [(f"{name}-{i}-{part}", each)]
    return tensors


def bytes_of(tensor: Tensor) -> int:
    """Return the size of a tensor."""
    return sum(count for _, count in tensor)


def one_row(tensors: Tensors) -> dict[str, Tensor]:
    """Return a model of which one row of one tensor is another."""
    name, ((what, count),) = "blk.17.up.weight", tensors["blk.17.up.weight"]
    middle = count // 2 // _ROW * _ROW
    return {**tensors, name: [(what, middle), ("row", _ROW), (f"{what}+{middle + _ROW}", count - middle - _ROW)]}


def one_tensor(tensors: Tensors) -> dict[str, Tensor]:
    """Return a model of which one tensor is another."""
    return {**tensors, "blk.17.up.weight": [("tensor", bytes_of(tensors["blk.17.up.weight"]))]}


def half(tensors: Tensors) -> dict[str, Tensor]:
    """Return a model of which every second tensor differs in nine tenths of its bytes: some samples are equal."""
    changed = dict(tensors)
    for name in list(tensors)[1::2]:
        ((what, count),) = tensors[name]
        same = count // 10 // _ROW * _ROW
        changed[name] = [(what, same), (f"{what}-other", count - same)]
    return changed


def write(path: Path, tensors: Tensors, header: bytes) -> None:
    """Write a file."""
    with path.open("wb") as file:
        file.write(header)
        for tensor in tensors.values():
            for what, count in tensor:
                for block in _blocks(what, count):
                    file.write(block)


def _blocks(what: str, count: int) -> Iterator[bytes]:
    """Yield bytes that are the same for the same text; ``text+N`` are those of ``text`` from N on."""
    text, _, skipped = what.partition("+")
    made, skip = random.Random(text), int(skipped or 0)  # noqa: S311 - no secret
    left = skip + count
    while left:
        block = made.randbytes(min(left, _MIB))
        left -= len(block)
        yield block[min(skip, len(block)) :]
        skip -= min(skip, len(block))


def gguf(tensors: Tensors, template: str = _TEMPLATE, tokens: int = _TOKENS) -> bytes:
    """Return the header of a GGUF file, with a tokenizer."""
    texts = b"".join(_text(f"token{i:07}") for i in range(tokens))
    metadata = [
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, tokens) + texts,
        _text("tokenizer.chat_template") + struct.pack("<I", 8) + _text(template),
    ]
    table, at = b"", 0
    for name, tensor in tensors.items():
        count = bytes_of(tensor)
        table += _text(name) + struct.pack("<IQQIQ", 2, _ROW, count // _ROW, 24, at)
        at += count
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(metadata) + table
    return head + bytes(-len(head) % 32)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def safetensors(tensors: Tensors) -> bytes:
    """Return the header of a safetensors file."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        count = bytes_of(tensor)
        header[name] = {"dtype": "U8", "shape": [count // _ROW, _ROW], "data_offsets": [at, at + count]}
        at += count
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw


Files: TypeAlias = Mapping[str, tuple[Tensors, bytes]]


def one(tensors: Tensors, **known: object) -> Files:
    """Return a repository of one GGUF file."""
    return {"model-Q8_0.gguf": (tensors, gguf(tensors, **known))}  # type: ignore[arg-type] # as they are named there


def shards(tensors: Tensors, count: int) -> Files:
    """Return a repository of safetensors shards."""
    names = list(tensors)
    cuts = [len(names) * i // count for i in range(count + 1)]
    parts = [{name: tensors[name] for name in names[a:b]} for a, b in pairwise(cuts)]
    return {f"model-{i:05}-of-{count:05}.safetensors": (p, safetensors(p)) for i, p in enumerate(parts, 1)}


@dataclass(frozen=True, slots=True)
class Cost:
    """What an installation cost."""

    sent: int
    requests: int
    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A Hub that sends to a server far away, and a folder to work in."""

    hub: Hub
    line: Line
    folder: Path

    def publish(self, repo: str, files: Files) -> int:
        """Write a repository's files and let the Hub know of them; return their bytes."""
        made = {}
        for path, (tensors, header) in files.items():
            draft = self.line.root / "draft"
            write(draft, tensors, header)
            with draft.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            target = self.line.root / "xet-bridge-us" / sha256
            draft.rename(target)
            made[path] = HubFile(target, target.stat().st_size, sha256, "0" * 40, large=True)
        commit = hashlib.sha1(repo.encode(), usedforsecurity=False).hexdigest()
        self.hub.repos[repo] = Repo(repo, commit, made, "mit", gated=False, private=False, branches=("main",), tags=())
        return sum(file.size for file in made.values())

    def forget(self, repo: str) -> None:
        """Take a repository's files away."""
        for file in self.hub.repos.pop(repo).files.values():
            Path(str(file.content)).unlink(missing_ok=True)

    def run(self, home: str, *command: str) -> Cost:
        """Run our command in a home."""
        environ = environment(self.hub) | at_home(self.folder / home)
        (program, *_) = ours("")(self.folder)
        sent, requests = self.line.sent, self.line.requests
        run = measure([program, *command], environ)
        return Cost(self.line.sent - sent, self.line.requests - requests, run.wall, run.cpu)


def compared(bench: Bench, repo: str, files: Callable[[], Files]) -> str:
    """Return the rest of a table's row: a version where the old one is here, beside the same where none is."""
    size = bench.publish(repo, files())
    plain = bench.run("empty", "install", f"hf://{repo}:all", "--as", "new")
    shutil.rmtree(bench.folder / "empty")
    cost = bench.run("home", "install", f"hf://{repo}:all", "--as", "new")
    bench.run("home", "uninstall", "new", "-y")
    bench.forget(repo)
    told = (f"{c.sent / size:.2%} | {c.requests} | {c.wall:.1f} | {c.cpu:.1f}" for c in (cost, plain))
    return f"{' | '.join(told)} | {cost.wall / plain.wall:.2f} |"


def cases(size: int) -> Iterator[tuple[str, Callable[[], Files], Callable[[], Files]]]:
    """Yield, for each row, what it is called, the old version and the new one."""
    old = model(size)
    grown = _TOKENS * 21 // 20
    first = partial(one, old)
    yield "another chat template", first, partial(one, old, template="y" * 9001)
    yield "a vocabulary that grew by 5 %", first, partial(one, model(size, tokens=grown), tokens=grown)
    yield "one tensor of 257", first, partial(one, one_tensor(old))
    yield "one row of one tensor", first, partial(one, one_row(old))
    yield "half of the tensors differ in 90 % of their bytes", first, partial(one, half(old))
    yield "nothing in common", first, partial(one, model(size, "new"))
    yield "safetensors, 3 shards cut into 5", partial(shards, old, 3), partial(shards, old, 5)


def main() -> None:
    """Measure all cases and print the table."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 2048) * _MIB
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    sys.stdout.write(
        f"| {size // _MIB} MiB at 100 MB/s, 50 ms away | sent | requests | wall s | CPU s | plain: sent | requests"
        " | wall s | CPU s | wall / plain |\n|---|---|---|---|---|---|---|---|---|---|\n"
    )
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        running_hub() as hub,
        far_away(Path(folder) / "www", DELAY, RATE) as line,
        sending_to(hub, line.url),
    ):
        (line.root / "xet-bridge-us").mkdir(parents=True)
        bench, there = Bench(hub, line, Path(folder)), None
        for number, (name, old, new) in enumerate(cases(size)):
            if there != (there := str(old.func)):  # type: ignore[attr-defined] # a partial
                shutil.rmtree(bench.folder / "home", ignore_errors=True)
                bench.publish("acme/old", old())
                bench.run("home", "install", "hf://acme/old:all", "--as", "old")
                bench.forget("acme/old")
            row = compared(bench, f"acme/new{number}", new)
            sys.stdout.write(f"| {name} | {row}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
