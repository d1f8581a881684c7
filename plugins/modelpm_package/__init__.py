"""The source ``pkg://``: files inside an installed Python package, ``pkg://package/folder-or-file``.

The package is found, never imported: its code does not run.
"""

from importlib.util import find_spec
from pathlib import Path

from modelpm.api import Context, LocalSource, NotFound, Reference, Source, UsageError, hookimpl, printable


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``pkg``."""
    return PackageSource(context) if name == "pkg" else None


class PackageSource(LocalSource):
    """Files that a package ships beside its code."""

    def parse(self, rest: str) -> Reference:
        """Read ``package/folder-or-file``.

        Raises:
            UsageError: It is not the name of a package, or leaves the package.
        """
        package, _, inside = rest.rstrip("/").partition("/")
        if not package.isidentifier():
            raise UsageError(
                f"`pkg://{printable(rest)}` does not begin with the import name of a package",
                hints=["write `pkg://package/folder-or-file`, e.g. `pkg://modelpm_catalogs/tiny`"],
            )
        if inside and ("\\" in inside or "\0" in inside or any(part in {"", ".", ".."} for part in inside.split("/"))):
            raise UsageError(f"`pkg://{printable(rest)}` is not a path inside a package")
        return Reference("pkg", rest.rstrip("/"))

    def target(self, reference: Reference) -> Path:
        """As :meth:`modelpm.api.LocalSource.target`."""
        package, _, inside = self.parse(reference.path).path.partition("/")
        for root in _folders(package):
            target = (root / inside).resolve()
            if target.exists() and target.is_relative_to(root.resolve()):
                return target
        raise NotFound(f"the package `{package}` has no `{printable(inside)}`")


def _folders(package: str) -> list[Path]:
    """Return the folders of a package; asks for the top-level name only, since a dotted one imports its parent."""
    try:
        spec = find_spec(package)
    except ValueError:  # what is running, e.g. __main__, has no spec
        spec = None
    if spec is None:
        raise NotFound(
            f"the Python package `{package}` is not installed",
            hints=["install the distribution that ships it into the environment of modelpm"],
        )
    if not spec.submodule_search_locations:
        raise NotFound(f"`{package}` is a single module and ships no files")
    return [Path(location) for location in spec.submodule_search_locations]
