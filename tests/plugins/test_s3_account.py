import sys
from pathlib import Path

import pytest

from modelpm.api import Context, Denied, Secret, UsageError
from modelpm_s3.account import Account
from modelpm_s3.service import Service
from tests.support.arriving import about

CONFIG = """
[default]
region = eu-north-1
[profile team]
region = eu-west-1
endpoint_url = https://minio.example:9000
aws_access_key_id = TEAM
aws_secret_access_key = team-secret
[profile single]
sso_session = corp
[profile program]
credential_process = {program}
"""
SHARED = (
    "[default]\naws_access_key_id = SHARED\naws_secret_access_key = shared%secret\naws_session_token = shared-token\n"
)
PROGRAM = """import json
print(json.dumps({"Version": 1, "AccessKeyId": "PROGRAM", "SecretAccessKey": "program-secret", "SessionToken": "t"}))
"""


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user with files of AWS."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / "keys.py").write_text(PROGRAM)
    (tmp_path / ".aws/config").write_text(CONFIG.format(program=f"{sys.executable} {tmp_path / 'keys.py'}"))
    (tmp_path / ".aws/credentials").write_text(SHARED)
    return {"HOME": str(tmp_path)}


def account(environ: dict[str, str], **settings: object) -> Account:
    return Account.of(Context(environ=environ, settings=settings))


def access(found: Account) -> str:
    keys = found.keys("weights", "")
    return "" if keys is None else keys.access


def test_without_anything_it_is_aws_and_nobody_asks(tmp_path: Path) -> None:
    found = account({"HOME": str(tmp_path)})

    assert (found.service(), found.region(), access(found)) == (Service(), "us-east-1", "")
    assert access(account({})) == ""


def test_the_files_of_aws_have_keys_and_region(user: dict[str, str]) -> None:
    found = account(user)
    keys = found.keys("weights", "")

    assert (found.region(), access(found)) == ("eu-north-1", "SHARED")
    assert keys is not None
    assert (keys.secret.reveal(), keys.token and keys.token.reveal()) == ("shared%secret", "shared-token")


@about("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
def test_a_profile_is_named_by_a_variable_or_by_the_configuration(user: dict[str, str]) -> None:
    named = [{**user, name: "team"} for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")]
    for found in (*map(account, named), account(user, profile="team")):
        assert (access(found), found.region()) == ("TEAM", "eu-west-1")
        assert found.service() == Service("https://minio.example:9000", in_host=False)


@about("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
def test_variables_go_before_files_and_configuration(user: dict[str, str]) -> None:
    said = {"AWS_ENDPOINT_URL": "http://h:1/", "AWS_REGION": "r1"}
    keys = {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}

    found = account({**user, **said, **keys}, endpoint="http://other", region="r2")

    assert (found.service().base, found.region(), access(found)) == ("http://h:1", "r1", "ENV")
    assert account({**said, "AWS_ENDPOINT_URL_S3": "http://s3"}).service().base == "http://s3"
    assert account({"AWS_DEFAULT_REGION": "r3"}).region() == "r3"


def test_credentials_of_the_configuration_go_first(user: dict[str, str]) -> None:
    known = {"s3://weights": Secret("bucket-secret", username="BUCKET"), "http://h": Secret("p", username="HOST")}
    found = Account.of(Context(environ=user, secret=known.get))

    keys = [found.keys("weights", ""), found.keys("other", "http://h"), found.keys("other", "http://g")]

    assert [each and each.access for each in keys] == ["BUCKET", "HOST", "SHARED"]


def test_a_token_of_the_configuration_is_no_pair_of_keys(user: dict[str, str]) -> None:
    found = Account.of(Context(environ=user, secret=lambda _: Secret("token")))

    with pytest.raises(UsageError, match="a pair of keys") as caught:
        found.keys("weights", "")
    assert 'username = "KEY-ID"' in caught.value.hints[0]


def test_anonymous_sends_no_keys(user: dict[str, str]) -> None:
    assert access(account(user, anonymous=True)) == ""


def test_addressing_says_where_a_bucket_stands() -> None:
    assert account({}, addressing="path").service() == Service("", in_host=False)
    assert account({}, addressing="host", endpoint="https://oss.example").service() == Service("https://oss.example")


@pytest.mark.parametrize("endpoint", ["h:9000", "ftp://h", "https://user:pass@h", "https://h?x=1"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match=r"endpoint of s3://"):
        account({"AWS_ENDPOINT_URL": endpoint}).service()


def test_an_unknown_profile_and_a_broken_file_are_said(user: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="no profile `nosuch`"):
        account({**user, "AWS_PROFILE": "nosuch"})
    Path(user["HOME"], ".aws/config").write_bytes(b"\xff\xfe[")
    with pytest.raises(UsageError, match="cannot be read"):
        account(user)


def test_files_may_lie_elsewhere(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("[default]\naws_access_key_id = MINE\naws_secret_access_key = mine-secret\n")

    assert access(account({**user, "AWS_SHARED_CREDENTIALS_FILE": "~/mine"})) == "MINE"


def test_a_program_that_has_the_keys_is_asked_through_the_library(
    user: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("botocore")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{user['HOME']}/.aws/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{user['HOME']}/none")

    keys = account({**user, "AWS_PROFILE": "program", "AWS_SHARED_CREDENTIALS_FILE": "/none"}).keys("weights", "")

    assert keys is not None
    assert (keys.access, keys.secret.reveal(), keys.token and keys.token.reveal()) == ("PROGRAM", "program-secret", "t")


def test_a_program_that_fails_is_said(user: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    Path(user["HOME"], "keys.py").write_text("raise SystemExit('no keys today')")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{user['HOME']}/.aws/config")

    with pytest.raises(Denied, match=r"the profile `program` of ~/.aws has no keys") as caught:
        account({**user, "AWS_PROFILE": "program", "AWS_SHARED_CREDENTIALS_FILE": "/none"}).keys("weights", "")
    assert caught.value.hints == ("log in again: aws sso login",)


def test_without_the_library_the_extra_is_named(user: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "botocore.session", None)

    with pytest.raises(UsageError, match="sso_session") as caught:
        account({**user, "AWS_PROFILE": "single"}).keys("weights", "")
    assert caught.value.hints == ("pip install 'modelpm[s3]'",)
