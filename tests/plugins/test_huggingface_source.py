import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modelpm.api import (
    Context,
    Denied,
    Digest,
    ModelpmError,
    Network,
    NotFound,
    OfflineError,
    Reference,
    RemoteFile,
    Unavailable,
    UsageError,
)
from modelpm.http import next_page
from modelpm_huggingface.source import HuggingFace
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import holding
from tests.support.raw import raw_server
from tests.support.scaling import LINEAR, exponent

WEIGHTS = holding("model.safetensors", bytes(range(256)) * 700)
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "sub/name ü 1.txt": b"words"}
CANARY = "hf_canary0123456789"


def source(hub: Hub, environ: Mapping[str, str] | None = None, **context: object) -> HuggingFace:
    return HuggingFace(Context(environ={"HF_ENDPOINT": hub.endpoint, **(environ or {})}, **context))  # type: ignore[arg-type]


def fetch(hf: HuggingFace, file: RemoteFile, start: int = 0, stop: int | None = None) -> bytes:
    with hf.open(file, file.locations[0], start=start, stop=stop) as stream:
        assert stream.start == start
        return b"".join(stream.chunks)


def test_a_listing_is_complete_pinned_and_carries_digests_and_license(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES, license="mit")

    snapshot = source(hub).resolve(Reference("hf", "acme/tiny", None, "*.safetensors", ""))

    assert snapshot.reference == Reference("hf", "acme/tiny", repo.commit)
    assert (snapshot.revision, snapshot.license) == (repo.commit, "mit")
    assert {f.path: (f.size, f.digest) for f in snapshot.files} == {
        "config.json": (8, Digest("git-sha1", repo.files["config.json"].git_sha1)),
        "model.safetensors": (len(WEIGHTS), Digest("sha256", repo.files["model.safetensors"].sha256)),
        "sub/name ü 1.txt": (5, Digest("git-sha1", repo.files["sub/name ü 1.txt"].git_sha1)),
    }


def test_every_file_of_a_listing_opens_at_any_range(hub: Hub) -> None:
    hub.add("acme/tiny", FILES)
    hf = source(hub)

    for file in hf.resolve(Reference("hf", "acme/tiny")).files:
        assert fetch(hf, file) == FILES[file.path]
        assert fetch(hf, file, 3) == FILES[file.path][3:]
        assert fetch(hf, file, 1, 4) == FILES[file.path][1:4]


def test_a_long_listing_is_followed_over_its_pages_on_our_endpoint(hub: Hub) -> None:
    hub.page = 7
    hub.add("acme/many", {f"part-{n:03}.txt": b"%d" % n for n in range(40)})

    snapshot = source(hub).resolve(Reference("hf", "acme/many"))

    assert len(snapshot.files) == 40
    assert len(hub.requests("/tree/")) == 6


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<http://h/api/x?a=1,2>; rel="next"', "http://h/api/x?a=1,2"),
        ('<http://h/1>; rel="prev", <http://h/2>; title="a"; REL = next', "http://h/2"),
        ("<http://h/1>; rel=nextish, <http://h/2>; rel=next", "http://h/2"),
        ('<http://h/1>; rel="first"', ""),
        ("", ""),
    ],
)
def test_the_next_page_is_the_link_that_says_so(header: str, target: str) -> None:
    assert next_page(header) == target


@pytest.mark.parametrize("piece", ["<a>;", "<", "<a", "<a>; rel=", "rel=", "<a>; rel= ", '<a>,"'])
@pytest.mark.no_cover  # it measures time
def test_a_link_header_costs_linear_time(piece: str) -> None:
    assert exponent(lambda n: piece * n, next_page, 32_000) < LINEAR


@pytest.mark.parametrize(
    "size", ["9223372036854775808", "1" + "0" * 400, "1" + "0" * 5000, "-1", "1e400", "1.5", "true"]
)
def test_a_size_that_no_file_has_is_no_listing(size: str) -> None:
    entry = f'[{{"type": "file", "path": "m.gguf", "oid": "{"0" * 40}", "size": {size}}}]'.encode()

    def reply(_head: str, connection: socket.socket) -> bool:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(entry)}\r\n\r\n"
        connection.sendall(head.encode() + entry)
        return True

    with raw_server(reply) as server:
        hf = HuggingFace(Context(environ={"HF_ENDPOINT": server.url("")}, network=Network(retries=0)))
        with pytest.raises(Unavailable) as caught:
            hf.resolve(Reference("hf", "a/b", "0" * 40))
    assert len(caught.value.message) < 300


