"""Inspectors of others: they add findings, never clear one of ours, and what is wrong with them stops no other file."""

import pickle
import time
from collections.abc import Collection, Mapping

import pytest

from modelpm.api.cursor import Memory
from modelpm.api.inspection import ByteSource, Danger, Facts, Findings, Problem, ProblemKind
from modelpm.errors import PluginError
from modelpm.inspection.inspectors import Inspectors
from modelpm.plugins.kinds import inspector as kind
from modelpm.plugins.registry import Registry
from modelpm.plugins.waiting import GIVEN_UP_AFTER
from modelpm.testing import check_inspector
from tests.support.inspecting import Warnings, inspectors, registry
from tests.support.models import holding

CODE = b"\x80\x02cos\nsystem\nU\x01x\x85R."
VOX = b"VOX1" + bytes(60)


class Vox:
    """An inspector of a format of its own."""

    formats: Collection[str] = ("vox",)
    claims: Mapping[str, Collection[str]] = {".vox": ("vox",)}
    suspects: Collection[str] = ()

    def recognizes(self, head: bytes) -> bool:
        return head.startswith(b"VOX1")

    def inspect(self, source: ByteSource) -> Findings:
        return Findings("vox", Facts(architecture="voice", parameters=source.size))


class Soothing(Vox):
    """Calls everything its own and clean."""

    def recognizes(self, head: bytes) -> bool:
        return bool(head)


class Everything(Vox):
    def recognizes(self, head: bytes) -> bool:
        return head is not None


class Raising(Soothing):
    def inspect(self, source: ByteSource) -> Findings:
        raise SystemExit(source.size)


class Hanging(Soothing):
    def inspect(self, source: ByteSource) -> Findings:
        del source
        time.sleep(30)
        return Findings("vox")


class Lying(Soothing):
    def inspect(self, source: ByteSource) -> Findings:
        del source
        return "clean"  # type: ignore[return-value] # that is the point


class Alarmed(Soothing):
    def inspect(self, source: ByteSource) -> Findings:
        del source
        return Findings("gguf", danger=Danger.CODE, problems=(Problem(ProblemKind.DANGER, "a\x1b[31mlarm" * 200),))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "TIMES", 0.2 / GIVEN_UP_AFTER)


def test_a_format_of_its_own_is_known_with_facts_and_its_name_is_held() -> None:
    ours = inspectors(vox=Vox())
    assert ours.inspect(Memory(VOX), "a.vox") == Findings("vox", Facts(architecture="voice", parameters=64))
    assert [p.kind for p in ours.inspect(Memory(b"else"), "a.vox").problems] == [ProblemKind.LIE]


@pytest.mark.parametrize("stranger", [Soothing(), Raising(), Hanging(), Lying()])
def test_no_stranger_clears_a_pickle(stranger: Vox) -> None:
    warnings = Warnings()
    ours = inspectors(warnings, vox=stranger)
    for _ in range(3):
        assert ours.inspect(Memory(CODE), "m.bin").danger is Danger.CODE
        assert ours.inspect(Memory(pickle.dumps({})), "m.bin").danger is Danger.PICKLE
    broken = type(stranger) is not Soothing
    assert len(warnings.texts) == broken
    assert not broken or "stranger 1.0" in warnings.texts[0]


@pytest.mark.parametrize("stranger", [Raising(), Hanging(), Lying()])
def test_a_broken_inspector_of_the_files_own_format_refuses_it(stranger: Vox) -> None:
    ours = inspectors(vox=stranger)
    with pytest.raises(PluginError, match=r"stranger 1\.0"):
        ours.inspect(Memory(VOX), "a.vox")
    assert ours.inspect(Memory(holding("m.gguf", b"x")), "m.gguf").problems == ()


def test_a_stranger_adds_danger_and_its_texts_are_short_and_plain() -> None:
    found = inspectors(vox=Alarmed()).inspect(Memory(holding("m.gguf", b"x")), "m.gguf")
    assert (found.format, found.danger) == ("gguf", Danger.CODE)
    assert found.facts is not None
    assert len(found.problems[0].message) < 2000
    assert "\x1b" not in found.problems[0].message


def test_without_one_of_ours_nothing_is_judged() -> None:
    whole = registry()
    entries = tuple(entry for entry in whole.entries if entry.name != "pickle")
    with pytest.raises(PluginError, match="lacks the inspector `pickle`"):
        Inspectors.of(Registry(entries, whole.context), Inspectors((), (), inspectors().bus).bus)


def test_ours_hold_the_contract_that_others_are_held_against() -> None:
    made = {name: registry().get(kind.KIND, name).made for name in ("gguf", "safetensors", "onnx", "pickle")}
    for ending, name in ((".gguf", "gguf"), (".safetensors", "safetensors"), (".onnx", "onnx"), (".pkl", "pickle")):
        check_inspector(made[name], [holding(f"m{ending}", b"some bytes")])
    with pytest.raises(AssertionError, match="an empty file is not recognized"):
        check_inspector(Everything(), [VOX])
    with pytest.raises(AssertionError, match="returns Findings, not a str"):
        check_inspector(Lying(), [VOX])
