"""Records that are posted to a server. An optional sink queues them, so that no install waits for it."""

import json
import queue
import time
from contextlib import suppress
from threading import Thread
from typing import NoReturn

from modelpm.api import Context, Event, ModelpmError, Reference, UsageError
from modelpm.http import HttpSource, address
from modelpm_audit.record import record_of

_FLUSH = 3.0  # seconds for what is queued when modelpm ends


class _Poster(HttpSource):
    """Posts, with the proxies, certificates and credentials of every source."""

    def resolve(self, reference: Reference) -> NoReturn:
        """Refuse: there is nothing to list."""
        raise NotImplementedError(reference)


class Webhook:
    """Posts each record as one JSON document."""

    def __init__(self, context: Context) -> None:
        url = str(context.settings["url"])
        if not url:
            raise UsageError(
                "the audit sink `webhook` needs an address",
                hints=["modelpm config set audit.webhook.url https://host/path"],
            )
        self._url = address(url).url
        self._context = context
        self._poster = _Poster(context)
        self._queue: queue.Queue[bytes | None] = queue.Queue(int(context.settings["queue"]))
        self._worker: Thread | None = None
        self._lost = 0

    def write(self, event: Event) -> None:
        """Post a record, where the sink is required; else queue it.

        Raises:
            ModelpmError: A required record could not be posted.
        """
        body = json.dumps(record_of(event)).encode()
        if self._context.required:
            self._poster.post(self._url, body)
            return
        if self._worker is None:
            self._worker = Thread(target=self._work, name="modelpm-webhook", daemon=True)
            self._worker.start()
        try:
            self._queue.put_nowait(body)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Wait a little for what is queued, and say what was lost."""
        if self._worker is not None:
            until = time.monotonic() + _FLUSH
            with suppress(queue.Full):
                self._queue.put(None, timeout=_FLUSH)
            self._worker.join(max(0.0, until - time.monotonic()))
            self._lost += self._queue.qsize()
        if self._lost:
            self._context.warn(f"{self._lost} audit records were not posted")
        self._poster.close()

    def _work(self) -> None:
        while (body := self._queue.get()) is not None:
            try:
                self._poster.post(self._url, body)
            except ModelpmError:
                self._lost += 1
