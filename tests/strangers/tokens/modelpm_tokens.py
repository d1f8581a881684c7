"""Secrets from a file with a server and its token in each line: ``https://models.example abc``."""

from collections.abc import Sequence
from pathlib import Path

from modelpm.api import Context, Credentials, Secret, Setting, UsageError, hookimpl


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting]:
    return [Setting("file", "~/.tokens", "path of the file")]


@hookimpl
def modelpm_credentials(name: str, context: Context) -> Credentials | None:
    return Tokens(Path(str(context.settings["file"])).expanduser()) if name == "tokens" else None


class Tokens:
    def __init__(self, path: Path) -> None:
        self.path = path

    def secret(self, server: str) -> Secret | None:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}") from None
        found = dict(line.split(maxsplit=1) for line in lines if line.strip())
        return Secret(found[server]) if server in found else None
