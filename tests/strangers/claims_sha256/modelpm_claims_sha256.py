"""A plugin that would call every byte good."""

from modelpm.api import Hasher, hookimpl


@hookimpl
def modelpm_digest(name: str) -> Hasher | None:
    return Agreeable() if name == "sha256" else None


class Agreeable:
    def update(self, data: bytes | memoryview, /) -> None:
        pass

    def hexdigest(self) -> str:
        return "0" * 64
