"""Virtual environments in which ``modelpm`` is a copy, for the installed command in children, too."""

import sysconfig
import venv
from pathlib import Path

_PARTS = ("core", "plugins", "catalogs")
_COMMAND = "#!{python}\nimport sys\nfrom modelpm.cli import main\nsys.exit(main())\n"


def make_environment(folder: Path, repository: Path, *, startup: str = "") -> Path:
    """Make a virtual environment over a copy of the repository; everything else comes from the one that runs.

    Args:
        folder: Where to; must not exist.
        repository: Holds ``core``, ``plugins`` and ``catalogs``.
        startup: A line of Python that every interpreter of it runs first.

    Returns:
        Its interpreter.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    here, there = Path(sysconfig.get_path("scripts")), folder / "bin"
    paths = [*(repository / part for part in _PARTS), sysconfig.get_path("purelib")]
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (site / "modelpm-mutation.pth").write_text("".join(f"{line}\n" for line in (*paths, startup) if line))
    for script in here.iterdir():
        if script.name != "modelpm" and not (there / script.name).exists():
            (there / script.name).symlink_to(script)
    command = there / "modelpm"
    command.write_text(_COMMAND.format(python=there / "python"))
    command.chmod(0o755)
    return there / "python"
