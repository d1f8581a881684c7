"""Signatures of OpenSSF model signing: who signed, and in which of many ways a signature does not count."""

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Severity, UsageError
from modelpm.api.attesting import Attestation, Claim, Trusted
from modelpm.testing import check_attestor
from modelpm_signing import ModelSigning
from tests.support.signing import DAY, Signer, certified, digests_of, signer, statement

DATA = Path(__file__).with_name("data") / "model-signing"
FILES = {"config.json": "a" * 64, "sub/w.bin": "b" * 64}
CLAIM = Claim({**FILES, "model.sig": "c" * 64}, ("model.sig",), is_whole=True)
ROOT = certified("root", authority=True)
KEY = signer()


def by_key(*signers: Signer) -> Trusted:
    return Trusted(keys={f"{number}.pem": each.pem for number, each in enumerate(signers)})


def by_root(*subjects: str, root: Signer = ROOT) -> Trusted:
    return Trusted(certificates={"root.pem": root.certificate}, subjects=subjects)


def judged(signature: bytes, trusted: Trusted, claim: Claim = CLAIM) -> Attestation:
    found = ModelSigning().attest(signature, claim, trusted)
    assert found is not None
    return found


def codes(found: Attestation) -> list[str]:
    return [finding.code for finding in found.findings if finding.severity is Severity.REJECT]


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_it_keeps_the_contract_with_every_curve(curve: ec.EllipticCurve) -> None:
    own = signer(curve)
    found = check_attestor(ModelSigning(), own.sign(FILES), CLAIM, by_key(signer(), own), steps=16)
    assert found == f"key sha256:{own.print}"


def test_it_keeps_the_contract_with_certificates() -> None:
    between = certified("between", ROOT, authority=True)
    own = certified("Ada", between, mail="ada@acme.example")
    trusted = by_root("ada@acme.example")
    found = check_attestor(ModelSigning(), own.sign(FILES), CLAIM, trusted, steps=16)
    assert found == "certificate ada@acme.example"
    assert judged(own.sign(FILES), by_root("Ada")).signer == found
    assert judged(own.sign(FILES), by_root("CN=Ada")).signer == found
    assert judged(own.sign(FILES), by_root()).signer == found


EXPIRED = certified("old root", authority=True, valid=(-9 * DAY, -DAY))
FOREIGN = certified("other root", authority=True)
PRETENDER = certified("pretender", certified("leaf", ROOT))
REFUSED: dict[str, tuple[str, Signer, Trusted]] = {
    "another key": ("wrong_key", signer(), by_key(KEY)),
    "no key": ("wrong_key", KEY, Trusted()),
    "a key of another scheme": ("wrong_key", KEY, Trusted(keys={"x": b"untrusted comment"})),
    "another root": ("untrusted_certificate", certified("a", FOREIGN), by_root()),
    "no root": ("untrusted_certificate", certified("a", ROOT), by_key(KEY)),
    "a leaf as authority": ("untrusted_certificate", PRETENDER, by_root()),
    "another subject": ("wrong_subject", certified("a", ROOT, mail="eve@acme.example"), by_root("ada@acme.example")),
    "expired": ("expired", certified("a", ROOT, valid=(-9 * DAY, -DAY)), by_root()),
    "of an expired authority": ("expired", certified("a", EXPIRED), by_root(root=EXPIRED)),
    "not yet valid": ("not_yet_valid", certified("a", ROOT, valid=(DAY, 2 * DAY)), by_root()),
    "not for signatures": ("wrong_usage", certified("a", ROOT, usage=False), by_root()),
}


@pytest.mark.parametrize("what", REFUSED)
def test_each_signer_that_does_not_count_is_told_apart(what: str) -> None:
    code, own, trusted = REFUSED[what]
    found = judged(own.sign(FILES), trusted)
    assert (found.signer, codes(found)) == ("", [code])


@pytest.mark.parametrize(
    ("digests", "is_whole", "expected"),
    [
        ({**FILES, "config.json": "0" * 64}, True, ["changed"]),
        ({**FILES, "x.py": "0" * 64}, True, ["extra"]),
        ({"config.json": "a" * 64}, True, ["missing"]),
        ({"config.json": "a" * 64}, False, []),
        ({"config.json": "0" * 64, "x.py": "0" * 64}, True, ["changed", "extra", "missing"]),
        ({**FILES, ".gitattributes": "0" * 64, ".git/config": "0" * 64}, True, []),
        ({**FILES, ".gitx": "0" * 64, "other.sig": "0" * 64}, True, ["extra"]),
    ],
)
def test_other_files_than_those_that_were_signed_are_told_apart(
    digests: dict[str, str], is_whole: bool, expected: list[str]
) -> None:
    found = judged(KEY.sign(FILES), by_key(KEY), Claim({**digests, "model.sig": "c" * 64}, ("model.sig",), is_whole))
    assert (bool(found.signer), codes(found)) == (True, expected)


