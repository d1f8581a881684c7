"""The command line: a thin user of the library, and the only package that prints or exits."""


def main() -> None:
    """Run the command line; the console script."""
    from modelpm.cli.terminal.streams import claim

    claim()
    from modelpm.cli.main import cli

    cli.main()