def test_a_commit_is_listed_with_one_request(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES)

    source(hub).resolve(Reference("hf", "acme/tiny", repo.commit))

    assert [seen.path.rpartition("/")[0] for seen in hub.seen] == ["/api/models/acme/tiny/tree"]


def test_datasets_and_one_part_names_resolve(hub: Hub) -> None:
    hub.add("datasets/acme/data", {"x.csv": b"1,2"})
    hub.add("gpt2", {"model.bin": WEIGHTS})
    hf = source(hub)

    for name in ("datasets/acme/data", "gpt2"):
        (file,) = hf.resolve(Reference("hf", name)).files
        assert fetch(hf, file)


def test_a_revision_with_a_slash_resolves(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES, branches=("main", "refs/pr/1"))

    assert source(hub).resolve(Reference("hf", "acme/tiny", "refs/pr/1")).revision == repo.commit


def test_a_pinned_file_is_located_without_asking_anybody(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES)
    hf = source(hub)

    (location,) = hf.locate(Reference("hf", "acme/tiny", repo.commit), "sub/name ü 1.txt")

    assert hub.seen == []
    assert fetch(hf, RemoteFile("x", 5, None, (location,))) == b"words"
    assert hf.locate(Reference("hf", "acme/tiny", "main"), "config.json") == ()


def test_ranges_of_one_file_ask_the_hub_once_and_then_its_storage(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES)
    hf = source(hub)
    file = RemoteFile(
        "m", len(WEIGHTS), None, hf.locate(Reference("hf", "acme/tiny", repo.commit), "model.safetensors")
    )

    parts = [fetch(hf, file, start, start + 1000) for start in range(0, 10_000, 1000)]

    assert b"".join(parts) == WEIGHTS[:10_000]
    assert len(hub.requests("/resolve/")) == 1
    assert len(hub.requests(server="cdn")) == 10


def test_a_link_that_ran_out_is_asked_for_again_and_the_range_goes_on(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES)
    hf = source(hub)
    file = RemoteFile(
        "m", len(WEIGHTS), None, hf.locate(Reference("hf", "acme/tiny", repo.commit), "model.safetensors")
    )
    assert fetch(hf, file, 0, 10) == WEIGHTS[:10]

    hub.cdn.revoke()

    assert fetch(hf, file, 10) == WEIGHTS[10:]
    assert [seen.status for seen in hub.requests(server="cdn")] == [206, 403, 206]


def test_the_token_goes_to_the_endpoint_and_never_to_its_storage(hub: Hub) -> None:
    hub.tokens = {CANARY: {"acme/private"}}
    hub.add("acme/private", FILES, private=True)
    hf = source(hub, {"HF_TOKEN": f" {CANARY}\n"})

    for file in hf.resolve(Reference("hf", "acme/private")).files:
        assert fetch(hf, file) == FILES[file.path]

    assert all(seen.headers.get("Authorization") == f"Bearer {CANARY}" for seen in hub.requests())
    assert hub.requests(server="cdn")
    assert not any(CANARY in str(seen.headers) for seen in hub.requests(server="cdn"))


@pytest.mark.parametrize(
    ("place", "environ"),
    [
        ("token-here", {"HF_TOKEN_PATH": "{home}/token-here"}),
        ("hub/token", {"HF_HOME": "~/hub"}),
        ("xdg/huggingface/token", {"XDG_CACHE_HOME": "{home}/xdg"}),
        (".cache/huggingface/token", {}),
    ],
)
def test_the_token_is_found_where_the_hubs_own_tools_keep_it(
    hub: Hub, home: Path, place: str, environ: dict[str, str]
) -> None:
    hub.tokens = {CANARY: {"acme/private"}}
    hub.add("acme/private", FILES, private=True)
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text(f"{CANARY}\n")
    found = {name: value.format(home=home) for name, value in environ.items()}

    assert source(hub, {"HOME": str(home), **found}).resolve(Reference("hf", "acme/private")).files
    silent = source(hub, {"HOME": str(home), **found, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})
    with pytest.raises(Denied, check=coded("repo_not_found")) as refused:
        silent.resolve(Reference("hf", "acme/private"))
    assert refused.value.hints[0].startswith("check the spelling of hf://acme/private: ")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_the_hubs_own_offline_variables_forbid_the_network(hub: Hub, variable: str) -> None:
    hub.add("acme/tiny", FILES)

    with pytest.raises(OfflineError) as refused:
        source(hub, {variable: "yes"}).resolve(Reference("hf", "acme/tiny"))

    assert hub.seen == []
    assert variable in refused.value.hints[0]


