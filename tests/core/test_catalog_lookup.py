import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from modelpm.api import Catalog, CatalogText, FolderCatalog, NotFound, UsageError
from modelpm.api.events import Bus, Warned
from modelpm.catalog import Catalogs
from modelpm.catalog.place import Place
from modelpm.catalog.search import Wanted
from modelpm.errors import ModelpmError, PluginError
from modelpm.text.spec import CatalogSpec, parse_spec
from tests.support.catalogs import DictCatalog, model, release, variant, write_catalog
from tests.support.codes import coded


def parsed(text: str) -> CatalogSpec:
    spec = parse_spec(text)
    assert isinstance(spec, CatalogSpec)
    return spec


def catalogs(**named: Catalog) -> Catalogs:
    return Catalogs([(name, lambda catalog=catalog: catalog) for name, catalog in named.items()])  # type: ignore[misc]


def found(among: Catalogs, text: str = "", **wanted: Any) -> list[str]:
    return [match.card.id for match in among.search(Wanted(text, **wanted))]


class Raising:
    """A catalog whose every answer is a bug."""

    def ids(self) -> Iterable[str]:
        msg = "boom"
        raise RuntimeError(msg)

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        raise AssertionError(id)

    def about(self) -> CatalogText:
        msg = "boom"
        raise RuntimeError(msg)


def test_the_first_catalog_that_has_the_id_wins_and_the_full_name_always_works() -> None:
    both = catalogs(mine=DictCatalog([model("a")]), core=DictCatalog([model("a"), model("b")]))
    assert both.find("a").name == "mine/a"
    assert both.find("a", "core").name == "core/a"
    assert both.find("b").name == "core/b"
    assert both.names() == ("mine/a", "core/a", "core/b")
    assert both.catalogs == ("mine", "core")


def test_aliases_stand_for_ids_of_their_own_catalog_and_never_hide_one() -> None:
    first = DictCatalog([model("a")], 'schema = 1\n[aliases]\nb = "a"\na = "a"\nlost = "gone"')
    both = catalogs(one=first, two=DictCatalog([model("b"), model("lost")]))
    assert both.find("b").name == "one/a"
    assert both.find("b", "two").name == "two/b"
    assert both.find("lost").name == "two/lost"


COLON = 'schema = 1\n[aliases]\nqwen = "qwen-8b"\n"qwen:14b" = "qwen-14b"\n"qwen-8b:q4_k_m" = "qwen-14b"\n'


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("qwen", "core/qwen-8b"),
        ("qwen:14b", "core/qwen-14b"),
        ("core/Qwen:14B", "core/qwen-14b"),
        ("qwen:latest", "core/qwen-8b"),
        ("qwen-8b:latest", "core/qwen-8b"),
        ("qwen-8b:q5", "core/qwen-8b:q5"),  # which no release has: choosing says so
        ("qwen@1:14b", "core/qwen-8b@1:14b"),  # no alias has a release
        ("qwen-8b:q4_k_m", "core/qwen-14b"),  # the whole text is tried first
    ],
)
def test_a_whole_spec_may_be_an_alias_and_latest_is_the_recommended_variant(asked: str, meant: str) -> None:
    one = catalogs(core=DictCatalog([model("qwen-8b"), model("qwen-14b")], COLON))
    entry, spec = one.read(parsed(asked))
    assert (str(spec), entry.name) == (meant, meant.partition(":")[0].partition("@")[0])


def test_a_size_that_no_alias_has_is_answered_with_those_that_there_are() -> None:
    about = COLON + '"qwen:8b" = "qwen-8b"\n'
    one = catalogs(core=DictCatalog([model("qwen-8b"), model("qwen-14b")], about))
    with pytest.raises(NotFound, match="no model is called `qwen:12b`", check=coded("unknown_variant")) as caught:
        one.read(parsed("qwen:12b"))
    assert caught.value.hints == ("did you mean `qwen:14b` or `qwen:8b`?", "there are: qwen:14b, qwen:8b")
    assert one.read(parsed("qwen:q4_k_m"))[1].variant == "q4_k_m"


