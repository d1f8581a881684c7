import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Reference, UsageError
from modelpm_s3.grammar import Place, encoded, parse, place, written

READ = {
    "weights": Reference("s3", "weights"),
    "weights/": Reference("s3", "weights"),
    "weights/acme/tiny": Reference("s3", "weights/acme/tiny"),
    "weights/acme/tiny/": Reference("s3", "weights/acme/tiny"),
    "weights/m.gguf@v-1_x.Y": Reference("s3", "weights/m.gguf", "v-1_x.Y"),
    "weights/acme:Q4_K_M": Reference("s3", "weights/acme", quantization="Q4_K_M"),
    "weights/acme@v1:fp16": Reference("s3", "weights/acme", "v1", quantization="fp16"),
    "weights/acme/*.gguf": Reference("s3", "weights/acme", file="*.gguf"),
    "weights/*/x.gguf": Reference("s3", "weights", file="*/x.gguf"),
    "weights/m:2.gguf": Reference("s3", "weights/m%3A2.gguf"),
    "weights/models@v1/x.gguf": Reference("s3", "weights/models%40v1/x.gguf"),
    "weights/dir with ä/x+1.bin": Reference("s3", "weights/dir with ä/x+1.bin"),
    "weights/a%40b": Reference("s3", "weights/a%40b"),
    "weights/100%25": Reference("s3", "weights/100%25"),
}
REFUSED = ["", "/x", "-w/x", "we ights/x", "weights/*.gguf@v1", "weights/*.gguf:Q4_K_M", "weights/%FF"]


@pytest.mark.parametrize("text", READ)
def test_a_reference_is_read(text: str) -> None:
    assert parse(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_none_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read s3://") as caught:
        parse(text)
    assert "s3://bucket/prefix" in caught.value.hints[0]


def test_a_place_is_the_key_as_the_server_has_it() -> None:
    assert place(parse("weights/a%40b/st%2Ar ä+")) == Place("weights", "a@b/st*r ä+")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.sampled_from([None, "v1"]))
def test_every_key_is_read_back_from_what_a_lock_writes(key: str, version: str | None) -> None:
    key = key.strip("/") or "x"
    reference = Reference("s3", written("weights", key), version)

    again = parse(str(reference).removeprefix("s3://"))

    assert again == reference
    assert place(again) == Place("weights", key)
    assert parse(f"weights/{encoded(key)}/sub:Q8_0").quantization == "Q8_0"
