"""Where programs of this machine keep their data: XDG, Flatpak, macOS, Windows, and variables of their own. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one user.

    Attributes:
        environ: The environment variables.
        platform: As ``sys.platform``.
    """

    environ: Mapping[str, str]
    platform: str

    def home(self, *parts: str) -> Iterator[Path]:
        """Yield a path below the home folder, if any."""
        home = self.environ.get("USERPROFILE" if self.platform == "win32" else "HOME", "")
        if home:
            yield Path(home, *parts)

    def variable(self, name: str, *parts: str) -> Iterator[Path]:
        """Yield a path below the folder that a variable names, if it names an absolute one."""
        value = self.environ.get(name, "").strip()
        path = self._expanded(value)
        if value and path.is_absolute():
            yield path.joinpath(*parts)

    def config(self, *parts: str, flatpak: str = "") -> Iterator[Path]:
        """Yield where a program keeps its data as desktop programs made with Electron do."""
        yield from self._of_system(("XDG_CONFIG_HOME", ".config"), "config", "APPDATA", parts, flatpak)

    def data(self, *parts: str, flatpak: str = "") -> Iterator[Path]:
        """Yield where a program keeps its data as the XDG rules say."""
        yield from self._of_system(("XDG_DATA_HOME", ".local/share"), "data", "LOCALAPPDATA", parts, flatpak)

    def cache(self, *parts: str) -> Iterator[Path]:
        """Yield where a program keeps its cache."""
        yield from self.variable("XDG_CACHE_HOME", *parts)
        if self.platform == "darwin":
            yield from self.home("Library", "Caches", *parts)
        yield from self.variable("LOCALAPPDATA", *parts)
        yield from self.home(".cache", *parts)

    def _of_system(
        self, xdg: tuple[str, str], inside: str, windows: str, parts: tuple[str, ...], flatpak: str
    ) -> Iterator[Path]:
        if self.platform == "win32":
            yield from self.variable(windows, *parts)
        elif self.platform == "darwin":
            yield from self.home("Library", "Application Support", *parts)
        else:
            yield from self.variable(xdg[0], *parts)
            yield from self.home(xdg[1], *parts)
            if flatpak:
                yield from self.home(".var", "app", flatpak, inside, *parts)

    def _expanded(self, value: str) -> Path:
        if value.startswith("~/"):
            return next(self.home(value[2:]), Path(value))
        return Path(value)
