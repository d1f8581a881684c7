"""Signatures of models, from the command line: who signed is kept in the lock, and is required where a rule says so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ran
from tests.support.arriving import about
from tests.support.models import holding
from tests.support.registry import running_double
from tests.support.signing import Signer, certified, digests_of, signer

Command = Callable[..., Ran]
ADA, EVE = signer(), signer()
SIGNED = f"model-signing key sha256:{ADA.print}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(holding("tiny.gguf", b"weights" * 100))
    (folder / "README.md").write_text("# Tiny")
    (tmp_path / "ada.pub").write_bytes(ADA.pem)
    (tmp_path / "eve.pub").write_bytes(EVE.pem)
    return folder


def sign(folder: Path, by: Signer = ADA, name: str = "model.sig") -> None:
    digests = {path: digest for path, digest in digests_of(folder).items() if not path.endswith(".sig")}
    (folder / name).write_bytes(by.sign(digests))


def env(folder: Path, key: str = "ada", **more: str) -> dict[str, str]:
    return {"MODELPM_SIGNATURE_KEYS": str(folder.parent / f"{key}.pub"), **more}


def document(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def failed(ran: Ran) -> tuple[int, str]:
    return ran.code, document(ran)["errors"][0]["code"]


REQUIRED = {"MODELPM_REQUIRE_SIGNATURE": "1"}


@about("signatures.keys", "signatures.required")
def test_who_signed_is_kept_in_lock_and_audit_and_told(modelpm: Command, model: Path, home: Path) -> None:
    sign(model)
    where = env(model, **REQUIRED)
    assert modelpm("install", f"file://{model}", "--as", "tiny", env=where).code == 0
    assert f'signatures = [\n    "{SIGNED}",\n]' in (home / "modelpm" / "env" / "models.lock").read_text()
    record = json.loads((home / "modelpm" / "audit" / "audit.jsonl").read_text().splitlines()[-1])
    assert record["details"]["signatures"] == [SIGNED]
    rows = {row["file"]: row for row in document(modelpm("verify", "--signatures", "--json", env=where))["items"]}
    assert {file: row["signed"] for file, row in rows.items()} == {
        "README.md": None, "model.sig": True, "tiny.gguf": None,
    }  # fmt: skip
    assert rows["model.sig"]["signer"] == SIGNED
    assert f"tiny is signed: {SIGNED}" in modelpm("verify", env=where).stderr


def unsigned(folder: Path) -> None:
    del folder


def by_eve(folder: Path) -> None:
    sign(folder, EVE)


def changed(folder: Path) -> None:
    sign(folder)
    (folder / "README.md").write_text("# Other")


def extra(folder: Path) -> None:
    sign(folder)
    (folder / "NOTICE").write_text("new")


def by_both(folder: Path) -> None:
    sign(folder, EVE, "eve.sig")
    sign(folder)


def all_of_it(folder: Path) -> None:
    sign(folder)
    (folder / "README.md").unlink()


CASES: dict[str, tuple[Callable[[Path], None], str, tuple[int, str], tuple[int, str]]] = {
    "unsigned": (unsigned, "", (7, "unsigned"), (0, "")),
    "by another": (by_eve, "", (4, "signature"), (0, "does not count as a signature of tiny")),
    "changed": (changed, "", (4, "signature"), (4, "`README.md` is not what was signed")),
    "extra": (extra, "", (4, "signature"), (4, "`NOTICE` is here, and not signed")),
    "a part": (all_of_it, "", (0, ""), (0, "")),
    "missing": (all_of_it, ":all", (4, "signature"), (4, "`README.md` is signed, and not here")),
    "one of two": (by_both, "", (0, ""), (0, "")),
}


@pytest.mark.parametrize("what", CASES)
def test_what_does_not_count_is_refused_or_told(modelpm: Command, model: Path, what: str) -> None:
    prepare, variant, required, told = CASES[what]
    prepare(model)
    spec = f"file://{model}{variant}"
    ran = modelpm("install", spec, "--as", "tiny", "--json", env=env(model, **REQUIRED))
    assert (failed(ran) if ran.code else (0, "")) == required
    modelpm("uninstall", "tiny")
    ran = modelpm("install", spec, "--as", "tiny", env=env(model))
    assert (ran.code, told[1] in ran.stderr) == (told[0], True), ran.stderr
    if not required[0]:
        rows = document(modelpm("verify", "--subset", "1/1", "--json", env=env(model, **REQUIRED)))["items"]
        assert ([row["signer"] for row in rows if row["signed"]], all(row["ok"] for row in rows)) == ([SIGNED], True)


def test_without_a_key_nothing_is_looked_at_and_the_check_says_so(modelpm: Command, model: Path) -> None:
    by_eve(model)
    assert modelpm("install", f"file://{model}", "--as", "tiny").stderr.count("sign") == 0
    ran = modelpm("verify", "--signatures")
    assert (ran.code, "modelpm config set signatures.keys FILE" in ran.stderr) == (2, True)
    ran = modelpm("verify", "--signatures", "--json", env=env(model))
    assert failed(ran) == (4, "signature")
    ran = modelpm("verify", "--signatures", env=env(model, "absent"))
    assert (ran.code, "absent.pub cannot be read" in ran.stderr) == (2, True)
    modelpm("uninstall", "tiny")
    (model / "model.sig").unlink()
    modelpm("install", f"file://{model}", "--as", "tiny")
    ran = modelpm("verify", "--signatures", env=env(model))
    assert (ran.code, "tiny has no signature" in ran.stderr) == (0, True)
    assert failed(modelpm("verify", "--json", env=env(model, **REQUIRED))) == (4, "signature")


@about("signatures.certificates", "signatures.subjects")
def test_certificates_count_by_authority_and_name(modelpm: Command, model: Path) -> None:
    root = certified("Acme", authority=True)
    (model.parent / "root.pem").write_bytes(root.certificate)
    sign(model, certified("Ada", root, mail="ada@acme.example"))
    where = {"MODELPM_SIGNATURE_CERTIFICATES": str(model.parent / "root.pem"), **REQUIRED}
    ran = modelpm("install", f"file://{model}", env={**where, "MODELPM_SIGNATURE_SUBJECTS": "eve@acme.example"})
    assert (ran.code, "ada@acme.example, and eve@acme.example is wanted" in ran.stderr) == (4, True)
    assert modelpm("install", f"file://{model}", "--as", "tiny", env=where).code == 0
    assert "model-signing certificate ada@acme.example" in modelpm("verify", env=where).stderr


@pytest.fixture
def project(model: Path, modelpm: Command) -> Path:
    """Return a project that requires Ada's signature; its manifest has the model, and no lock."""
    folder = model.parent / "project"
    folder.mkdir()
    shutil.copy(model.parent / "ada.pub", folder)
    rule = 'require-signature = { keys = ["ada.pub"] }'
    text = f'schema = 1\n[settings]\n{rule}\n[models]\ntiny = "file://{model}"\n'
    (folder / "models.toml").write_text(text)
    assert modelpm("-C", str(folder), "lock", "--check").code == 3
    return folder


