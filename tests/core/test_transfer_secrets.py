"""A token and a signature in every request: neither leaves the one place it belongs to."""

from pathlib import Path

import pytest

from modelpm.api.types import Context, Network, RemoteFile, Secret
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.testing import FAULTS, Exchange, FaultServer, first
from modelpm.transfer import Options, Origin
from tests.support.memory_source import ENTRY
from tests.support.sources import Plain
from tests.support.transfers import Trial, noise, pinned

TOKEN, SIGNATURE = "canary-token-7f3a", "canary-signature-91bc"
DATA = noise(200_000)
HASTY = Options(jobs=2, retries=1, outage=0.0, idle_timeout=0.6, first_byte_timeout=1.5, backoff=0.01)


def everything_on_disk(root: Path) -> bytes:
    return b"".join(str(p).encode() + p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != "data")


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("name", ["reset", "flip", "forbidden", "portal", "too_many", "short", "redirect_loop", "gzip"])
def test_a_token_reaches_its_origin_and_nothing_else(tmp_path: Path, name: str, always: bool) -> None:
    with FaultServer({"/w": DATA}) as hub, FaultServer({"/cdn": DATA}) as cdn:
        link = f"{cdn.url('/cdn')}?Signature={SIGNATURE}"

        def redirect(exchange: Exchange) -> None:
            exchange.refuse("302 Found", "", Location=link)

        hub.fault = redirect
        cdn.fault = FAULTS[name] if always else first(1, FAULTS[name])
        known = {hub.origin: Secret(TOKEN)}
        source = Plain(Context(secret=known.get, network=Network(idle_timeout=0.6)))
        url = hub.url("/w")
        origin = Origin(GuardedSource.of(ENTRY, source), RemoteFile("w", len(DATA), None, (url,)), url, url)
        trial = Trial(tmp_path / "store", HASTY)
        results = trial.run(pinned("w", DATA, [origin]))
        sent = [headers.get("authorization") for _, headers in hub.heads]
        assert set(sent) == {f"Bearer {TOKEN}"}
        assert cdn.heads
        assert not any("authorization" in headers for _, headers in cdn.heads)
        details = [(str(r), getattr(r, "hints", ()), getattr(r, "details", {})) for r in results]
        told = repr((results, details, trial.events, trial.ticks)).encode() + everything_on_disk(tmp_path)
        assert TOKEN.encode() not in told
        assert SIGNATURE.encode() not in told
