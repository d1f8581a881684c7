"""Connect to the address that answers first (RFC 8305), so that a dead one costs a quarter of a second, once.

A host often has several addresses, and those of one family may lead nowhere. Attempts start a little apart, families in
turn, and the first connection that succeeds is used. Later the address that worked is tried first.
"""

import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from threading import Lock
from typing import Any

_DELAY = 0.25  # seconds until the next address joins, as RFC 8305 recommends
_LIFETIME = 600.0
_MOST = 256
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, getattr(errno, "WSAEWOULDBLOCK", -1)}

_Options = Iterable[tuple[int, int, int | bytes]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address of a host, as the resolver gave it."""

    family: int
    kind: int
    protocol: int
    place: tuple[Any, ...]


class Winners:
    """Which address of a host answered lately. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[tuple[Any, ...], float]] = {}
        self._lock = Lock()

    def get(self, host: str, port: int) -> tuple[Any, ...] | None:
        """Return the address to try first."""
        with self._lock:
            place, until = self._known.get((host, port), (None, 0.0))
        return place if time.monotonic() < until else None

    def put(self, host: str, port: int, place: tuple[Any, ...]) -> None:
        """Remember the address that answered."""
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[host, port] = (place, time.monotonic() + _LIFETIME)


_WINNERS = Winners()


def ordered(candidates: Sequence[Candidate], first: tuple[Any, ...] | None) -> list[Candidate]:
    """Return the addresses in the order of their attempts: what worked, then families in turn."""
    families: dict[int, list[Candidate]] = {}
    for candidate in dict.fromkeys(candidates):
        families.setdefault(candidate.family, []).append(candidate)
    in_turn = [c for c in chain.from_iterable(zip_longest(*families.values())) if c is not None]
    return sorted(in_turn, key=lambda candidate: candidate.place != first)


def connect(
    host: str,
    port: int,
    timeout: float | None,
    *,
    source: tuple[str, int] | None = None,
    options: _Options = (),
) -> socket.socket:
    """Return a connected socket whose further calls have the same timeout.

    Args:
        host: A name or an address; IPv6 may stand in brackets.
        port: Where to connect to.
        timeout: Seconds for all attempts together.
        source: The local address to connect from.
        options: Socket options.

    Raises:
        OSError: No address answers; of several reasons the last one.
        TimeoutError: None answered in time.
    """
    name = host.strip("[]")
    found = socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM)
    candidates = [Candidate(family, kind, protocol, place) for family, kind, protocol, _, place in found]
    race = _Race(ordered(candidates, _WINNERS.get(name, port)), source, tuple(options))
    connected, place = race.run(timeout)
    _WINNERS.put(name, port, place)
    connected.settimeout(timeout)
    return connected


@dataclass(slots=True)
class _Race:
    """One race; its losers are closed however it ends."""

    todo: list[Candidate]
    source: tuple[str, int] | None
    options: tuple[tuple[int, int, int | bytes], ...]
    last: OSError = field(default_factory=lambda: OSError("the name has no address"))
    waiting: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, timeout: float | None) -> tuple[socket.socket, tuple[Any, ...]]:
        now = time.monotonic()
        end, following = None if timeout is None else now + timeout, now
        winner = None
        try:
            while winner is None:
                now = time.monotonic()
                if end is not None and now >= end:
                    raise TimeoutError("timed out")
                if self.todo and (now >= following or not self.waiting.get_map()):
                    winner, under_way = self._start(self.todo.pop(0))
                    following = now + _DELAY if under_way else now  # refused at once: the next one at once
                elif self.waiting.get_map():
                    winner, failed = self._wait(_nearest(end, following if self.todo else None, now))
                    following = now if failed else following
                else:
                    raise self.last
            return winner
        finally:
            self._close(None if winner is None else winner[0])

    def _start(self, candidate: Candidate) -> tuple[tuple[socket.socket, tuple[Any, ...]] | None, bool]:
        """Begin one attempt; return the connection if it is made at once, and whether it is under way."""
        made = None
        try:
            made = socket.socket(candidate.family, candidate.kind, candidate.protocol)
            made.settimeout(0)
            for option in self.options:
                made.setsockopt(*option)
            if self.source is not None:
                made.bind(self.source)
            result = made.connect_ex(candidate.place)
        except OSError as error:
            self.last = error
            if made is not None:
                made.close()
            return None, False
        if result in _UNDER_WAY:
            self.waiting.register(made, selectors.EVENT_WRITE, candidate.place)
            return None, True
        if result in {0, errno.EISCONN}:
            return (made, candidate.place), False
        made.close()
        self.last = OSError(result, os.strerror(result))
        return None, False

    def _wait(self, seconds: float | None) -> tuple[tuple[socket.socket, tuple[Any, ...]] | None, bool]:
        """Wait for attempts that end; return the first connection that stands, and whether one failed."""
        failed = False
        for key, _ in self.waiting.select(seconds):
            attempt = key.fileobj
            assert isinstance(attempt, socket.socket)  # noqa: S101 - nothing else is registered
            result = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.waiting.unregister(attempt)
            if not result:
                return (attempt, key.data), failed
            attempt.close()
            self.last, failed = OSError(result, os.strerror(result)), True
        return None, failed

    def _close(self, winner: socket.socket | None) -> None:
        for key in list(self.waiting.get_map().values()):
            if key.fileobj is not winner:
                key.fileobj.close()  # type: ignore[union-attr] # sockets, as above
        self.waiting.close()


def _nearest(end: float | None, following: float | None, now: float) -> float | None:
    moments = [moment for moment in (end, following) if moment is not None]
    return max(0.0, min(moments) - now) if moments else None
