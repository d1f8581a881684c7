"""Where else the bytes may be."""

from modelpm.network.mirrors import mirrored

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


def test_a_mirror_of_the_whole_source_takes_the_place_of_its_base() -> None:
    base = "https://hub.example/artifactory/api/hf"
    location = f"{base}/o/r/resolve/abc/m.gguf?x=1"
    mirrors = {"hf://": ("https://m.example/cache/",)}
    assert list(mirrored(mirrors, REFERENCE, location, base)) == ["https://m.example/cache/o/r/resolve/abc/m.gguf"]
    assert list(mirrored(mirrors, REFERENCE, "https://cdn.example/x/y", base)) == ["https://m.example/cache/x/y"]
