"""``modelpm licenses``: what the installed models may be used for."""

from collections import defaultdict
from typing import Any

import click

import modelpm
from modelpm.api import hookimpl, pass_manager


@hookimpl
def modelpm_command(name: str) -> click.Command | None:
    return command if name == "licenses" else None


@click.command("licenses", help="List the licenses of the installed models.")
@pass_manager
def command(manager: modelpm.Manager) -> list[dict[str, Any]]:
    found: dict[str, list[str]] = defaultdict(list)
    for model in manager.installed():
        found[model.license or "not known"].append(model.name)
    for license_, names in sorted(found.items()):
        click.echo(f"{license_}: {', '.join(names)}")
    return [{"license": license_, "models": names} for license_, names in sorted(found.items())]
