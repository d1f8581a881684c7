"""Record the picture of the README from a real run: ``python -m tests.docs.recording``.

The commands run in a terminal of this machine, against a Hub of this machine whose files are small. The picture is the
screen in the middle of the download.
"""

import io
import os
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.docs.generated import DOCS
from tests.docs.sessions import SHOWN_HOME
from tests.support.hub import running_hub
from tests.support.models import sized
from tests.support.terminal import Terminal, terminal

PICTURE = DOCS / "terminal.svg"
_REPO = "Qwen/Qwen3-4B"
_SIZES = {f"model-0000{number}-of-00003.safetensors": 12 << 20 for number in (1, 2, 3)}
_SESSION = f"""
run() {{ printf '$ %s\\n' "$*"; "$@"; }}
run modelpm install tiny
run modelpm list
run modelpm install hf://{_REPO}
"""
_WIDTH = 92
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # they would be fetched from elsewhere


def picture(screen: Terminal, home: str) -> str:
    """Return the screen as SVG."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    for row in screen.styled:
        line = Text()
        for text, color, bold in row:
            line.append(text.replace(home, SHOWN_HOME), f"{'bold ' if bold else ''}{color}")
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    return _FONTS.sub("", console.export_svg(title="modelpm", unique_id="modelpm"))


def record() -> str:
    """Run the session; return its picture."""
    with running_hub() as hub, tempfile.TemporaryDirectory() as folder:
        files = {name: sized(name, size, name) for name, size in _SIZES.items()}
        hub.add(_REPO, {**files, "config.json": b"{}", "tokenizer.json": b"{}"})
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        home = f"{folder}/modelpm"
        environ = {"PATH": path, "HOME": folder, "MODELPM_HOME": home, "HF_ENDPOINT": hub.endpoint}
        environ |= {"LANG": "C.UTF-8", "MODELPM_LIMIT_RATE": "12M"}
        ran = terminal(env=environ, cwd=Path(folder), size=(_WIDTH, 24), script=_SESSION)
        try:
            ran.read(lambda: any(re.search(r"Total .* [5-7]\d%", row) for row in ran.screen))
            return picture(ran, home)
        finally:
            ran.end()


if __name__ == "__main__":
    PICTURE.write_text(record(), encoding="utf-8")
