"""Where else the bytes may be."""

from modelpm.mirrors import mirrored

REFERENCE = "hf://o/r@abc/dir/m.gguf"
LOCATION = "https://hub.example/o/r/resolve/abc/dir/m.gguf?token=secret"


def places(mirrors: dict[str, tuple[str, ...]]) -> list[str]:
    return list(mirrored(mirrors, REFERENCE, LOCATION))


def test_a_scheme_swaps_the_origin_and_loses_the_query() -> None:
    assert places({"hf://": ("https://m.example/", "https://n.example/hub")}) == [
        "https://m.example/o/r/resolve/abc/dir/m.gguf",
        "https://n.example/hub/o/r/resolve/abc/dir/m.gguf",
    ]


def test_a_longer_prefix_of_the_reference_is_replaced_as_text_and_comes_first() -> None:
    assert places({"hf://": ("https://m/",), "hf://o/": ("file:///mnt/o/",)}) == [
        "file:///mnt/o/r@abc/dir/m.gguf",
        "https://m/o/r/resolve/abc/dir/m.gguf",
    ]


def test_a_prefix_of_the_location_is_replaced_as_text() -> None:
    assert places({"https://hub.example/": ("https://m/cache/",)}) == ["https://m/cache/o/r/resolve/abc/dir/m.gguf"]


def test_what_does_not_fit_is_left_alone() -> None:
    assert places({"hf://other/": ("https://m/",), "https://": ("https://m/",)}) == []