def refusal(hub: Hub, name: str, revision: str | None = None, token: str = "") -> ModelpmError:
    hf = source(hub, {"HF_TOKEN": token})
    with pytest.raises(ModelpmError) as refused:
        fetch(hf, hf.resolve(Reference("hf", name, revision)).files[0])
    assert CANARY not in repr(refused.value) + str(refused.value.hints)
    return refused.value


def test_a_gated_repository_says_what_to_do_without_and_with_a_token(hub: Hub) -> None:
    hub.tokens = {CANARY: set()}
    hub.add("acme/gated", FILES, gated="auto")

    without, outside = refusal(hub, "acme/gated"), refusal(hub, "acme/gated", token=CANARY)

    assert isinstance(without, Denied)
    assert isinstance(outside, Denied)
    assert (without.code, outside.code) == ("gated", "gated")
    assert f"{hub.endpoint}/acme/gated" in without.hints[0]
    assert "HF_TOKEN" in without.hints[1]
    assert "account of the token (HF_TOKEN)" in outside.message


def test_a_repository_that_cannot_be_seen_is_not_claimed_to_be_missing(hub: Hub) -> None:
    hub.tokens = {CANARY: set()}
    hub.add("acme/private", FILES, private=True)

    for token, kind in (("", Denied), (CANARY, NotFound)):
        private, missing = refusal(hub, "acme/private", token=token), refusal(hub, "acme/nosuch", token=token)
        assert type(private) is type(missing) is kind
        assert private.message.replace("acme/private", "X") == missing.message.replace("acme/nosuch", "X")
        assert "it is private" in private.message


def test_an_unknown_revision_is_answered_with_those_there_are(hub: Hub) -> None:
    hub.add("acme/tiny", FILES, branches=("main", "dev"), tags=("v1", "v2"))

    error = refusal(hub, "acme/tiny", "v3")

    assert error.code == "revision_not_found"
    assert error.hints == ("branches: main, dev", "tags: v1, v2")


def test_a_token_that_is_not_accepted_is_named_by_where_it_came_from(hub: Hub) -> None:
    hub.add("acme/tiny", FILES)

    error = refusal(hub, "acme/tiny", token=CANARY)

    assert (error.code, error.exit_code) == ("bad_token", 7)
    assert "HF_TOKEN" in error.message


def test_a_disabled_repository_is_denied(hub: Hub) -> None:
    hub.server.fail("/api/models/", 403, {"X-Error-Message": "Access to this resource is disabled."})

    assert refusal(hub, "acme/tiny").code == "disabled"


def test_a_token_without_the_right_is_denied_in_the_hubs_words(hub: Hub) -> None:
    hub.tokens = {CANARY: set()}
    hub.server.fail("/api/models/", 403, {"X-Error-Message": "your token lacks permissions"})

    error = refusal(hub, "acme/tiny", token=CANARY)

    assert error.exit_code == 7
    assert "lacks permissions" in error.message


def test_a_file_that_is_gone_is_named(hub: Hub) -> None:
    repo = hub.add("acme/tiny", FILES)
    hf = source(hub)
    file = RemoteFile("gone", 1, None, hf.locate(Reference("hf", "acme/tiny", repo.commit), "gone.bin"))

    with pytest.raises(NotFound, match=r"acme/tiny has no file gone\.bin"):
        fetch(hf, file)


def test_a_short_rate_limit_is_waited_for_and_a_long_one_reported(hub: Hub) -> None:
    hub.add("acme/tiny", FILES)
    hub.server.fail("/revision/", 429, {"Retry-After": "0"})
    assert source(hub).resolve(Reference("hf", "acme/tiny")).files

    hub.server.fail("/revision/", 429, {"RateLimit": '"api";r=0;t=3600'}, times=9)
    with pytest.raises(Unavailable) as limited:
        source(hub).resolve(Reference("hf", "acme/tiny"))

    assert limited.value.code == "rate_limited"
    assert "HF_TOKEN" in limited.value.hints[0]


