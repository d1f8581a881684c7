"""A plugin with a typing mistake in its hook's name."""

from modelpm.api import Source, hookimpl


@hookimpl
def modelpm_sorce(name: str) -> Source | None:
    return None
