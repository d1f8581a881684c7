"""From what was asked for to a model whose every file is known."""

from typing import Any

import pytest

from modelpm.api.types import CatalogText, Digest, Reference, RemoteFile, Snapshot
from modelpm.catalog import parse_entry
from modelpm.errors import IntegrityError, NotFound, UsageError
from modelpm.lockfile.requirement import Requirement
from modelpm.resolution import listed as listed_module
from modelpm.resolution.listed import from_listing
from modelpm.resolution.naming import names_of_reference, names_of_variant
from modelpm.resolution.plan import make_plan
from modelpm.resolution.refusals import no_such_file
from modelpm.resolution.resolve import ResolvedModel, complete, from_catalog

SHA, OTHER, GIT = "a" * 64, "b" * 64, "c" * 40
COMMIT = "0" * 40
TOML = f"""
schema = 1
id = "m"
title = "M"
description = "A model."
license = "mit"
[[release]]
version = "1.0"
default-variant = "q4"
[[release.variant]]
name = "q4"
format = "gguf"
upstream = "hf://o/r@{COMMIT}"
[[release.variant.file]]
path = "m.gguf"
size = 3
sha256 = "{SHA}"
[[release.variant]]
name = "q8"
format = "gguf"
upstream = "hf://o/r"
[[release.variant.file]]
path = "m8.gguf"
sha256 = "{SHA}"
"""


def of_catalog(variant: int = 0) -> ResolvedModel:
    entry = parse_entry("core", CatalogText("m.toml", TOML))
    release = entry.releases[0]
    its = release.variants[variant]
    return from_catalog(
        entry, release, its, name=names_of_variant(entry, release, its)[0], requirement=Requirement("core/m")
    )


def snapshot(*files: RemoteFile) -> Snapshot:
    return Snapshot(Reference("hf", "o/r", COMMIT), COMMIT, files, "mit")


def remote(path: str, size: int | None = 3, digest: Digest | None = None) -> RemoteFile:
    return RemoteFile(path, size, digest, ("http://x/" + path,))


def test_a_complete_catalog_entry_needs_nobody() -> None:
    model = of_catalog()
    assert model.name == "m"
    assert all(f.is_pinned for f in model.files)
    locked = model.lock({})
    assert locked.files[0].sources == (f"hf://o/r@{COMMIT}/m.gguf",)
    assert (locked.catalog, locked.id, locked.release, locked.variant) == ("core", "m", "1.0", "q4")


def test_what_a_catalog_leaves_open_is_learned_from_the_listing_and_pinned() -> None:
    listing = snapshot(remote("m8.gguf", 8, Digest("sha256", SHA)), remote("other"))
    model = complete(of_catalog(1), listing, is_fixed=False)
    assert model.name == "m-q8"
    assert model.upstream == f"hf://o/r@{COMMIT}"
    assert model.lock({}).files[0].size == 8
    assert model.files[0].sources == (f"hf://o/r@{COMMIT}/m8.gguf",)


@pytest.mark.parametrize(
    ("file", "what"),
    [(remote("m8.gguf", 8, Digest("sha256", OTHER)), "digest"), (remote("m.gguf", 4), "size")],
)
def test_a_listing_that_contradicts_the_catalog_is_an_integrity_error(file: RemoteFile, what: str) -> None:
    with pytest.raises(IntegrityError, match=f"has the {what} ") as caught:
        complete(of_catalog(1 if "8" in file.path else 0), snapshot(file), is_fixed=True)
    assert caught.value.code == "entry_contradicted"
    assert caught.value.details["expected"] != caught.value.details["actual"]


def test_a_file_of_the_same_name_in_another_folder_is_named() -> None:
    files = [remote("m-Q4_K_M.gguf"), remote("other.gguf")]
    error = no_such_file(files, "resolve/main/m-Q4_K_M.gguf", "hf://o/r")
    assert error.hints == ("did you mean `m-Q4_K_M.gguf`?",)


def test_a_listing_without_the_file_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"has no file `m8\.gguf`"):
        complete(of_catalog(1), snapshot(remote("gone")), is_fixed=True)


def listed(*files: RemoteFile, variant: str = "", **options: Any) -> ResolvedModel:
    reference = Reference("hf", "o/r", "main", quantization=variant)
    return from_listing(reference, snapshot(*files), name="r", requirement=Requirement("hf://o/r@main", **options))


def test_a_listing_becomes_a_model_pinned_to_its_revision() -> None:
    model = listed(remote("m.safetensors", 3, Digest("sha256", SHA)), remote("c.json", 2, Digest("git-sha1", GIT)))
    assert model.upstream == f"hf://o/r@{COMMIT}"
    assert model.format == "safetensors"
    assert model.license == "mit"
    locked = model.lock({"c.json": (OTHER, 2)})
    assert {f.path: f.sha256 for f in locked.files} == {"m.safetensors": SHA, "c.json": OTHER}


