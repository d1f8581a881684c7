"""The errors of a project's checks: one line for each reason, and the command that fixes it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.environment.environment import Environment
from modelpm.errors import CheckFailedError, Code, ModelpmError, UsageError
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedModel
from modelpm.project.discovery import FILE

if TYPE_CHECKING:  # start-up: an install of one's own has no manifest to read
    from modelpm.project.drift import Reason
    from modelpm.project.files import Site


def no_project(directory: str | Path, *, frozen: bool) -> ModelpmError:
    """Return the error for a folder without a project or, if only a lock was searched, without a lock."""
    where = f"in {Path(directory).absolute()} or above it"
    if frozen:
        return CheckFailedError(
            f"found no models.lock {where}",
            code=Code.LOCK_MISSING,
            hints=["`modelpm lock` writes it; commit it with models.toml"],
        )
    return UsageError(
        f"found no models.toml {where}",
        code=Code.NO_PROJECT,
        hints=["`modelpm init` writes one", "for models of your own, outside of projects: modelpm install SPEC"],
    )


def check_name(name: str | None, specs: Sequence[str], verb: str) -> None:
    """Refuse one name for several models.

    Raises:
        UsageError: A name is given for several specs.
    """
    if name is not None and len(specs) != 1:
        raise UsageError(f"`--as` names one model; {verb} them one at a time", hints=["one SPEC with each --as NAME"])


def no_lock(site: "Site") -> CheckFailedError:
    """Return the error for a check, or a frozen sync, without a lock."""
    return CheckFailedError(
        f"{site.lock} does not exist",
        code=Code.LOCK_MISSING,
        hints=["`modelpm lock` writes it; commit it with models.toml"],
    )


def drifted(site: "Site", reasons: "Sequence[Reason]", why: str) -> CheckFailedError:
    """Return the error for a lock that does not fit its manifest, or breaks a rule: one line per reason."""
    name = site.manifest.name if site.manifest else FILE
    hints = [hint for reason in reasons if (hint := getattr(reason, "hint", ""))]
    return CheckFailedError(
        "\n".join([f"{site.lock.name} does not fit {name}, and {why}", *map(str, reasons)]),
        code=Code.LOCK_DRIFT,
        reasons=[{"name": r.name, "why": r.why} for r in reasons],
        hints=list(dict.fromkeys(hints)) or ["`modelpm lock` brings the lock up to date"],
    )


def kept_current(
    lock: Lock, environment: Environment, groups: Collection[str] = (), *, everything: bool = False
) -> tuple[LockedModel, ...]:
    """Return the models of a sync: the selected ones, and those that the view already shows.

    Without the latter, a model of a group that was selected once would stay in the view at its old version.
    """
    from modelpm.project.drift import selected

    chosen = {m.name for m in selected(lock, groups, everything=everything)}
    shown = environment.view.strays(chosen)
    return tuple(m for m in lock.models if m.name in chosen or m.name in shown)


def stray_warning(environment: Environment, strays: Sequence[str]) -> tuple[str, ...]:
    """Return a warning for models in the view that the lock does not name."""
    if not strays:
        return ()
    names = ", ".join(f"`{n}`" for n in strays)
    return (f"{environment.view.root} still shows {names}, not locked any more: `modelpm sync --exact` takes it out",)


def unsynced(missing: Sequence[LockedModel], strays: Sequence[str]) -> CheckFailedError:
    """Return the error for a project whose view does not show the locked models: one line per reason."""
    reasons = [f"{m.name}: not complete" for m in missing] + [f"{n}: not locked any more" for n in strays]
    return CheckFailedError(
        "\n".join(["the project is not in sync with its lock", *reasons]),
        code=Code.NOT_SYNCED,
        reasons=reasons,
        hints=["`modelpm sync` fetches what is missing"],
    )