def test_a_variant_may_be_called_latest() -> None:
    one = catalogs(core=DictCatalog([model("abc", release=[release(variant=[variant("latest")])])]))
    assert str(one.read(parsed("abc:latest"))[1]) == "core/abc:latest"


def test_an_alias_with_a_colon_answers_for_no_id_of_a_catalog_before_it() -> None:
    both = catalogs(mine=DictCatalog([model("qwen")]), core=DictCatalog([model("qwen-14b")], COLON))
    assert str(both.read(parsed("qwen:14b"))[1]) == "mine/qwen:14b"
    assert str(both.read(parsed("core/qwen:14b"))[1]) == "core/qwen-14b"
    with pytest.raises(NotFound, match="no catalog has a model `qwem`"):
        both.read(parsed("qwem:14b"))


def test_an_unknown_id_is_answered_with_what_is_near() -> None:
    about = 'schema = 1\n[aliases]\nall-minilm = "all-minilm-l6-v2"'
    both = catalogs(
        core=DictCatalog([model("qwen3-8b"), model("all-minilm-l6-v2")], about), mine=DictCatalog([model("qwen3-80b")])
    )
    with pytest.raises(NotFound) as error:
        both.find("qwen3-8")
    assert error.value.code == "unknown_model"
    assert error.value.hints[0] == "did you mean `qwen3-8b` or `qwen3-80b`?"
    with pytest.raises(NotFound) as error:
        both.find("all-mini")
    assert "`all-minilm`" in error.value.hints[0]
    with pytest.raises(NotFound) as error:
        both.find("l6")
    assert error.value.hints[0] == "did you mean `all-minilm-l6-v2`?"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("qwen3-8b-q4_k_m", "qwen3-8b:q4_k_m"), ("q-q4_k_m", "q:q4_k_m"), ("other-q4_k_m", "two/other:q4_k_m")],
)
def test_a_variant_behind_a_dash_is_named_as_one(typed: str, meant: str) -> None:
    about = 'schema = 1\n[aliases]\nq = "qwen3-8b"'
    both = catalogs(one=DictCatalog([model("qwen3"), model("qwen3-8b")], about), two=DictCatalog([model("other")]))
    with pytest.raises(NotFound) as error:
        both.find(typed, None if "/" not in meant else "one")
    assert error.value.hints[0] == f"did you mean `{meant}`?"
    with pytest.raises(NotFound) as error:
        both.find("qwen3-8b-q9")
    assert ":" not in error.value.hints[0]


def test_an_id_of_another_catalog_is_named_in_full() -> None:
    both = catalogs(one=DictCatalog([model("a")]), two=DictCatalog([model("qwen")]))
    with pytest.raises(NotFound, match="catalog `one` has no model `qwen`") as error:
        both.find("qwen", "one")
    assert error.value.hints[0] == "did you mean `two/qwen`?"


HUB = "a repository of the Hugging Face Hub is written hf://{}/a"


def test_an_unknown_catalog_is_answered_with_what_there_is() -> None:
    one = catalogs(core=DictCatalog([]))
    with pytest.raises(UsageError) as error:
        one.find("a", "cor")
    assert (error.value.code, error.value.hints) == ("short_form", ("did you mean `core`?", HUB.format("cor")))
    with pytest.raises(UsageError) as error:
        one.find("a", "zzz")
    assert (error.value.exit_code, error.value.hints) == (2, ("there are: core", HUB.format("zzz")))


def test_a_broken_catalog_costs_only_itself() -> None:
    both = catalogs(broken=Raising(), core=DictCatalog([model("a")]))
    assert both.find("a").name == "core/a"
    assert found(both) == ["a"]
    assert both.names() == ("core/a",)
    assert [type(problem) for problem in both.problems] == [PluginError]
    with pytest.raises(PluginError, match="`broken` failed: RuntimeError: boom"):
        both.find("a", "broken")
    with pytest.raises(NotFound) as error:
        both.find("zzz")
    assert any("the catalog `broken` could not be read" in hint for hint in error.value.hints)


