"""Rename: another name in the lock, the view and the records of other folders; no byte moves."""

from modelpm.api.events import Bus
from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots
from modelpm.events.acts import acting
from modelpm.lockfile.model import LockedModel
from modelpm.results.report import Change
from modelpm.text.untrusted import check_model_name


def rename(environment: Environment, bus: Bus, model: LockedModel, new: str, *, user: str | None) -> Change:
    """Give an installed model another name.

    Args:
        environment: Its environment.
        bus: Gets the act.
        model: The model.
        new: Its new name.
        user: The user whom the audit log names.

    Raises:
        UsageError: The new name is malformed or taken.
    """
    check_model_name(new)
    if new == model.name:
        return Change.of("reuse", model, path=environment.path(model))
    details = {"name": model.name, "new": new}
    with acting(bus, "rename", resource_type="model", resource_id=model.model, user=user, details=details):
        environment.stay_registered()  # the registry notes what the lock holds before the lock changes
        renamed = environment.rename(model, new)
        for shelf in Roots(environment).shelves_of(model.name):
            shelf.rename(model.name, new)
    return Change.of("rename", renamed, path=environment.path(renamed), before=model.name)
