"""Sign a published catalog with TUF, as a small team can: keys in a folder, and files that any web server serves."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from modelpm.api.folder_catalog import FolderCatalog
from modelpm.catalog.index import NAME, published
from modelpm.disk import explained, make_folder, system
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, ModelpmError, NotFound, UsageError
from modelpm.results.catalogs import Published
from modelpm.store.gc.leftovers import remove_marker
from modelpm.text.human import in_days

DAYS: Mapping[str, int] = {"root": 365, "targets": 90, "snapshot": 30, "timestamp": 7}
"""For how many days the signature of each role holds."""
_KEY_CAP = 1 << 16
_CAP = 5_000_000
_WARNED = {"root": 60, "targets": 30}  # days before the end at which the publisher is told
_PRIVATE = 0o600
_T = TypeVar("_T", Root, Targets, Snapshot, Timestamp)


class Publisher:
    """The signer of one catalog.

    Args:
        folder: The catalog.
        keys: Where its keys are: ``root.pem``, ``targets.pem``, ``snapshot.pem``, ``timestamp.pem``.
    """

    def __init__(self, folder: Path, keys: Path) -> None:
        self._folder, self._keys = folder, keys
        self._metadata = folder / "metadata"

    def begin(self) -> Published:
        """Make the keys and the first root of trust, and sign the catalog as it stands.

        Raises:
            ModelpmError: Code ``exists``: it is signed already, or there are keys.
        """
        for there in (self._metadata / "1.root.json", *(self._pem(role) for role in DAYS)):
            if there.exists():
                raise ModelpmError(
                    f"{there} exists; nothing was changed",
                    code=Code.EXISTS,
                    hints=["`modelpm catalog sign DIR` signs what changed"],
                )
        data = published(FolderCatalog(self._folder))  # a catalog that is not valid gets no keys
        make_folder(self._keys, below=self._keys.parent, mode=0o700)
        make_folder(self._metadata, below=self._folder)
        signers = {role: CryptoSigner.generate_ed25519() for role in DAYS}
        root = Root(expires=_end("root"), consistent_snapshot=True)
        for role, signer in signers.items():
            write_atomic(self._pem(role), signer.private_bytes, mode=_PRIVATE)
            root.add_key(signer.public_key, role)
        self._write(Metadata(root))
        self._targets(1, data)
        return self._published()

    def sign(self, new_keys: Collection[str] = ()) -> Published:
        """Build the index of what is there, and sign it; sign a root that ends soon again where its key is there.

        Args:
            new_keys: Roles that get a new key, because theirs was stolen or lost; the key of the root must be there.

        Raises:
            NotFound: The catalog was never signed, or a key is not there.
            UsageError: An entry is not valid.
        """
        self._keep_new_keys()
        data = published(FolderCatalog(self._folder))
        if new_keys:
            self._replace_keys(new_keys)
        else:
            self._renew_root()
        self._targets(self._newest(Targets).version + 1, data)
        return self._published()

    def refresh(self) -> Published:
        """Sign again what tells clients that nothing newer is held back; for a daily job, which needs two keys only.

        Raises:
            NotFound: As :meth:`sign`.
        """
        snapshot = self._newest(Snapshot)
        if _days_left(snapshot.expires) < DAYS["snapshot"] / 2:
            self._snapshot(self._newest(Targets).version)
        else:
            self._timestamp(snapshot.version)
        return self._published()

    def _targets(self, version: int, index: bytes) -> None:
        """Sign the index, publish it under its digest, and sign all that stands above it."""
        make_folder(self._folder / "targets", below=self._folder)
        write_atomic(self._folder / "targets" / f"{sha256(index).hexdigest()}.{NAME}", index)
        write_atomic(self._folder / NAME, index)
        target = TargetFile.from_data(NAME, index, ["sha256"])
        self._write(Metadata(Targets(version, expires=_end("targets"), targets={NAME: target})))
        self._snapshot(version)

    def _snapshot(self, targets: int) -> None:
        version = self._newest(Snapshot).version + 1 if self._is_there("snapshot") else 1
        self._write(Metadata(Snapshot(version, expires=_end("snapshot"), meta={"targets.json": MetaFile(targets)})))
        self._timestamp(version)

    def _timestamp(self, snapshot: int) -> None:
        there = self._metadata / "timestamp.json"
        version = self._read(there.name, Timestamp).version if there.exists() else 0
        self._write(Metadata(Timestamp(version + 1, expires=_end("timestamp"), snapshot_meta=MetaFile(snapshot))))

    def _renew_root(self) -> None:
        root = self._newest(Root)
        if _days_left(root.expires) < _WARNED["root"] and self._pem("root").exists():
            root.version, root.expires = root.version + 1, _end("root")
            self._write(Metadata(root))

    def _replace_keys(self, roles: Collection[str]) -> None:
        """Publish a root with new keys; clients accept it because the old root key signs it, too."""
        root, old = self._newest(Root), self._signer("root")
        made = {role: CryptoSigner.generate_ed25519() for role in roles}
        for role, signer in made.items():
            for key in tuple(root.roles[role].keyids):
                root.revoke_key(key, role)
            root.add_key(signer.public_key, role)
            write_atomic(self._new_pem(role), signer.private_bytes, mode=_PRIVATE)
        root.version, root.expires = root.version + 1, _end("root")
        metadata = Metadata(root)
        metadata.sign(old)
        if "root" in made:
            metadata.sign(made["root"], append=True)
        write_atomic(self._metadata / f"{root.version}.root.json", metadata.to_bytes())
        self._keep_new_keys()

    def _keep_new_keys(self) -> None:
        """Give new keys their place once the root names them; remove those that it does not, of a run that ended."""
        for role in DAYS:
            new = self._new_pem(role)
            if not new.exists():
                continue
            if self._load(new).public_key.keyid in self._newest(Root).roles[role].keyids:
                with explained(new, "write"):
                    system.replace(new, self._pem(role))
            else:
                remove_marker(new)

    def _published(self) -> Published:
        first = read_bytes(self._metadata / "1.root.json", _CAP)
        root, targets, snapshot = (self._newest(Root), self._newest(Targets), self._newest(Snapshot))
        timestamp = self._read("timestamp.json", Timestamp)
        cure = {"root": "its key must be there: modelpm catalog sign DIR", "targets": "modelpm catalog sign DIR"}
        ending = [signed for signed in (root, targets) if _days_left(signed.expires) < _WARNED[signed.type]]
        warnings = [
            f"the signature of {each.type} ends in {in_days(86_400 * _days_left(each.expires))}: {cure[each.type]}"
            for each in ending
        ]
        until = min(signed.expires for signed in (root, targets, snapshot, timestamp))
        index = targets.targets[NAME].hashes["sha256"]
        return Published(
            timestamp.version,
            sha256(first).hexdigest(),
            self._metadata / "1.root.json",
            index,
            until,
            tuple(warnings),
        )

    def _write(self, metadata: Metadata[_T]) -> None:
        role, version = metadata.signed.type, metadata.signed.version
        metadata.sign(self._signer(role))
        name = f"{role}.json" if role == Timestamp.type else f"{version}.{role}.json"
        write_atomic(self._metadata / name, metadata.to_bytes())

    def _signer(self, role: str) -> CryptoSigner:
        return self._load(self._pem(role))

    def _load(self, path: Path) -> CryptoSigner:
        try:
            key = load_pem_private_key(read_bytes(path, _KEY_CAP), None)
        except FileNotFoundError:
            hint = f"its keys are where `modelpm catalog init` made them: --keys FOLDER (now {self._keys})"
            raise NotFound(f"the key {path} is not there", hints=[hint]) from None
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"the key {path} cannot be read: {error}") from error
        return CryptoSigner(key)

    def _is_there(self, role: str) -> bool:
        return any(self._metadata.glob(f"*.{role}.json"))

    def _newest(self, role: type[_T]) -> _T:
        name = role.type
        versions = [int(path.name.partition(".")[0]) for path in self._metadata.glob(f"[0-9]*.{name}.json")]
        if not versions:
            raise NotFound(
                f"{self._folder} is not signed: {self._metadata} has no {name}.json",
                hints=["`modelpm catalog init DIR` makes the keys and signs it"],
            )
        return self._read(f"{max(versions)}.{name}.json", role)

    def _read(self, name: str, role: type[_T]) -> _T:
        signed = Metadata.from_bytes(read_bytes(self._metadata / name, _CAP)).signed
        if not isinstance(signed, role):
            raise UsageError(f"{self._metadata / name} is not signed as {role.type}")
        return signed

    def _pem(self, role: str) -> Path:
        return self._keys / f"{role}.pem"

    def _new_pem(self, role: str) -> Path:
        """Return where a new key is until the root that names it is written."""
        return self._keys / f"{role}.pem.new"


def _end(role: str) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=DAYS[role])


def _days_left(end: datetime) -> float:
    return (end - datetime.now(UTC)).total_seconds() / 86_400