def test_a_catalog_that_cannot_be_opened_costs_only_itself() -> None:
    def opener() -> Catalog:
        msg = "no plugin"
        raise PluginError(msg)

    both = Catalogs([("gone", opener), ("core", lambda: DictCatalog([model("a")]))])
    assert both.find("a").name == "core/a"
    assert [problem.message for problem in both.problems] == ["no plugin"]


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "no folder": shutil.rmtree,
    "no models": lambda folder: shutil.rmtree(folder / "models"),
    "a newer schema": lambda folder: (folder / "catalog.toml").write_text("schema = 2"),
    "no TOML": lambda folder: (folder / "catalog.toml").write_text("schema = "),
    "no text": lambda folder: (folder / "catalog.toml").write_bytes(b"\xff"),
}


class Told:
    """Keeps every warning, also one that was told before."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings

    def take(self, happening: object) -> None:
        """Keep a warning, and pass over all else."""
        if isinstance(happening, Warned):
            self._warnings.append(happening.text)


def with_own(folder: Path, warnings: list[str]) -> Catalogs:
    """Return a folder of the user's, and behind it a catalog that comes with a plugin."""
    shipped = DictCatalog([model("tiny")], 'schema = 1\n[aliases]\nsmall = "tiny"')
    return Catalogs(
        [("acme", lambda: FolderCatalog(folder)), ("core", lambda: shipped)],
        places={"acme": Place.of("acme", str(folder))},
        bus=Bus((Told(warnings),)),
    )


@pytest.mark.parametrize("wanted", ["tiny", "small"])
@pytest.mark.parametrize("fault", UNREADABLE)
def test_no_other_model_is_taken_where_an_own_catalog_that_goes_before_cannot_be_read(
    tmp_path: Path, fault: str, wanted: str
) -> None:
    folder, warnings = write_catalog(tmp_path / "c", [model("tiny")]), list[str]()
    both = with_own(folder, warnings)
    assert both.find("tiny").name == "acme/tiny"
    UNREADABLE[fault](folder)
    with pytest.raises(UsageError, match="the catalog `acme` cannot be read") as refused:
        both.find(wanted)
    assert (refused.value.code, refused.value.exit_code) == ("unreadable_catalog", 2)
    assert f"`core/{wanted}`" in refused.value.hints[0]
    assert "`modelpm catalog remove acme`" in refused.value.hints[1]
    assert both.find("tiny", "core").name == "core/tiny"
    assert warnings == []


@pytest.mark.forbidden
def test_an_own_catalog_that_is_forbidden_cannot_be_read_either(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model("other")])
    (folder / "catalog.toml").chmod(0)
    with pytest.raises(UsageError, match="Permission denied"):
        with_own(folder, []).find("small")


@pytest.mark.parametrize("fault", UNREADABLE)
def test_an_own_catalog_that_cannot_be_read_is_told_where_all_are_listed(tmp_path: Path, fault: str) -> None:
    folder, warnings = write_catalog(tmp_path / "c", [model("tiny")]), list[str]()
    both = with_own(folder, warnings)
    UNREADABLE[fault](folder)
    assert found(both) == ["tiny"]
    assert both.names() == ("core/tiny",)
    assert set(warnings) == {f"the catalog `acme` is passed over: {both.problems[0]}"}
    with pytest.raises(ModelpmError, check=coded("unreadable_catalog", "invalid_catalog", "newer_schema")):
        both.cards("acme")
    with pytest.raises(NotFound) as missing:
        both.find("nosuch")
    assert any("the catalog `acme` could not be read" in hint for hint in missing.value.hints)


def test_a_catalog_need_not_say_anything_of_itself(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model("tiny")])
    (folder / "catalog.toml").unlink()
    both = with_own(folder, [])
    assert both.find("tiny").name == "acme/tiny"
    assert both.find("small").name == "core/tiny"
    assert both.about("acme").title == ""


