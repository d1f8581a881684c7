"""SeaweedFS checks signatures, conditions and checksums; boto3 writes what we read. Runs where both are installed."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.api import Context, Denied, Progress, Reference
from modelpm.api.oci import MANIFEST, Content, Descriptor, Document, digest_of
from modelpm.errors import Interrupted
from modelpm_s3.source import S3
from tests.support.buckets import ACCESS, KEYS, SECRET
from tests.support.ports import free_port, wait_for_port
from tests.support.transfers import noise, sha256

boto3 = pytest.importorskip("boto3")
WEED = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
pytestmark = [pytest.mark.marathon, pytest.mark.skipif(WEED is None, reason="SeaweedFS is not installed")]
DATA = noise(24 << 20, 5)
ODD = ["dir with ä/x+1.bin", "at@v1.bin", "per%20cent.bin", "col:on.bin", "st*r[1]?.bin", "hash#x.bin", "日本", "..x/y"]


def low_port() -> int:
    """Return a port that has another one 10,000 above it, which SeaweedFS takes, too."""
    return next(port for port in iter(free_port, None) if port < 55_000)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert WEED is not None
    folder = tmp_path_factory.mktemp("weed")
    grants = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = {"accessKey": ACCESS, "secretKey": SECRET}
    (folder / "keys.json").write_text(
        json.dumps({"identities": [{"name": "t", "credentials": [keys], "actions": grants}]})
    )
    ports = {name: free_port() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
    command = [WEED, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    command += [
        f"-s3.config={folder / 'keys.json'}",
        "-master.volumeSizeLimitMB=64",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for_port(ports["s3.port"], process)
        yield f"http://127.0.0.1:{ports['s3.port']}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture(scope="module")
def bucket(url: str) -> Any:
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    client.create_bucket(Bucket="weights")
    client.put_object(Bucket="weights", Key="m/x.bin", Body=DATA, ChecksumAlgorithm="SHA256")
    for key in ODD:
        client.put_object(Bucket="weights", Key=f"odd/{key}", Body=key.encode())
    return client


def source(url: str, **environ: str) -> S3:
    return S3(Context(environ={"AWS_ENDPOINT_URL": url, **KEYS, **environ}))


@pytest.mark.usefixtures("bucket")
def test_signatures_are_right_for_every_key(url: str) -> None:
    s3 = source(url)
    for file in s3.resolve(s3.parse("weights/odd")).files:
        with s3.open(file, file.locations[0]) as stream:
            assert b"".join(stream.chunks) == file.path.encode()


@pytest.mark.usefixtures("bucket")
def test_wrong_keys_are_refused(url: str) -> None:
    for wrong in ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, {"AWS_ACCESS_KEY_ID": "AKIDOTHER"}):
        s3 = source(url, **wrong)
        with pytest.raises(Denied, match="does not accept the keys from AWS_ACCESS_KEY_ID"):
            s3.resolve(s3.parse("weights/m"))


@pytest.mark.usefixtures("bucket")
def test_the_digest_that_it_keeps_is_a_promise(url: str) -> None:
    s3 = source(url)
    (file,) = s3.resolve(s3.parse("weights/m/x.bin")).files
    assert str(file.digest) == f"sha256:{sha256(DATA)}"


def test_an_object_replaced_between_two_runs_is_never_mixed(
    url: str, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_ENDPOINT_URL": url, **KEYS}.items():
        monkeypatch.setenv(name, value)
    old, new = noise(24 << 20, 6), noise(24 << 20, 7)
    bucket.put_object(Bucket="weights", Key="m/swapped.bin", Body=old)
    cancelled = threading.Event()

    def stop_early(progress: Progress) -> None:
        if progress.downloaded_bytes >= 4 << 20:
            cancelled.set()

    slow = modelpm.Manager(home=tmp_path / "home", user="tester", limit_rate="8M")
    with pytest.raises(Interrupted):
        slow.install("s3://weights/m/swapped.bin", on_progress=stop_early, cancelled=cancelled)
    bucket.put_object(Bucket="weights", Key="m/swapped.bin", Body=new)

    made = modelpm.Manager(home=tmp_path / "home", user="tester").install("s3://weights/m/swapped.bin")

    assert sha256(made.path.read_bytes()) == sha256(new)


def test_two_pushers_at_once_are_both_in_the_index(url: str, bucket: Any) -> None:
    documents = [
        Document.of(MANIFEST, {"layers": [], "config": Descriptor("x", digest_of(bytes(n)), n).as_json()})
        for n in range(8)
    ]
    place = Reference("s3", "weights/pushed")
    with ThreadPoolExecutor(len(documents)) as pool:
        for pushed in [pool.submit(source(url).seal, place, each, named=True) for each in documents]:
            pushed.result()

    index = json.loads(bucket.get_object(Bucket="weights", Key="pushed/index.json")["Body"].read())
    assert {entry["digest"] for entry in index["manifests"]} == {each.digest for each in documents}


def test_a_large_blob_is_pushed_in_parts_and_pulled_whole(url: str, bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(noise(80 << 20, 3))
    data = (tmp_path / "blob").read_bytes()
    blob, place = Descriptor("application/octet-stream", digest_of(data), len(data)), Reference("s3", "weights/large")

    assert source(url).send(place, blob, Content(tmp_path / "blob")) == len(data)

    assert source(url).has(place, blob)
    head = bucket.head_object(Bucket="weights", Key=f"large/blobs/sha256/{blob.hex}")
    assert head["ContentLength"] == len(data)
    assert head["ETag"].endswith('-5"')
    assert bucket.get_object(Bucket="weights", Key=f"large/blobs/sha256/{blob.hex}")["Body"].read() == data