def test_a_git_digest_is_never_an_identity() -> None:
    model = listed(remote("c.json", 2, Digest("git-sha1", GIT)), remote("m.safetensors"))
    with pytest.raises(AssertionError, match="neither pinned nor fetched"):
        model.lock({})


ODD = ["../x", "a\\b", "/x", "aux.py", "a|b.png", "12:30.log", "GOOD.json", "a\u200bb", "x" * 40_000, "good.json/x"]


@pytest.mark.parametrize("path", ODD)
def test_an_odd_name_forbids_only_what_takes_it(path: str) -> None:
    files = remote("model.safetensors"), remote("good.json"), remote(path)
    only = {"include": ("good.json",)}, {"include": ("*",), "exclude": (path.replace("|", "[|]"), "model.*")}
    for options in only:
        assert [f.path for f in listed(*files, **options).files] == ["good.json"]
    with pytest.raises(IntegrityError) as caught:
        listed(*files, variant="all")
    assert caught.value.code == "hostile_name"
    assert "--exclude" in caught.value.hints[0]
    assert len(caught.value.message) < 3000


@pytest.mark.parametrize("path", ["a|b.png", "wandb/12:30.log", "aux.py", "samples/what?.jpg", "license"])
def test_an_odd_name_beside_a_model_forbids_nothing(path: str) -> None:
    model = listed(remote("model.safetensors"), remote("LICENSE"), remote(path))
    assert [f.path for f in model.files] == ["model.safetensors", "LICENSE"]


def test_what_no_lock_can_hold_is_refused_before_it_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_module, "MAX_LOCK_BYTES", 1 << 20)
    many = [remote(f"f/{number}.json") for number in range(5_000)]
    with pytest.raises(UsageError, match="5,000 files to take, more than a lock holds"):
        listed(*many, variant="all")
    assert len(listed(*many, include=("f/1?.json",)).files) == 10


def test_what_is_taken_has_roles_and_an_entry_point() -> None:
    weights, projector = (remote(f"{name}.gguf", 3, Digest("sha256", SHA)) for name in ("m-Q4_K_M", "mmproj-F16"))
    locked = listed(weights, projector).lock({})
    assert {file.path: file.role for file in locked.files} == {
        "m-Q4_K_M.gguf": "weights",
        "mmproj-F16.gguf": "projector",
    }
    assert (locked.entry_point, locked.variant) == ("m-Q4_K_M.gguf", "q4_k_m")


@pytest.mark.parametrize("path", ["settings.json", "m.onnx"])
def test_the_reference_of_one_file_takes_that_file_whatever_it_is(path: str) -> None:
    reference = Reference("https", f"host/{path}#sha256={SHA}")
    file = RemoteFile(path, 3, None, (), Reference("https", f"host/{path}"))
    model = from_listing(
        reference, Snapshot(reference, SHA, (file,)), name="r", requirement=Requirement(str(reference))
    )
    assert [f.path for f in model.files] == [path]
    assert model.entry_point == path


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (Reference("hf", "Owner/Qwen3-8B-GGUF"), "qwen3-8b-gguf"),
        (Reference("hf", "o/Qwen3-8B-GGUF", quantization="Q4_K_M"), "qwen3-8b-gguf-q4_k_m"),
        (Reference("https", "host/a/Model.V1.gguf#sha256=" + SHA), "model.v1"),
        (Reference("https", "host/a/model.gguf?download=true"), "model"),
        (Reference("folder", "/srv/models/tiny/"), "tiny"),
        (Reference("hf", "o/model-1.5b"), "model-1.5b"),
    ],
)
def test_default_names(reference: Reference, name: str) -> None:
    assert names_of_reference(reference)[0] == name


def test_longer_default_names_tell_more() -> None:
    names = names_of_reference(Reference("hf", "Comfy-Org/Flux", file="vae/ae.safetensors"))
    assert names[:3] == ("flux", "flux-ae", "comfy-org-flux-ae")
    assert names[3].startswith("comfy-org-flux-ae-")
    assert names_of_reference(Reference("hf", "o/r", quantization="all"))[0] == "r"
    long = "L3-" + "Grand-Horror-" * 5 + "GGUF"
    first, second = (names_of_reference(Reference("hf", f"o/{long}", quantization=q))[0] for q in ("Q4_K_M", "Q8_0"))
    assert first != second
    assert first.endswith("-gguf-q4_k_m")
    assert len(first) <= 64


def test_a_plan_fetches_what_is_missing_and_each_blob_once() -> None:
    model = listed(
        remote("a", 5, Digest("sha256", SHA)),
        remote("b", 5, Digest("sha256", SHA)),
        remote("c", 7, Digest("git-sha1", GIT)),
        remote("d", None),
        variant="all",
    )
    plan = make_plan([model], present=set())
    assert [s.fetch for s in plan.steps] == [True, False, True, True]
    assert plan.download == 12
    assert plan.unknown == 1
    assert make_plan([model], present={SHA}).download == 7
