"""The page of layouts: the rules as they stand in the code, and their answers for real repositories."""

import json
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts import Chosen, Incomplete, NoWeights, Question, Role, choose, layout_of
from modelpm.inspection.layouts.quantization import RECOMMENDED
from modelpm.inspection.layouts.rules import RULES

_DATA = Path(__file__).parents[1] / "core" / "data" / "layouts.json"


def rows_of_rules() -> Iterator[tuple[str, str]]:
    """Yield each rule with what it recognizes, in the order in which they are tried."""
    for rule in RULES:
        first = (getdoc(rule) or "").partition("\n")[0]
        yield f"`{rule.__name__}`", first.removeprefix("Return the layout of ").rstrip(".")


def rows_of_repositories() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield what a bare reference takes of real repositories, by the names of their files."""
    for name, known in json.loads(_DATA.read_text(encoding="utf-8"))["layouts"].items():
        layout = layout_of(RemoteFile(path, 100, None, ()) for path in known["files"])
        decision = choose(layout)
        taken, opened = "", ""
        if isinstance(decision, Chosen):
            taken, opened = (
                f"`{decision.variant}`",
                "the folder" if decision.entry_point == "." else f"`{decision.entry_point}`",
            )
        elif isinstance(decision, Question):
            taken = "a question"
        elif isinstance(decision, Incomplete):
            taken = "refused: not complete"
        elif isinstance(decision, NoWeights):
            taken = "refused: no weights"
        yield name, layout.kind, str(len(layout.variants)), taken, opened


def lines() -> list[str]:
    """Return the text above the tables."""
    roles = ", ".join(f"`{role}`" for role in Role)
    return [
        "# Layouts",
        "",
        "A bare reference (`hf://owner/repo`, a folder) takes one variant of a repository, with what it needs. The",
        "names of the files decide. `:NAME` takes another variant, `:all` takes every file, and a path, a glob or",
        "`--include` takes what it names. `modelpm show SPEC` lists the variants. Where names of GGUF or safetensors",
        "files carry no quantization or precision, modelpm reads 64 KiB of each: files whose headers say that they are",
        "one model become its variants, everything else is a question.",
        "",
        "What comes along: configuration, tokenizer, code that the model needs, the projector (`--no-projector` leaves",
        "it out), the model card and the license. What is left out: other variants, training leftovers, images, draft",
        "models and imatrix files (`:NAME --include GLOB` adds companions). A set is taken whole, or refused with what",
        "is missing.",
        "",
        f"Each file has a role: {roles}. `modelpm path NAME --role projector` prints a file by its role.",
        "",
        "Of GGUF quantizations the first of this list is recommended, and none of 16 or 32 bits beside a quantized",
        "one:",
        f"{', '.join(RECOMMENDED)}.",
        "",
        "## Rules",
        "",
        "The first rule that holds decides.",
        "",
    ]
