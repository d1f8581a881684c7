"""The names of the library: all that a caller needs is a name of ``modelpm``; names of before work, and warn once."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelpm
from tests.support.models import folder_of


@pytest.mark.parametrize("name", sorted(modelpm.__all__))
def test_every_public_name_is_there_and_is_shown(name: str) -> None:
    assert getattr(modelpm, name) is not None
    assert name in dir(modelpm)


def test_what_is_not_a_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = modelpm.Nothing  # type: ignore[attr-defined]


OLD: dict[str, Callable[[Any, str], object]] = {
    "install_all": lambda manager, spec: manager.install_all([spec]).models[0].name,
    "uninstall_all": lambda manager, _spec: manager.uninstall_all(["m"]).changes[0].name,
    "take_over": lambda manager, spec: manager.take_over(spec.removeprefix("file://")).rows,
    "housekeeping": lambda manager, _spec: manager.housekeeping.sizes(),
}


def test_old_names_of_verbs_work_and_warn(tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "m", {"m.gguf": b"m" * 100})
    with modelpm.Manager(home=tmp_path / "home") as manager:
        for name, call in OLD.items():
            with pytest.warns(DeprecationWarning, match=f"Manager.{name} is Manager."):
                assert call(manager, spec)
        with pytest.raises(AttributeError, match="no attribute 'uninstal'"):
            _ = manager.uninstal


def test_new_names_do_not_warn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with modelpm.Manager(home=tmp_path / "home", offline=True) as manager:
            assert manager.list().rows == manager.installed() == ()
            assert manager.search("tiny").rows[0].id == "tiny"


def test_one_spec_is_a_model_and_several_are_a_result(tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "m", {"m.gguf": b"m" * 100})
    with modelpm.Manager(home=tmp_path / "home") as manager:
        assert isinstance(manager.install(spec), modelpm.InstalledModel)
        result = manager.install([spec, "no-such-model"])
        assert isinstance(result, modelpm.Result)
        assert [model.name for model in result.models] == ["m"]
        with pytest.raises(modelpm.NotFound):
            result.raised()
        assert manager.uninstall("m").changes[0].name == "m"
        with pytest.raises(modelpm.NotFound):
            manager.uninstall("m")
        assert [error.code for error in manager.uninstall(["m"]).errors] == [modelpm.Code.NOT_INSTALLED]
