"""A catalog in a repository: git brings a shallow copy into a folder of its commit, and the folder is the catalog."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from modelpm.api.folder_catalog import FolderCatalog
from modelpm.api.types import CatalogText, Context
from modelpm.catalog.parse import parse_about
from modelpm.catalog.remote.base import Remote
from modelpm.catalog.remote.state import State
from modelpm.disk import explained, system
from modelpm.errors import Code, ModelpmError, NotFound, OfflineError, Unavailable, UsageError
from modelpm.network.redact import redact_urls
from modelpm.store.gc.leftovers import remove_tree
from modelpm.text.untrusted import printable

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECONDS = 300.0
_HURRIED = 30.0
_SAID = 300  # characters of git's words
# Nothing of a repository is executed, links in it stay texts, and git asks for no password.
_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.symlinks=false"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "submodule.recurse=false"),
    *("-c", "filter.lfs.smudge="),
    *("-c", "filter.lfs.required=false"),
    *("-c", "transfer.fsckObjects=true"),
    *("-c", "core.askPass=true"),
    *("-c", "http.lowSpeedLimit=1"),
    *("-c", "http.lowSpeedTime=30"),
)


class GitCatalog(Remote):
    """A catalog in a git repository."""

    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""
        return self._copy.ids()

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`."""
        return self._copy.get(id)

    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""
        return self._copy.about()

    def stamps(self) -> Mapping[str, str]:
        """As :meth:`modelpm.api.Stamped.stamps`."""
        return self._copy.stamps()

    @property
    def _copy(self) -> FolderCatalog:
        commit = self.state.digest
        if not commit or not (self.folder / commit).is_dir():
            hint = f"`modelpm catalog update {self.place.name}` brings it"
            what = f"the catalog `{self.place.name}` is not on this machine"
            raise NotFound(what, hints=[hint], code=Code.UNREADABLE_CATALOG)
        return FolderCatalog(self.folder / commit)

    def update(self, *, hurried: bool = False) -> bool:
        """As :meth:`Remote.update`; the copy before stays for who is reading it."""
        before = self.state.digest
        changed = super().update(hurried=hurried)
        if changed:
            kept = {before, self.state.digest}
            for path in list(self.folder.iterdir()):
                if path.name not in kept and _COMMIT.fullmatch(path.name.removesuffix(".new")):
                    remove_tree(path)
        return changed

    def _newer(self, before: State, context: Context) -> State:
        if context.offline:
            raise OfflineError(f"{printable(self.place.at)} is needed, and the network is forbidden")
        patience = _HURRIED if context is not self.context else _SECONDS
        listed = self._git(patience, "ls-remote", "--", self.place.at, "HEAD")
        commit = listed.partition("\t")[0].strip()
        if not _COMMIT.fullmatch(commit):
            raise UsageError(f"the repository {redact_urls(self.place.at)} has no commit", code=Code.NOT_A_CATALOG)
        if commit == before.digest and (self.folder / commit).is_dir():
            return before
        draft = self.folder / f"{commit}.new"
        remove_tree(draft)
        self._git(_SECONDS, "clone", "--quiet", "--depth", "1", "--no-tags", "--", self.place.at, str(draft))
        commit = self._git(patience, "-C", str(draft), "rev-parse", "HEAD").strip()  # it may have moved meanwhile
        names, folder = _names(FolderCatalog(draft), self.place.at), self.folder / commit
        remove_tree(draft / ".git")
        remove_tree(folder)
        with explained(folder, "write"):
            system.replace(draft, folder)
        had = {*before.gone, *self._had(before)}
        return replace(before, digest=commit, gone=tuple(had - names))

    def _had(self, before: State) -> set[str]:
        with suppress(ModelpmError):  # it was the good copy; a user may have removed it
            if before.digest:
                return _names(FolderCatalog(self.folder / before.digest), self.place.at)
        return set()

    def _git(self, seconds: float, *arguments: str) -> str:
        environ = {**self.context.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and the address stands behind `--`
                ["git", *_OPTIONS, *arguments],  # noqa: S607 - the user's git
                capture_output=True,
                timeout=seconds,
                check=False,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=environ,
            )
        except FileNotFoundError:
            why = f"the catalog `{self.place.name}` is in a git repository, and git is not installed"
            raise UsageError(why, hints=["install git, or use a catalog over https"]) from None
        except subprocess.TimeoutExpired:
            raise Unavailable(f"git did not answer for {seconds:.0f} seconds: {redact_urls(self.place.at)}") from None
        if done.returncode != 0:
            said = " ".join(redact_urls(done.stderr.decode("utf-8", "replace")).split())[-_SAID:]
            raise Unavailable(
                f"git cannot read {redact_urls(self.place.at)}: {printable(said)}",
                hints=[f"try it by hand: git ls-remote {redact_urls(self.place.at)}"],
            )
        return done.stdout.decode("utf-8", "replace")


def _names(folder: FolderCatalog, at: str) -> set[str]:
    """Return the ids and aliases of a copy; a folder that is not a catalog raises."""
    try:
        about = folder.about()
    except NotFound:
        why = f"the repository {redact_urls(at)} is not a catalog: it has no catalog.toml"
        raise UsageError(why, code=Code.NOT_A_CATALOG) from None
    return {*folder.ids(), *parse_about(about).aliases}
