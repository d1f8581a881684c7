"""Write a lock for other tools: checksums, addresses, an aria2 list, JSON, CycloneDX. Pure; same lock, same text."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from modelpm import __version__
from modelpm.lockfile.model import LockedModel
from modelpm.resolution.listings import Listings, addresses
from modelpm.text.untrusted import json_safe, printable

FORMATS = ("sha256sums", "urls", "aria2", "json", "cyclonedx")
NEED_ADDRESSES = ("urls", "aria2")


def export(models: Sequence[LockedModel], format_: str, listings: Listings) -> str:
    """Return the text.

    Args:
        models: What is locked.
        format_: One of :data:`FORMATS`.
        listings: Says where a file can be had; asked by the formats of :data:`NEED_ADDRESSES` only.
    """
    return _WRITERS[format_](models, listings)


def _sha256sums(models: Sequence[LockedModel], _listings: Listings) -> str:
    """Write what ``sha256sum -c`` reads, in the folder of the view."""
    return "".join(f"{f.sha256}  {m.name}/{f.path}\n" for m in models for f in m.files)


def _urls(models: Sequence[LockedModel], listings: Listings) -> str:
    return "".join(f"{_address(addresses(listings, m, f)[0])}\n" for m in models for f in m.downloads)


def _aria2(models: Sequence[LockedModel], listings: Listings) -> str:
    """Write what ``aria2c -i`` reads."""
    return "".join(
        "\t".join(map(_address, addresses(listings, m, f)))
        + f"\n  out={m.name}/{f.path}\n  checksum=sha-256={f.sha256}\n"
        for m in models
        for f in m.downloads
    )


def _address(text: str) -> str:
    """Return an address of a lock with what no address has, control or invisible characters, percent-encoded."""
    return "".join(char if char == printable(char) else quote(char, errors="surrogatepass") for char in text)


def _json(models: Sequence[LockedModel], _listings: Listings) -> str:
    return _document({"version": 1, "models": [_row(m) for m in models]})


def _document(content: Mapping[str, Any]) -> str:
    return json_safe(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"


def _row(model: LockedModel) -> dict[str, Any]:
    facts = ("catalog", "id", "release", "variant", "upstream", "format", "license")
    return {
        "name": model.name,
        "spec": model.requirement.as_toml(),
        **({"groups": list(model.groups)} if model.groups else {}),
        **{fact: getattr(model, fact) for fact in facts if getattr(model, fact)},
        "digest": model.digest,
        "size": model.size,
        "files": [
            {"path": f.path, "size": f.size, "sha256": f.sha256, "sources": list(f.sources)} for f in model.files
        ],
    }


def _cyclonedx(models: Sequence[LockedModel], _listings: Listings) -> str:
    """Write a CycloneDX 1.6 document; its serial number follows from what is in it."""
    components = [_component(m) for m in models]
    content = json.dumps(components, sort_keys=True)
    document: Mapping[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, content).urn,
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "modelpm", "version": __version__}]}},
        "components": components,
    }
    return _document(document)


def _component(model: LockedModel) -> dict[str, Any]:
    version = model.release or model.digest
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"{model.name}@{model.digest}",
        "name": model.model if model.catalog else model.name,
        "version": version,
    }
    if model.license:
        component["licenses"] = [{"expression" if " " in model.license else "license": _license(model.license)}]
    if model.upstream:
        component["externalReferences"] = [{"type": "distribution", "url": model.upstream}]
    component["components"] = [
        {
            "type": "file",
            "bom-ref": f"{model.name}@{model.digest}/{f.path}",
            "name": f.path,
            "hashes": [{"alg": "SHA-256", "content": f.sha256}],
            "externalReferences": [{"type": "distribution", "url": s} for s in f.sources],
            "properties": [{"name": "modelpm:size", "value": str(f.size)}],
        }
        for f in model.files
    ]
    return component


def _license(text: str) -> Any:
    return text if " " in text else {"name": text}


_WRITERS: Mapping[str, Callable[[Sequence[LockedModel], Listings], str]] = {
    "sha256sums": _sha256sums,
    "urls": _urls,
    "aria2": _aria2,
    "json": _json,
    "cyclonedx": _cyclonedx,
}
