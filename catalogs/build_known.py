"""Build ``known.tsv``, which names files by their digest: what is published, and what the catalog's entries pin.

Run ``python catalogs/build_known.py [TSV…]`` after a change of an entry, or with tables of further published files:
``repository TAB path TAB sha256 [TAB license]`` a line. What the index has of published files stays.
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent / "modelpm_catalogs"
TARGET = HERE / "known.tsv"
HEADER = "# sha256, model, path and license as published, sorted; made by catalogs/build_known.py\n"
Row = tuple[str, str, str, str]


def of_entries(models: Path) -> Iterator[Row]:
    """Yield a row for each file whose digest an entry of the catalog says."""
    for path in models.glob("*.toml"):
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        release = entry["release"][-1]
        default = release.get("default-variant") or release["variant"][0]["name"]
        for variant in release["variant"]:
            model = f"core/{entry['id']}" + ("" if variant["name"] == default else f":{variant['name']}")
            for file in variant.get("file", []):
                if "sha256" in file:
                    yield file["sha256"], model, file["path"], entry.get("license", "")


def of_tables(tables: Iterable[Path]) -> Iterator[Row]:
    """Yield a row for each published file; where tables name two licenses for one, none is believed."""
    licenses: dict[tuple[str, str, str], set[str]] = {}
    for table in tables:
        for line in table.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                repository, path, sha256, *license_ = line.split("\t")
                licenses.setdefault((sha256, f"hf://{repository}", path), set()).update(filter(None, license_))
    for key, named in licenses.items():
        yield *key, (named.pop() if len(named) == 1 else "")


def published(index: Path) -> Iterator[Row]:
    """Yield the rows of an index that are not of the catalog."""
    for line in index.read_text(encoding="utf-8").splitlines() if index.exists() else ():
        if not line.startswith("#"):
            sha256, model, path, license_ = line.split("\t")
            if model.startswith("hf://"):
                yield sha256, model, path, license_


def render(rows: Iterable[Row]) -> str:
    """Return the text of the index."""
    return HEADER + "".join("\t".join(row) + "\n" for row in sorted(set(rows)))


if __name__ == "__main__":
    tables = of_tables(map(Path, sys.argv[1:]))
    text = render([*published(TARGET), *tables, *of_entries(HERE / "models")])
    TARGET.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{text.count(chr(10)) - 1} rows, {len(text.encode())} bytes\n")