def test_a_catalog_of_somebody_else_that_cannot_be_read_is_a_warning() -> None:
    warnings: list[str] = []
    names: list[tuple[str, Callable[[], Catalog]]] = [
        ("theirs", Raising),
        ("core", lambda: DictCatalog([model("tiny"), model("b", schema=9)])),
    ]
    both = Catalogs(names, bus=Bus((Told(warnings),)))
    assert both.find("tiny").name == "core/tiny"
    assert warnings == ["the catalog `theirs` is passed over: the catalog `theirs` failed: RuntimeError: boom"]
    warnings.clear()
    assert found(both) == ["tiny"]
    assert [re.split(" is passed| cannot be", text)[0] for text in warnings] == [
        "the catalog `theirs`",
        "the model `core/b`",
    ]


def test_a_catalog_is_opened_only_when_it_is_needed() -> None:
    opened: list[str] = []

    def opener() -> Catalog:
        opened.append("two")
        return DictCatalog([model("b")])

    both = Catalogs([("one", lambda: DictCatalog([model("a")])), ("two", opener)])
    both.find("a")
    assert opened == []
    both.find("b")
    both.find("b", "two")
    assert opened == ["two"]


@pytest.mark.parametrize("answer", ["schema = 1", None, b"schema = 1"])
def test_an_answer_of_the_wrong_type_is_the_plugins_fault(answer: object) -> None:
    class Wrong(DictCatalog):
        def get(self, id: str) -> CatalogText:  # noqa: A002, ARG002 - the contract's name
            return answer  # type: ignore[return-value]

    with pytest.raises(PluginError, match="not a CatalogText"):
        catalogs(wrong=Wrong([model("a")])).find("a")


def test_ids_of_the_wrong_type_are_the_plugins_fault_and_ids_outside_the_alphabet_are_left_out() -> None:
    class Numbers(DictCatalog):
        def ids(self) -> Iterable[str]:
            return [1]  # type: ignore[list-item]

    class Escaping(DictCatalog):
        def ids(self) -> Iterable[str]:
            return ["../a", "A", "a", "a"]

    with pytest.raises(PluginError, match="the catalog `wrong` failed: TypeError"):
        catalogs(wrong=Numbers([])).find("a", "wrong")
    assert catalogs(wrong=Escaping([model("a")])).names() == ("wrong/a",)


def test_a_model_with_a_newer_schema_is_passed_over_with_a_note_and_an_error_where_it_is_asked_for() -> None:
    one = catalogs(core=DictCatalog([model("a"), model("b", schema=9)]))
    assert found(one) == ["a"]
    assert [problem.code for problem in one.problems] == ["invalid_catalog"]
    assert len(one.problems) == len(found(one))  # the same note is not taken twice
    with pytest.raises(UsageError) as error:
        one.find("b")
    assert error.value.code == "newer_schema"


def test_a_model_whose_id_is_not_its_files_name_is_refused(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model("a")])
    (folder / "models" / "a.toml").rename(folder / "models" / "b.toml")
    with pytest.raises(UsageError, match=r'b\.toml: `id` is `"a"`, but must be `b`'):
        catalogs(mine=FolderCatalog(folder)).find("b")


LIBRARY = DictCatalog(
    [
        model("small-qwen", title="Small", description="Chats.", tasks=["chat"], tags=["tiny"], license="mit"),
        model("qwen", title="Qwen", tasks=["chat"], license="Apache-2.0"),
        model("qwen-coder", title="Coder", description="Writes programs.", tasks=["code"]),
        model("minilm", description="Like qwen, but embeds.", release=[release(variant=[variant(format="onnx")])]),
        model("other", title="A Qwen derivative", tags=["Qwen-like"]),
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["minilm", "other", "qwen", "qwen-coder", "small-qwen"]),
        ("QWEN", ["qwen", "qwen-coder", "small-qwen", "other", "minilm"]),
        ("qwen chat", ["qwen", "small-qwen"]),
        ("tiny", ["small-qwen"]),
        ("programs", ["qwen-coder"]),
        ("nothing", []),
    ],
)
def test_search_finds_every_word_anywhere_and_ranks_ids_first(text: str, expected: list[str]) -> None:
    assert found(catalogs(core=LIBRARY), text) == expected