def test_an_answer_that_is_no_hubs_is_said_to_be_none(hub: Hub) -> None:
    for body, mimetype in (
        (b"<html>", "text/html"),
        (b"[1, 2]", "application/json"),
        (b'{"sha": 3}', "application/json"),
    ):
        hub.server.answer("/revision/", body, mimetype)
        with pytest.raises(Unavailable) as refused:
            source(hub).resolve(Reference("hf", "acme/tiny"))
        assert refused.value.code == "bad_answer"


GIT = {"type": "file", "path": "a", "size": 3, "oid": "0" * 40}
LFS = {"type": "file", "path": "a", "size": 3, "lfs": {"size": 3, "oid": "0" * 64}}


@pytest.mark.parametrize(
    "listing",
    [
        {"error": "no list"},
        "a",
        ["a"],
        [{"type": "file", "size": 3, "oid": "0" * 40}],
        [GIT | {"path": 3}],
        *([GIT | {"size": size}] for size in (True, -1, "3", 3.0, None, [3])),
        *([LFS | {"lfs": {"size": size, "oid": "0" * 64}}] for size in (True, -1, "3", None)),
        *([GIT | {"oid": oid}] for oid in (None, 5, "xyz", "0" * 64)),
        [LFS | {"lfs": {"size": 3, "oid": None}}],
        [LFS | {"lfs": True, "oid": None}],
        [LFS | {"path": "e\ud800", "lfs": {"size": 3}}],
    ],
)
def test_a_listing_that_is_none_is_the_hubs_fault_and_named(hub: Hub, listing: object) -> None:
    repo = hub.add("acme/tiny", FILES)
    hub.server.answer("/tree/", json.dumps(listing).encode(), "application/json")

    with pytest.raises(Unavailable, match="its listing of acme/tiny") as refused:
        source(hub).resolve(Reference("hf", "acme/tiny", repo.commit))

    assert (refused.value.code, refused.value.exit_code) == ("bad_answer", 6)
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("refs", [[], {"branches": 3}, {"tags": [3]}, "no"])
def test_revisions_that_cannot_be_read_are_not_hinted_at(hub: Hub, refs: object) -> None:
    hub.add("acme/tiny", FILES)
    hub.server.answer("/refs", json.dumps(refs).encode(), "application/json")

    assert "a branch, a tag or a full commit" in refusal(hub, "acme/tiny", "v3").hints[0]


@pytest.mark.parametrize("name", ["e\ud800", "../e"])
def test_a_hostile_name_in_a_listing_is_refused_before_anything_is_written(
    hub: Hub, modelpm: Callable[..., Ran], home: Path, name: str
) -> None:
    repo = hub.add("acme/tiny", FILES)
    hub.server.answer("/tree/", json.dumps([GIT | {"path": name}]).encode(), "application/json", times=9)
    spec, env = f"hf://acme/tiny@{repo.commit}", {"HF_ENDPOINT": hub.endpoint}

    ran = modelpm("install", spec, "--include", "*", "--json", env=env)

    assert ran.code == 4, ran.stdout
    assert json.loads(ran.stdout)["errors"][0]["code"] == "hostile_name"
    assert not list((home / "modelpm").rglob("e*.gguf"))
    assert modelpm("show", spec, env=env).code == 0


def test_a_license_that_cannot_be_written_is_escaped(hub: Hub, modelpm: Callable[..., Ran]) -> None:
    hub.add("acme/tiny", FILES, license="m\ud800\n\x1bit")

    assert modelpm("install", "hf://acme/tiny", env={"HF_ENDPOINT": hub.endpoint}).code == 0
    (row,) = json.loads(modelpm("show", "tiny", "--json", env={"HF_ENDPOINT": hub.endpoint}).stdout)["items"]
    assert row["license"] == "m\\ud800\\x0a\\x1bit"


def test_a_dead_endpoint_is_named_with_its_host() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        hf = HuggingFace(Context(environ={"HF_ENDPOINT": endpoint}, network=Network(retries=1)))

        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ cannot be reached: connection refused"):
            hf.resolve(Reference("hf", "acme/tiny"))


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://x", "https://", "http://[::1"])
def test_an_endpoint_that_is_no_web_address_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        HuggingFace(Context(environ={"HF_ENDPOINT": endpoint}))
