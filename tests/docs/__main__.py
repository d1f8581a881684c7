"""Write all that is generated: pages, manuals, sessions, and the lowered baseline of the ban list.

``python -m tests.docs``; a session that fails stops it. ``python -m tests.docs quick`` leaves the sessions out.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

from tests.docs import generated, man, sessions, style
from tests.support.hub import running_hub

for name, make in generated.PAGES.items():
    (generated.DOCS / name).write_text(make(), encoding="utf-8")
man.FOLDER.mkdir(exist_ok=True)
for path in man.FOLDER.iterdir():
    path.unlink()
for name, text in man.pages().items():
    (man.FOLDER / name).write_text(text, encoding="utf-8")
logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the Hub's log
for name, text in sessions.PAGES.items() if sys.argv[1:] != ["quick"] else ():
    with running_hub() as hub, tempfile.TemporaryDirectory() as folder:
        environ = {"PATH": os.environ["PATH"], "HOME": folder, "MODELPM_HOME": f"{folder}/home/modelpm"}
        page = sessions.Place.of(Path(folder), environ, hub).page(text)
    (sessions.ROOT / name).write_text(page, encoding="utf-8")
style.lower()
