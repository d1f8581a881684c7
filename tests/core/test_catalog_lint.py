import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelpm.api import CatalogText, FolderCatalog, NotFound, Severity
from modelpm.catalog import Catalogs
from modelpm.catalog.lint import audit, audit_catalog, audit_path
from tests.conftest import Ran
from tests.support.catalogs import DictCatalog, file, model, release, text, variant, write_catalog
from tests.support.codes import coded

GOOD = {"description": "A model.", "license": "mit"}


def codes(values: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding.severity.value, finding.code) for finding in audit(text(GOOD | values))}


def of_variant(**changes: Any) -> dict[str, Any]:
    return model(release=[release(variant=[variant(**changes)])])


def test_a_good_model_has_no_findings() -> None:
    assert audit(text(model() | GOOD), id="a") == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (model(licence="mit"), "the key `licence` is unknown; did you mean `license`?"),
        (model(x=1), "the key `x` is unknown; there are: schema, id"),
        (
            model(release=[release(blockd="x")]),
            "the key `release[1].blockd` is unknown; did you mean `release[1].blocked`?",
        ),
        (
            of_variant(upstreem="x"),
            "the key `release[1].variant[1].upstreem` is unknown; did you mean `release[1].variant[1].upstream`?",
        ),
        (
            of_variant(file=[file(sha255="x")]),
            "the key `release[1].variant[1].file[1].sha255` is unknown; did you mean `release[1].variant[1].file[1].",
        ),
        (model(deprecated={"reason": "x", "replaced": "b"}), "the key `deprecated.replaced` is unknown; did you mean"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_suggestion(values: dict[str, Any], expected: str) -> None:
    (finding,) = audit(text(values | GOOD))
    assert (finding.severity, finding.code) == (Severity.REJECT, "unknown_key")
    told = re.sub(r" \(at line \d+\)", "", finding.message)
    assert told.startswith(f"a.toml: {expected}")
    assert told != finding.message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (model(license="Apache License"), ("warn", "no_spdx")),
        (of_variant(upstream="hf://acme/a@main"), ("note", "no_revision")),
        (of_variant(file=[file(sha256=None)]), ("note", "no_digest")),
        (of_variant(upstream="hf://acme/a", file=[file(sha256=None)]), ("warn", "no_digest")),
        (of_variant(file=[file(size=None)]), ("note", "no_size")),
        (of_variant(file=[file(sources=["http://e.x/a"])]), ("warn", "no_tls")),
        (of_variant(format="safetensors", file=[file("m.ckpt")]), ("warn", "format_mismatch")),
        (model("con"), ("reject", "bad_id")),
        (model(schema=2), ("reject", "newer_schema")),
        (of_variant(file=[file("../a")]), ("reject", "hostile_name")),
    ],
)
def test_each_weakness_has_a_code_and_a_weight(values: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in codes(values)


@pytest.mark.parametrize("license_", ["mit", "LicenseRef-acme", "apache-2.0 or mit", "agpl-3.0"])
def test_spdx_expressions_and_licences_of_their_own_are_fine(license_: str) -> None:
    assert codes(model() | {"license": license_}) == set()


def test_what_is_unknown_is_a_note() -> None:
    findings = audit(text(model()))
    assert {(f.severity, f.code) for f in findings} == {
        (Severity.NOTE, "no_description"),
        (Severity.NOTE, "no_license"),
    }


def test_a_file_must_be_named_for_its_model() -> None:
    (finding,) = audit(text(model() | GOOD), id="b")
    assert finding.code == "wrong_id"


def test_a_catalog_is_looked_over_as_a_whole() -> None:
    about = 'schema = 1\ntitel = "T"\n[aliases]\na-b = "a.b"\nlost = "gone"'
    one = DictCatalog(
        [model("a-b") | GOOD, model("a.b", deprecated={"reason": "x", "replacement": "gone"}) | GOOD], about
    )
    found = {finding.code for finding in audit_catalog(one)}
    assert found == {"twin_ids", "unknown_replacement", "unknown_key", "shadowed_alias", "unknown_alias"}


def test_a_catalog_whose_files_cannot_be_read_is_looked_over_all_the_same(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model("a") | GOOD])
    (folder / "models" / "b.toml").write_bytes(b"\xff")
    (folder / "catalog.toml").unlink()
    found = [(finding.severity, finding.code) for finding in audit_catalog(FolderCatalog(folder))]
    assert found == [(Severity.REJECT, "invalid_catalog"), (Severity.NOTE, NotFound.code)]


def test_a_misspelt_table_is_named_though_what_it_leaves_out_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "draft.toml"
    path.write_text(text(model() | {"relase": []}).toml.replace("[[release]]", "[[releese]]"))
    messages = " ".join(finding.message for finding in audit_path(path))
    assert messages.count("did you mean `release`?") == 2
    assert "one or more tables `[[release]]`" in messages


def test_a_folder_or_one_of_its_files_is_looked_over(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model("a", licence="mit") | GOOD], {"titel": "T", "aliases": {"x": "b"}})
    (folder / "models" / "b.toml").write_text(text(model("a") | GOOD).toml)
    per_path = {
        name: [finding.code for finding in audit_path(folder / name)]
        for name in ("", "catalog.toml", "models/a.toml", "models/b.toml")
    }
    assert per_path == {
        "": ["unknown_key", "wrong_id", "unknown_key"],
        "catalog.toml": ["unknown_key"],
        "models/a.toml": ["unknown_key"],
        "models/b.toml": ["wrong_id"],
    }
    with pytest.raises(NotFound, check=coded("unreadable_catalog")):
        list(audit_path(tmp_path / "gone"))


def test_the_command_takes_names_folders_and_files(modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "mine", [model("a", licence="mit") | GOOD])
    for what in ("mine", "./mine", "mine/models/a.toml", str(folder)):
        done = modelpm("catalog", "audit", what)
        assert done.code == 3, what
        assert re.search(r"the key `licence` is unknown \(at line \d+\); did you mean `license`\?", done.stdout), what
    (tmp_path / "a.toml").write_text(text(model("a") | GOOD).toml)
    assert modelpm("catalog", "audit", "a.toml").code == 0
    assert modelpm("catalog", "audit", "gone").code == 5


def test_a_catalog_that_cannot_be_read_keeps_no_other_from_being_looked_over(tmp_path: Path) -> None:
    one = Catalogs([("gone", lambda: FolderCatalog(tmp_path / "gone"))])
    ((severity, code),) = {(finding.severity, finding.code) for finding in one.audit("gone")}
    assert (severity, code) == (Severity.REJECT, "unreadable_catalog")


def test_the_audit_is_reached_by_the_catalogs_name() -> None:
    one = Catalogs([("core", lambda: DictCatalog([model("a")]))])
    assert {finding.code for finding in one.audit("core")} == {"no_description", "no_license"}
    with pytest.raises(NotFound, check=coded("unknown_catalog")):
        one.audit("cor")


def test_broken_toml_is_one_finding() -> None:
    (finding,) = audit(CatalogText("a.toml", "id = "))
    assert (finding.severity, finding.code) == (Severity.REJECT, "invalid_catalog")
