"""Why: who holds a model, a file or a digest. Reads locks; asks nobody."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from modelpm.environment import Environment
from modelpm.errors import NotFound
from modelpm.lock.model import LockedFile, LockedModel
from modelpm.names import printable
from modelpm.operations.roots import Roots
from modelpm.report import Holder

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")

Match = Callable[[Environment, LockedModel, LockedFile], bool]


def holders(user: Environment, project: Environment | None, what: str) -> tuple[Holder, ...]:
    """Return who holds something: the project first, then the user, then every other project that synced here.

    Args:
        user: The user's environment.
        project: The project that governs the folder.
        what: A name, the path of a file, or a sha256 or its beginning.

    Raises:
        NotFound: Nobody does.
    """
    environments = [*([project] if project is not None else []), user]
    known = {os.path.realpath(e.lock_path) for e in environments}
    others = [e for e in Roots(user).environments() if os.path.realpath(e.lock_path) not in known]
    everywhere = [*environments, *others]
    found = [Holder(e.kind, e.lock_path, m.name, m.model) for e in everywhere if (m := e.read().get(what)) is not None]
    if found:
        return tuple(found)
    for match in (_of_digest(what), _of_path(Path(what), user)):
        if match is not None and (rows := tuple(_rows(everywhere, match))):
            return rows
    raise NotFound(
        f"nobody holds `{printable(what)}`",
        code="not_held",
        hints=["it must be the name of a model, the path of a file of one, or a sha256 (at least 8 digits)"],
    )


def _rows(environments: list[Environment], match: Match) -> Iterator[Holder]:
    for environment in environments:
        for model in environment.read().models:
            for file in model.files:
                if match(environment, model, file):
                    yield Holder(
                        environment.kind, environment.lock_path, model.name, model.model, file.path, file.sha256
                    )


def _of_digest(what: str) -> Match | None:
    found = _DIGEST.fullmatch(what.strip().lower())
    return None if found is None else lambda _environment, _model, file: file.sha256.startswith(found[1])


def _of_path(path: Path, user: Environment) -> Match | None:
    """Match a file by where it stands in a view, or because it is a blob's own file."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    absolute = os.path.abspath(path)  # noqa: PTH100 - links in a view must stay what they are

    def match(environment: Environment, model: LockedModel, file: LockedFile) -> bool:
        if absolute == os.path.abspath(environment.view.file(model.name, file.path)):  # noqa: PTH100 - as above
            return True
        if file.size != facts.st_size:
            return False
        try:
            return os.path.samestat(facts, user.store.blob(file.sha256).stat())
        except OSError:
            return False

    return match