def test_a_project_locks_who_signed_before_it_fetches(modelpm: Command, model: Path, project: Path) -> None:
    assert failed(modelpm("-C", str(project), "lock", "--json")) == (7, "unsigned")
    sign(model, EVE)
    assert failed(modelpm("-C", str(project), "lock", "--json")) == (4, "signature")
    assert not (project / "models.lock").exists()
    sign(model)
    assert modelpm("-C", str(project), "lock").code == 0
    text = (project / "models.lock").read_text()
    assert SIGNED in text
    assert modelpm("-C", str(project), "lock", "--check").code == 0
    assert modelpm("-C", str(project), "sync").code == 0
    assert (project / "models.lock").read_text() == text
    assert f"tiny is signed: {SIGNED}" in modelpm("-C", str(project), "verify", "tiny").stderr


def test_a_lock_without_a_signature_is_refused_and_locked_again(modelpm: Command, model: Path, project: Path) -> None:
    sign(model)
    modelpm("-C", str(project), "lock")
    text = (project / "models.lock").read_text()
    bare = text.replace(f'signatures = [\n    "{SIGNED}",\n]\n', "")
    assert bare != text
    (project / "models.lock").write_text(bare)
    ran = modelpm("-C", str(project), "lock", "--check")
    assert (ran.code, "the manifest requires a signature" in ran.stderr) == (3, True)
    assert modelpm("-C", str(project), "sync", "--locked").code == 3
    assert failed(modelpm("-C", str(project), "sync", "--json")) == (7, "unsigned")
    assert modelpm("-C", str(project), "lock").code == 0
    assert (project / "models.lock").read_text() == text


