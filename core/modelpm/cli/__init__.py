"""The command line: a thin user of the library, and the only package that prints or exits."""

import gc

_OBJECTS = 100_000  # a start makes half as many, and nearly all of them stay
_INTERRUPTED = 130  # `Interrupted.exit_code`, which may not be there yet


def main() -> None:
    """Run the command line; the console script."""
    gc.set_threshold(_OBJECTS)  # with the default, the search for garbage takes a twentieth of an install
    try:
        from modelpm.cli.terminal.streams import claim

        claim()
        from modelpm.cli.main import cli
    except KeyboardInterrupt:  # Ctrl-C while the modules are still being read
        raise SystemExit(_INTERRUPTED) from None
    cli.main()