NAMES = DictCatalog(
    [
        model("llama-3.1-8b-instruct", title="Llama 3.1 8B", tasks=["chat"]),
        model("llama-3.2-3b-instruct", title="Llama 3.2 3B", tasks=["chat"]),
        model("stable-diffusion-v1-5", title="Stable Diffusion v1.5", tasks=["text-to-image"]),
        model("kokoro-82m", tasks=["text-to-speech"], description="Reads what that sentence says."),
        model("whisper-base", tasks=["automatic-speech-recognition"]),
    ],
    'schema = 1\n[aliases]\n"llama3.2" = "llama-3.2-3b-instruct"\n"llama3.2:3b" = "llama-3.2-3b-instruct"\n'
    '"sd1.5" = "stable-diffusion-v1-5"\n',
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("llama3.1", ["llama-3.1-8b-instruct"]),
        ("LLAMA_3.1", ["llama-3.1-8b-instruct"]),
        ("llama 3.2", ["llama-3.2-3b-instruct"]),
        ("llama3.2:3b", ["llama-3.2-3b-instruct"]),
        ("llama3", ["llama-3.1-8b-instruct", "llama-3.2-3b-instruct"]),
        ("sd1.5", ["stable-diffusion-v1-5"]),
        ("SD 1.5", ["stable-diffusion-v1-5"]),
        ("tts", ["kokoro-82m"]),
        ("speech to text", ["whisper-base", "kokoro-82m"]),
        ("whispr", ["whisper-base"]),
        ("lama 8b", ["llama-3.1-8b-instruct"]),
        ("difusion", ["stable-diffusion-v1-5"]),
        ("tth", []),  # in no word, only where two meet
        ("...", ["kokoro-82m", "llama-3.1-8b-instruct", "llama-3.2-3b-instruct"]),
    ],
)
def test_search_forgives_punctuation_and_spelling(text: str, expected: list[str]) -> None:
    assert found(catalogs(core=NAMES), text)[:3] == expected


def test_search_filters_by_task_licence_and_format() -> None:
    one = catalogs(core=LIBRARY)
    assert found(one, task="Chat") == ["qwen", "small-qwen"]
    assert found(one, "qwen", license="apache-2.0") == ["qwen"]
    assert found(one, format="ONNX") == ["minilm"]
    assert found(catalogs(core=NAMES), task="TTS") == ["kokoro-82m"]


def test_a_folder_is_a_catalog(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model("b"), model("a")], {"title": "Mine", "aliases": {"x": "a"}})
    (folder / "models" / "README.md").write_text("not a model")
    (folder / "models" / "Not An Id.toml").write_text("")
    one = catalogs(mine=FolderCatalog(folder))
    assert one.names() == ("mine/a", "mine/b")
    assert one.find("x").id == "a"
    assert one.about("mine").title == "Mine"


@pytest.mark.parametrize("id_", ["../secret", "a/b", "A", "", "gone"])
def test_a_folder_answers_for_its_own_models_only(tmp_path: Path, id_: str) -> None:
    (tmp_path / "secret.toml").write_text("schema = 1")
    with pytest.raises(NotFound, match=r"has no model `|gone.toml does not exist"):
        FolderCatalog(write_catalog(tmp_path / "c", [model("a")])).get(id_)


def test_a_folder_that_is_none_says_what_a_catalog_is(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        FolderCatalog(tmp_path / "gone").ids()
    assert "catalog.toml" in error.value.hints[0]
    with pytest.raises(NotFound, match=r"catalog\.toml does not exist"):
        FolderCatalog(tmp_path).about()


def test_a_file_that_is_no_text_or_too_big_is_refused(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [])
    (folder / "models" / "a.toml").write_bytes(b"\xff")
    (folder / "models" / "b.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="UTF-8"):
        FolderCatalog(folder).get("a")
    with pytest.raises(UsageError, match="larger than 1048576 bytes"):
        FolderCatalog(folder).get("b")
