"""The command line: a thin user of the library, and the only package that prints or exits."""

_INTERRUPTED = 130  # `Interrupted.exit_code`, which may not be there yet


def main() -> None:
    """Run the command line; the console script."""
    try:
        from modelpm.cli.terminal.streams import claim

        claim()
        from modelpm.cli.main import cli
    except KeyboardInterrupt:  # Ctrl-C while the modules are still being read
        raise SystemExit(_INTERRUPTED) from None
    cli.main()
