"""A catalog in a repository: git brings a shallow copy into a folder of its commit, and the folder is the catalog."""

import subprocess

from modelpm.api.types import Context
from modelpm.catalog.remote.copied import VERSION, CopiedCatalog
from modelpm.catalog.remote.state import State
from modelpm.errors import Code, ModelpmError, OfflineError, Unavailable, UsageError
from modelpm.network.redact import redact_urls
from modelpm.store.gc.leftovers import remove_tree
from modelpm.text.untrusted import printable

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


class GitCatalog(CopiedCatalog):
    """A catalog in a git repository."""

    def _newer(self, before: State, context: Context) -> State:
        if context.offline:
            raise OfflineError(f"{printable(self.place.at)} is needed, and the network is forbidden")
        patience = _HURRIED if context is not self.context else _SECONDS
        listed = self._git(patience, "ls-remote", "--", self.place.at, "HEAD")
        commit = listed.partition("\t")[0].strip()
        if not VERSION.fullmatch(commit):
            raise UsageError(f"the repository {redact_urls(self.place.at)} has no commit", code=Code.NOT_A_CATALOG)
        if commit == before.digest and self._has(commit):
            return before
        draft = self._draft(commit)
        self._git(_SECONDS, "clone", "--quiet", "--depth", "1", "--no-tags", "--", self.place.at, str(draft))
        commit = self._git(patience, "-C", str(draft), "rev-parse", "HEAD").strip()  # it may have moved meanwhile
        remove_tree(draft / ".git")
        return self._complete(draft, commit, before)

    def _not_a_catalog(self) -> ModelpmError:
        why = f"the repository {redact_urls(self.place.at)} is not a catalog: it has no catalog.toml"
        return UsageError(why, code=Code.NOT_A_CATALOG)

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
