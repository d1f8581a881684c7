from datetime import UTC, datetime

import pytest

from modelpm.api import Secret
from modelpm_s3.grammar import Place
from modelpm_s3.service import Service
from modelpm_s3.signing import Keys, signature

# The examples of AWS's own documentation of Signature Version 4.
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), None, "the documentation")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "https://examplebucket.s3.amazonaws.com"
EXAMPLES = {
    "/?lifecycle": "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    "/?max-keys=2&prefix=J": "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
}


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_examples_of_the_documentation_are_signed_as_they_say(path: str) -> None:
    signed = signature(KEYS, "us-east-1", "GET", HOST + path, {}, NOW)

    assert signed["Authorization"].endswith(f"Signature={EXAMPLES[path]}")
    assert signed["x-amz-date"] == "20130524T000000Z"


def test_headers_of_s3_and_the_token_of_a_session_are_signed_and_a_range_is_not() -> None:
    keys = Keys("AKID", Secret("secret"), Secret("session-token"), "")

    signed = signature(keys, "eu-west-1", "HEAD", HOST + "/x", {"X-Amz-Checksum-Mode": "ENABLED", "Range": "x"}, NOW)

    assert (
        "SignedHeaders=host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date;x-amz-security-token"
        in (signed["Authorization"])
    )
    assert signed["x-amz-security-token"] == "session-token"
    assert "/20130524/eu-west-1/s3/aws4_request" in signed["Authorization"]


def test_two_spellings_of_a_path_have_one_signature_and_dots_stay() -> None:
    plain, odd = "/a b/%2E%2E/x+1~", "/%61%20b/../x%2B1%7E"
    spelled = [signature(KEYS, "us-east-1", "GET", f"{HOST}{path}", {}, NOW)["Authorization"] for path in (plain,)]

    assert spelled[0] != signature(KEYS, "us-east-1", "GET", f"{HOST}{odd}", {}, NOW)["Authorization"]
    assert (
        spelled[0] == signature(KEYS, "us-east-1", "GET", f"{HOST}/%61%20b/%2e%2e/x%2B1%7E", {}, NOW)["Authorization"]
    )


AWS = Service()
URLS = {
    (AWS, "weights", "a/b.gguf", "eu-west-1"): "https://weights.s3.eu-west-1.amazonaws.com/a/b.gguf",
    (AWS, "we.ights", "a b+ä", "eu-west-1"): "https://s3.eu-west-1.amazonaws.com/we.ights/a%20b%2B%C3%A4",
    (AWS, "weights", "x", "cn-north-1"): "https://weights.s3.cn-north-1.amazonaws.com.cn/x",
    (AWS, "weights", "", "us-east-1"): "https://weights.s3.us-east-1.amazonaws.com/",
    (Service("https://h:9/s3", in_host=False), "weights", "x", ""): "https://h:9/s3/weights/x",
    (Service("https://h:9/s3", in_host=False), "weights", "", ""): "https://h:9/s3/weights",
    (Service("https://oss.example", in_host=True), "weights", "x", ""): "https://weights.oss.example/x",
    (Service("http://h", in_host=False), "weights", "a/../b//c/.", ""): "http://h/weights/a/%2E%2E/b//c/%2E",
}


@pytest.mark.parametrize("given", URLS)
def test_an_object_has_a_url_which_says_what_it_is_of(given: tuple[Service, str, str, str]) -> None:
    service, bucket, key, region = given

    url = service.url(Place(bucket, key), region)

    assert url == URLS[given]
    assert service.place(url) == (Place(bucket, key), region)


NOT_OURS = [
    (AWS, "https://weights.s3.eu-west-1.amazonaws.com.evil.example/x"),
    (AWS, "http://weights.s3.eu-west-1.amazonaws.com/x"),
    (AWS, "https://evil.example/s3.amazonaws.com/x"),
    (Service("https://h"), "https://evil-h/weights/x"),
    (Service("https://h"), "http://h/weights/x"),
    (Service("https://h/s3"), "https://h/other/weights/x"),
]


@pytest.mark.parametrize(("service", "url"), NOT_OURS)
def test_a_url_of_another_server_is_none_of_the_service(service: Service, url: str) -> None:
    assert service.place(url) is None


def test_hosts_of_aws_in_older_spellings_are_known() -> None:
    assert AWS.place("https://weights.s3.amazonaws.com/x") == (Place("weights", "x"), "")
    assert AWS.place("https://weights.s3-eu-west-1.amazonaws.com/x") == (Place("weights", "x"), "eu-west-1")
    assert AWS.place("https://s3.dualstack.eu-west-1.amazonaws.com/weights/x") == (Place("weights", "x"), "eu-west-1")
