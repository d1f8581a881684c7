"""Progress in a notebook: text in the output of the cell that runs, with a real kernel."""

import json
from pathlib import Path

import pytest

import modelpm
from modelpm.errors import UsageError
from tests.support.hub import Hub

CELLS = (
    "import modelpm\nmanager = modelpm.Manager(listener='bar')\nmanager.install('hf://acme/one').path",
    "manager.install('hf://acme/two').path",
    "manager.close()",
)


@pytest.mark.marathon
def test_each_cell_of_a_notebook_keeps_the_bars_of_its_own_work(
    hub: Hub, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = pytest.importorskip("nbclient")
    formats = pytest.importorskip("nbformat.v4")
    hub.add("acme/one", {"w.gguf": b"1" * (1 << 20)})
    hub.add("acme/two", {"w.gguf": b"2" * (2 << 20)})
    for name, value in {**clean_environ, "HF_ENDPOINT": hub.endpoint, "IPYTHONDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    notebook = formats.new_notebook(cells=[formats.new_code_cell(source) for source in CELLS])
    client.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    one, two, closing = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in one] == ["display_data", "execute_result"]
    for outputs, size in ((one, "1.0/1.0 MiB"), (two, "2.0/2.0 MiB")):
        text = outputs[0].data["text/plain"]
        assert "100%" in text
        assert size in text
        assert "\x1b" not in json.dumps(outputs)
    assert closing == []


def test_a_listener_is_chosen_by_name(clean_environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with modelpm.Manager(home=clean_environ["MODELPM_HOME"], listener="bar") as manager:
        manager.install("tiny")
    assert "100%" in capsys.readouterr().err
    with pytest.raises(UsageError, match="widgets"):
        modelpm.Manager(home=clean_environ["MODELPM_HOME"], listener="widgets")