def altered(change: Callable[[dict[str, Any]], object], own: Signer = KEY) -> bytes:
    bundle = json.loads(own.sign(FILES))
    change(bundle)
    return json.dumps(bundle).encode()


def other_payload(bundle: dict[str, Any]) -> None:
    payload = json.dumps(statement({**FILES, "config.json": "0" * 64})).encode()
    bundle["dsseEnvelope"]["payload"] = b64encode(payload).decode()


def other_sig(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = b64encode(b"0" * 70).decode()


def material(own: Signer = KEY, **changes: Any) -> bytes:
    return altered(lambda bundle: bundle["verificationMaterial"].update(changes), own)


def predicate(*rows: tuple[object, str, str], method: str = "files") -> bytes:
    resources = [{"name": name, "algorithm": algorithm, "digest": digest} for name, algorithm, digest in rows]
    return KEY.sign(FILES, predicate={"serialization": {"method": method}, "resources": resources})


def certificates(*raw: str) -> dict[str, Any]:
    return {"certificates": [{"rawBytes": each} for each in raw]}


LEAF = certified("a", ROOT)
ODD: dict[str, tuple[bytes, str]] = {
    "other payload": (altered(other_payload), "bad_signature"),
    "other signature": (altered(other_sig), "bad_signature"),
    "other payload, certificate": (altered(other_payload, LEAF), "bad_signature"),
    "another key's hint": (material(publicKey={"hint": "0" * 64}, own=signer()), "wrong_key"),
    "no hint": (material(publicKey={}, own=signer()), "wrong_key"),
    "without a payload": (altered(lambda b: b["dsseEnvelope"].pop("payload")), "malformed"),
    "two signatures": (altered(lambda b: b["dsseEnvelope"]["signatures"].append({})), "malformed"),
    "odd base64": (altered(lambda b: b["dsseEnvelope"].update(payload="?")), "malformed"),
    "a hint that is a list": (material(publicKey={"hint": [1]}), "malformed"),
    "no material": (altered(lambda b: b.update(verificationMaterial=5)), "malformed"),
    "a certificate of noise": (material(x509CertificateChain=certificates("aaaa")), "malformed"),
    "many certificates": (material(x509CertificateChain=certificates(*["aaaa"] * 11)), "malformed"),
    "keyless": (material(certificate={}), "unsupported"),
    "another type": (KEY.bundle(b"{}", "text/plain"), "unsupported"),
    "another predicate": (KEY.sign(FILES, predicateType="https://slsa.dev/provenance/v1"), "unsupported"),
    "shards": (predicate(method="shards"), "unsupported"),
    "another digest": (predicate(("a", "blake3", "00")), "unsupported"),
    "not JSON inside": (KEY.bundle(b"{"), "malformed"),
    "a list inside": (KEY.bundle(b"[]"), "malformed"),
    "no subject": (KEY.sign(FILES, subject=[]), "malformed"),
    "another sum": (KEY.sign(FILES, subject=[{"name": "m", "digest": {"sha256": "0" * 64}}]), "malformed"),
    "a name that is a number": (predicate((5, "sha256", "0" * 64)), "malformed"),
    "a short digest": (predicate(("a", "sha256", "00")), "malformed"),
    "a file twice": (predicate(*[("a", "sha256", "0" * 64)] * 2), "malformed"),
}


@pytest.mark.parametrize("what", ODD)
def test_a_bundle_that_is_odd_never_counts(what: str) -> None:
    signature, code = ODD[what]
    found = judged(signature, replace(by_root(), keys=by_key(KEY).keys))
    assert (found.signer, codes(found)) == ("", [code])


@pytest.mark.parametrize("data", [b"", b"{}", b"\x89PGP", b"[" * 100_000, b'{"mediaType": "text/plain"}', b"untrusted"])
def test_other_bytes_are_of_another_scheme(data: bytes) -> None:
    assert ModelSigning().attest(data, CLAIM, by_key(KEY)) is None


BUNDLE = KEY.sign(FILES)  # each signature of a key is another one


@given(st.data())
def test_no_damage_makes_another_model_count(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(BUNDLE) - 1))
    damaged = BUNDLE[:at] + data.draw(st.binary(max_size=3)) + BUNDLE[at + data.draw(st.integers(0, 3)) :]
    other = replace(CLAIM, digests={**CLAIM.digests, "config.json": "0" * 64})
    found = ModelSigning().attest(damaged, other, by_key(KEY))
    assert found is None or codes(found)


