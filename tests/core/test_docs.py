"""The documents are true: generated pages are what the code says, links lead somewhere."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from modelpm.api import CatalogText
from modelpm.catalog.lint import audit
from modelpm.catalog.parse import parse_about
from modelpm.cli.terminal.output import Outcome, document
from modelpm.cli.verbs import ALIASES, VERBS
from modelpm.lockfile.file import parse_lock
from modelpm.store.blobs import records
from modelpm.store.partials.journal import decode
from modelpm_jsonl import chain
from tests.docs import man, recording
from tests.docs.generated import COMMAND, DOCS, PAGES

ROOT = DOCS.parent
DOCUMENTS = sorted([*DOCS.glob("**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), f"docs/{name} is stale: run `{COMMAND}`"


def test_the_manual_pages_are_what_the_commands_say() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in man.FOLDER.iterdir()}
    assert written == man.pages(), f"docs/man is stale: run `{COMMAND}`"


def test_the_manual_pages_are_without_faults() -> None:
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    command = ["groff", "-man", "-Tutf8", "-ww", *sorted(map(str, man.FOLDER.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "modelpm install core/qwen3-8b@1.0:q5_k_m --as chat" in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def words_of(picture: str) -> str:
    root = ET.fromstring(picture)  # noqa: S314 - our own
    return "".join(root.itertext()).replace("\xa0", " ")


def test_the_picture_of_the_readme_is_a_recorded_run() -> None:
    picture = recording.PICTURE.read_text(encoding="utf-8")
    assert "docs/terminal.svg" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "$ modelpm install tiny" in words_of(picture)
    assert not re.search(r"url\(.?http|href|src:", picture), "it asks nothing of the network"


@pytest.mark.marathon
def test_the_picture_can_be_recorded_again() -> None:
    text = words_of(recording.record())
    assert re.search(r"Total 2/5 files +━+─+ +[5-7]\d%", text)
    assert "/home/ada/" in text


def slugs(text: str) -> Iterator[str]:
    """Yield the anchors of a page, as GitHub and MkDocs make them of headings."""
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#([^)\s]*))?\)", path.read_text(encoding="utf-8")):
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in set(slugs(page.read_text(encoding="utf-8"))), f"{path.name}: {target}#{anchor}"


def blocks(language: str) -> list[str]:
    """Return the examples of a language in the page of formats."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / "formats.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("text", blocks("json"))
def test_an_example_of_json_is_what_the_code_reads(text: str) -> None:
    found = json.loads(text)
    if "prefixes" in found:
        assert records.parse(text.encode()) == records.Record(**{**found, "prefixes": tuple(found["prefixes"])})
    elif "prev" in found:
        assert chain.read(text.encode()) == found
    elif "schema" in found:
        assert list(found) == list(document(Outcome(), "path", 0.0))


def test_the_example_of_a_lock_is_what_the_code_reads() -> None:
    (text,) = (block for block in blocks("toml") if "[[model]]" in block)
    assert parse_lock(text, "the example").models[0].name == "chat"


def test_the_example_of_a_catalog_is_what_the_code_reads() -> None:
    (about,) = (block for block in blocks("toml") if "[aliases]" in block)
    (entry,) = (block for block in blocks("toml") if "[[release]]" in block)
    assert set(parse_about(CatalogText("catalog.toml", about)).aliases) == {"chat", "chat:8b"}
    findings = audit(CatalogText("acme-chat-8b.toml", entry), id="acme-chat-8b")
    assert {finding.code for finding in findings} == {"no_digest", "no_size", "no_revision"}


def test_the_example_of_a_journal_is_what_the_code_reads() -> None:
    (line,) = (block for block in blocks("text") if '"boot"' in block)
    (dump,) = (block for block in blocks("text") if "MPMJ" in block)
    record = bytes.fromhex("".join(re.findall(r"^(?:[0-9a-f]{4} ?){2,8}", dump, re.MULTILINE)).replace(" ", ""))
    boot = json.loads(line.rpartition(" ")[0])["boot"]
    contents = decode(line.encode() + record, boot)
    assert contents is not None
    assert list(contents.extents) == [(0, 1245183)]


def test_every_command_of_the_pages_that_are_written_exists() -> None:
    for path in DOCUMENTS:
        for verb in re.findall(r"`modelpm ([a-z]+)[ `]", path.read_text(encoding="utf-8")):
            assert verb in {*VERBS, *ALIASES}, f"{path.name}: modelpm {verb}"
