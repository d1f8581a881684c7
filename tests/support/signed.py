"""A signed catalog whose every file can be made wrong, as python-tuf's own repository simulator can."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from tests.support.published import Site

ROLES = ("root", "timestamp", "snapshot", "targets")


def days(count: float) -> datetime:
    """Return a moment some days from now."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=count)


def new_key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


@dataclass(slots=True)
class Repository:
    """The signed side of a site: change its parts, then publish what should be seen; ``home`` is a client's."""

    site: Site
    home: Path = Path()
    keys: dict[str, list[CryptoSigner]] = field(default_factory=lambda: {role: [new_key()] for role in ROLES})
    root: Root = field(default_factory=lambda: Root(expires=days(365), consistent_snapshot=True))
    timestamp: Timestamp = field(default_factory=lambda: Timestamp(expires=days(7), snapshot_meta=MetaFile(1)))
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(expires=days(30), meta={"targets.json": MetaFile(1)}))
    targets: Targets = field(default_factory=lambda: Targets(expires=days(90)))

    def __post_init__(self) -> None:
        for name in ("metadata", "targets"):
            (self.site.folder / name).mkdir(exist_ok=True)
        for role, signers in self.keys.items():
            self.root.add_key(signers[0].public_key, role)
        self.add_index()
        self.put("root", "targets", "snapshot", "timestamp")

    @property
    def pinned(self) -> Any:
        """The first root, as a file."""
        return self.site.folder / "metadata" / "1.root.json"

    def add_index(self) -> None:
        """Name the index as it stands as the target."""
        self.site.publish()
        data = (self.site.folder / "index.json").read_bytes()
        self.targets.targets = {"index.json": TargetFile.from_data("index.json", data, ["sha256"])}
        (self.site.folder / "targets" / f"{sha256(data).hexdigest()}.index.json").write_bytes(data)

    def put(self, *roles: str, sign: Sequence[CryptoSigner] | None = None, name: str = "") -> None:
        """Publish some roles as they stand, signed by their keys or by others."""
        for role in roles:
            signed = getattr(self, role)
            data = self.data(role, sign)
            (self.site.folder / "metadata" / (name or self.name(role, signed.version))).write_bytes(data)

    def data(self, role: str, sign: Sequence[CryptoSigner] | None = None) -> bytes:
        """Return the signed bytes of a role."""
        metadata = Metadata(getattr(self, role))
        for signer in self.keys[role] if sign is None else sign:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    @staticmethod
    def name(role: str, version: int) -> str:
        return "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"

    def next(self, role: str, *, put: bool = True) -> None:
        """Make the next version of a role, and of those above it."""
        signed = getattr(self, role)
        signed.version += 1
        if role == "targets":
            self.snapshot.meta["targets.json"] = MetaFile(signed.version)
        if role == "snapshot":
            self.timestamp.snapshot_meta = MetaFile(signed.version)
        if put:
            self.put(role)
        above = {"targets": "snapshot", "snapshot": "timestamp"}.get(role)
        if above:
            self.next(above, put=put)

    def rotate(self, role: str) -> list[CryptoSigner]:
        """Give a role a new key, in a new root that the old root's keys sign, too; return the old keys."""
        old, new = self.keys[role], new_key()
        for signer in old:
            self.root.revoke_key(signer.public_key.keyid, role)
        self.root.add_key(new.public_key, role)
        self.keys[role] = [new]
        signing = [*old, new] if role == "root" else None
        self.root.version += 1
        self.put("root", sign=signing)
        return old