CERTIFIED = certified("Ada", certified("between", ROOT, authority=True), mail="ada@acme.example")


@given(
    st.integers(0, 1),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_no_damage_to_a_certificate_makes_it_count(which: int, flips: list[tuple[float, int]]) -> None:
    bundle = json.loads(CERTIFIED.sign(FILES))
    found = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    raw = bytearray(b64decode(found[which]["rawBytes"]))
    for place, bits in {int(place * len(raw)): bits for place, bits in flips}.items():
        raw[place] ^= bits
    found[which]["rawBytes"] = b64encode(raw).decode()
    assert judged(json.dumps(bundle).encode(), by_root()).signer == ""


PRIVATE = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
NOISE = b"-----BEGIN PUBLIC KEY-----\nnoise\n"


@pytest.mark.parametrize("key", [NOISE, KEY.key.private_bytes(*PRIVATE), signer(ec.SECP256K1()).pem])
def test_a_key_that_is_none_is_the_users_mistake(key: bytes) -> None:
    with pytest.raises(UsageError, match=r"x\.pem is not a"):
        judged(KEY.sign(FILES), Trusted(keys={"x.pem": key}))
    with pytest.raises(UsageError, match=r"x\.pem is not a certificate"):
        judged(LEAF.sign(FILES), Trusted(certificates={"x.pem": b"noise"}))


@pytest.mark.parametrize(
    ("name", "trusted", "who"),
    [
        ("key.sig", Trusted(keys={"key.pub": (DATA / "key.pub").read_bytes()}), "key sha256:"),
        ("certificate.sig", Trusted(certificates={"root.pem": (DATA / "root.pem").read_bytes()}), "certificate ada@"),
    ],
)
def test_what_the_tool_itself_signed_counts(name: str, trusted: Trusted, who: str) -> None:
    digests = digests_of(DATA / "model")
    signature = (DATA / name).read_bytes()
    claim = Claim({**digests, "model.sig": "0" * 64}, ("model.sig",), is_whole=True)
    assert check_attestor(ModelSigning(), signature, claim, trusted, steps=16).startswith(who)
    assert json.loads(b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))["subject"][0]["name"] == "model"


@pytest.mark.marathon
def test_the_tool_and_this_plugin_agree(tmp_path: Path) -> None:
    tool = shutil.which("model_signing")
    if tool is None:
        pytest.skip("needs model_signing on the path: pip install model-signing pyopenssl")

    def agrees(*arguments: str) -> bool:
        return subprocess.run([tool, *arguments], cwd=tmp_path, capture_output=True, check=False).returncode == 0

    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "sub" / "w.bin").write_bytes(b"weights" * 100)
    own = certified("Ada", certified("between", ROOT, authority=True), mail="ada@acme.example")
    (tmp_path / "key").write_bytes(own.key.private_bytes(*PRIVATE))
    (tmp_path / "pub").write_bytes(own.pem)
    (tmp_path / "leaf").write_bytes(own.certificate)
    (tmp_path / "between").write_bytes(own.chain[1].public_bytes(serialization.Encoding.PEM))
    (tmp_path / "root").write_bytes(ROOT.certificate)
    material = ["--private_key", "key", "--signing_certificate", "leaf", "--certificate_chain", "between"]
    assert agrees("sign", "key", "model", "--signature", "a.sig", "--private_key", "key")
    assert agrees("sign", "certificate", "model", "--signature", "b.sig", *material)
    for change in (None, "config.json", "extra.py"):
        if change is not None:
            (model / change).write_text("changed")
        claim = Claim({**digests_of(model), "a.sig": "0" * 64}, ("a.sig",), is_whole=True)
        (tmp_path / "c.sig").write_bytes(replace(own, chain=()).sign(digests_of(model)))
        assert agrees("verify", "key", "model", "--signature", "c.sig", "--public_key", "pub")
        for name, trusted, how in (
            ("a.sig", by_key(own), ["key", "model", "--signature", "a.sig", "--public_key", "pub"]),
            ("b.sig", by_root(), ["certificate", "model", "--signature", "b.sig", "--certificate_chain", "root"]),
        ):
            counts = not codes(judged((tmp_path / name).read_bytes(), trusted, claim))
            assert counts is agrees("verify", *how) is (change is None)
