"""An audit log whose details only the holder of the key reads: ``SEALED_KEY``, as ``Fernet.generate_key()`` makes it."""

import json
from pathlib import Path

from modelpm.api import AuditSink, Context, Event, UsageError, hookimpl


@hookimpl
def modelpm_audit(name: str, context: Context) -> AuditSink | None:
    return Sealed(context) if name == "sealed" else None


class Sealed:
    def __init__(self, context: Context) -> None:
        from cryptography.fernet import Fernet

        key = context.environ.get("SEALED_KEY", "")
        if not key or context.folder is None:
            raise UsageError("the audit sink `sealed` needs a key", hints=["set SEALED_KEY"])
        self.box, self.path = Fernet(key), context.folder / "sealed.jsonl"

    def write(self, event: Event) -> None:
        secret = self.box.encrypt(json.dumps(dict(event.fields), default=str).encode()).decode()
        line = json.dumps({"time": event.time.isoformat(), "action": event.action, "sealed": secret})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as log:
            log.write(line + "\n")

    def close(self) -> None:
        pass

    def opened(self) -> list[dict[str, object]]:
        lines = self.path.read_text().splitlines()
        return [json.loads(self.box.decrypt(json.loads(line)["sealed"].encode())) for line in lines]
