"""Why: which roots need a model, a file or a digest. Reads locks; no network."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots, Standing
from modelpm.errors import Code, ModelpmError, NotFound
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.results.report import Holder
from modelpm.text.untrusted import printable

_SHORTEST = 8  # the fewest digits that name a digest
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")

Match = Callable[[Environment, LockedModel, LockedFile], bool]


def holders(user: Environment, project: Environment | None, what: str) -> tuple[Holder, ...]:
    """Return what needs something: the project first, then the user, then every other root of the store.

    Args:
        user: The user's environment.
        project: The project that governs the folder.
        what: A name, the path of a file, or a SHA-256 or its first digits.

    Raises:
        NotFound: Nothing needs it.
    """
    environments = [*([project] if project is not None else []), user]
    known = {os.path.realpath(e.lock_path) for e in environments}
    roots = Roots(user, tuple(environments[:-1]))
    standings = roots.survey(strict=False).standings
    others = [e for e in roots.environments(standings) if os.path.realpath(e.lock_path) not in known]
    locks = [(e, e.read()) for e in environments] + [(e, lock) for e in others if (lock := _lock(e)) is not None]
    shelves = roots.shelves(standings)
    found = [Holder(e.kind, e.lock_path, m.name, m.model) for e, lock in locks if (m := lock.get(what)) is not None]
    found += [
        Holder(s.record.root.kind, s.folder, what, s.record.root.app or what) for s in shelves if s.files_of(what)
    ]
    if found:
        return tuple(found)
    rows: list[Holder] = []
    for match in (_of_digest(what), _of_path(Path(what), user)):
        rows = rows or ([*_rows(locks, match)] if match is not None else [])
    read = {os.path.realpath(e.lock_path) for e, _ in locks}
    unread = [s for s in standings if s.state != "there" or str(s.record.root.lock) not in read]
    rows += _rows_of_digests(unread, what, {row.sha256 for row in rows})
    if rows:
        return tuple(rows)
    raise NotFound(
        f"nothing holds `{printable(what)}`",
        code=Code.NOT_HELD,
        hints=["it must be the name of a model, the path of a file of one, or a sha256 (at least 8 digits)"],
    )


def _lock(environment: Environment) -> Lock | None:
    """Return the lock of another project; None if it is damaged, so that every digest in its text counts."""
    try:
        return environment.read()
    except ModelpmError:
        return None


def _rows(locks: Sequence[tuple[Environment, Lock]], match: Match) -> Iterator[Holder]:
    for environment, lock in locks:
        for model in lock.models:
            for file in model.files:
                if match(environment, model, file):
                    yield Holder(
                        environment.kind, environment.lock_path, model.name, model.model, file.path, file.sha256
                    )


def _rows_of_digests(standings: Sequence[Standing], what: str, known: Collection[str]) -> Iterator[Holder]:
    """Yield the roots that have only digests: folders, and locks that are damaged or were not seen lately."""
    found = _DIGEST.fullmatch(what.strip().lower())
    begin = found[1] if found else Path(os.path.realpath(what)).name  # of a blob, or of a link to one
    for standing in standings:
        root = standing.record.root
        digests = {d for d in standing.holds if d in known or (len(begin) >= _SHORTEST and d.startswith(begin))}
        for key, entry in standing.record.entries.items():
            if entry[0] in digests:
                name, _, path = key.partition("/")
                yield Holder(root.kind, root.view, name, root.app or name, path, entry[0])
        if not root.is_folder:
            yield from (Holder(root.kind, root.lock, "", standing.who, "", d) for d in sorted(digests))


def _of_digest(what: str) -> Match | None:
    found = _DIGEST.fullmatch(what.strip().lower())
    return None if found is None else lambda _environment, _model, file: file.sha256.startswith(found[1])


def _of_path(path: Path, user: Environment) -> Match | None:
    """Match a file by its path in a view, or because it is the file of a blob."""
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