@pytest.mark.parametrize("has_store", [True, False])
def test_a_lock_that_only_says_it_is_signed_is_refused_with_its_view(
    modelpm: Command, model: Path, project: Path, tmp_path: Path, *, has_store: bool
) -> None:
    manifest, rule = (project / "models.toml").read_text(), 'require-signature = { keys = ["ada.pub"] }\n'
    sign(model)
    (model / "README.md").write_text("# forged")
    (project / "models.toml").write_text(manifest.replace(rule, ""))
    assert modelpm("-C", str(project), "sync").code == 0
    text = (project / "models.lock").read_text()
    clone = tmp_path / "clone"
    shutil.copytree(project, clone)
    (clone / "models.toml").write_text(manifest)
    forged = text.replace("\ndigest = ", f'\nsignatures = [\n    "{SIGNED}",\n]\ndigest = ', 1)
    (clone / "models.lock").write_text(forged)
    where = {} if has_store else {"MODELPM_HOME": str(tmp_path / "elsewhere")}
    assert failed(modelpm("-C", str(clone), "sync", "--json", env=where)) == (4, "signature")


def test_a_bundle_is_held_against_signatures(modelpm: Command, model: Path, tmp_path: Path) -> None:
    sign(model, EVE)
    modelpm("install", f"file://{model}", "--as", "tiny", env=env(model, "eve"))
    assert modelpm("export", "--bundle", str(tmp_path / "models.tar")).code == 0
    where = env(model, **REQUIRED, MODELPM_HOME=str(tmp_path / "elsewhere"))
    assert failed(modelpm("import", str(tmp_path / "models.tar"), "--json", env=where)) == (4, "signature")
    for home, keys in (("with", env(model, "eve", **REQUIRED)), ("without", {})):
        where = {**keys, "MODELPM_HOME": str(tmp_path / home)}
        assert modelpm("import", str(tmp_path / "models.tar"), env=where).code == 0
        said = (tmp_path / home / "env" / "models.lock").read_text()
        assert (EVE.print in said) is (home == "with"), "a bundle's own word for it is not taken"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{}", "a list of files with public keys"),
        ('{ keys = ["ada.pub"], models = ["other"] }', "not in [models]"),
        ('{ key = "ada.pub" }', "did you mean `settings.require-signature.keys`?"),
        ("true", "require-signature"),
        ('{ keys = ["absent.pub"] }', "absent.pub cannot be read"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(modelpm: Command, project: Path, rule: str, said: str) -> None:
    text = (project / "models.toml").read_text()
    (project / "models.toml").write_text(text.replace('{ keys = ["ada.pub"] }', rule))
    ran = modelpm("-C", str(project), "lock")
    assert (ran.code, said in ran.stderr) == (2, True), ran.stderr


@pytest.mark.parametrize("name", ["tiny", "other"])
def test_a_rule_may_be_for_some_models(modelpm: Command, model: Path, project: Path, name: str) -> None:
    text = (project / "models.toml").read_text()
    text = text.replace('{ keys = ["ada.pub"] }', f'{{ keys = ["ada.pub"], models = ["{name}"] }}')
    (project / "models.toml").write_text(f'{text}other = "file://{model}"\n')
    ran = modelpm("-C", str(project), "lock", "--json")
    assert [(error["name"], error["code"]) for error in document(ran)["errors"]] == [(name, "unsigned")]


def test_a_sync_from_a_registry_keeps_who_signed_or_takes_nothing(
    modelpm: Command, model: Path, home: Path, tmp_path: Path
) -> None:
    sign(model)
    with running_double() as registry:
        target = f"oci://{registry.host}/team/tiny:1"
        assert modelpm("install", f"file://{model}:all", "--as", "tiny", env=env(model)).code == 0
        assert modelpm("push", target, "tiny").code == 0
        other = {"MODELPM_HOME": str(home / "other"), **REQUIRED}
        for name in ("good", "bad"):
            (tmp_path / name).mkdir()
        taken = modelpm("sync", "--from", target, env=env(model, **other), cwd=tmp_path / "good")
        assert taken.code == 0, taken.stderr
        assert SIGNED in (tmp_path / "good" / "models.lock").read_text()
        again = modelpm("sync", "--from", target, "--json", env=env(model, **other), cwd=tmp_path / "good")
        assert (again.code, document(again)["changes"]) == (0, [])
        refused = modelpm("sync", "--from", target, "--json", env=env(model, "eve", **other), cwd=tmp_path / "bad")
        assert failed(refused) == (4, "signature")
        assert not (tmp_path / "bad" / "models.lock").exists()
