"""Fetch one file in a process of its own: ``python -m tests.support.fetcher STORE URL SIZE SHA256 [JOBS]``.

Prints a line with the bytes that are there at each tick, and a last one with the outcome; what it is killed at is the
engine and nothing else.
"""

import sys
import threading
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.types import Context, Digest, RemoteFile
from modelpm.errors import ModelpmError
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.store import Store
from modelpm.transfer import Engine, Fetch, Options, Origin, check_space
from tests.support.memory_source import ENTRY
from tests.support.sources import Plain
from tests.support.transfers import HASHERS


def say(text: object) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(root: str, url: str, size: str, sha256: str, jobs: str = "4") -> int:
    """Fetch, and return the exit code of what went wrong."""
    source = GuardedSource.of(ENTRY, Plain(Context()))
    origin = Origin(source, RemoteFile("w", int(size), None, (url,)), url, url)
    fetch = Fetch("model", "w", int(size), Digest("sha256", sha256), sha256, lambda: [origin])
    store = Store(Path(root))
    options = Options(jobs=int(jobs), retries=2, idle_timeout=5.0, backoff=0.01)
    engine = Engine(store, HASHERS, options, Bus())
    try:
        store.open()
        check_space(store, [fetch])
        (result,) = engine.run([fetch], tick=lambda p: say(p.downloaded), cancelled=threading.Event())
    except ModelpmError as error:
        result = error
    if isinstance(result, ModelpmError):
        say(f"{result.code}: {result}")
        return result.exit_code
    say(f"fetched {result.downloaded}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
