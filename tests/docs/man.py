"""Manual pages, one for modelpm and one for each verb, from the commands themselves."""

from collections.abc import Iterator, Mapping, Sequence

import click

from modelpm.cli.main import cli
from modelpm.cli.options import GLOBALS
from modelpm.cli.verbs import VERBS
from tests.docs.generated import DOCS

FOLDER = DOCS / "man"


def pages() -> Mapping[str, str]:
    """Return each page by the name of its file."""
    context = click.Context(cli, info_name="modelpm", **cli.context_settings)
    found = {"modelpm.1": _page("modelpm", "package manager for model weights", _overview())}
    for name, verb in VERBS.items():
        command = cli.get_command(context, name)
        if command is not None:
            body = [*_command(command, name, context), ".SH SEE ALSO", ".BR modelpm (1)"]
            found[f"modelpm-{name}.1"] = _page(f"modelpm-{name}", verb.help, body)
    return found


def _page(name: str, summary: str, body: Sequence[str]) -> str:
    head = [f".TH {name.upper()} 1", ".SH NAME", f"{_text(name)} \\- {_text(summary[:1].lower() + summary[1:])}"]
    return "\n".join([*head, *body, ""])


def _overview() -> list[str]:
    lines = [".SH SYNOPSIS", ".B modelpm", "[OPTIONS] COMMAND [ARGS]..."]
    for heading in dict.fromkeys(verb.heading for verb in VERBS.values()):
        lines.append(f".SH {_text(heading.upper())}")
        rows = [(f"modelpm-{name}(1)", verb.help) for name, verb in VERBS.items() if verb.heading == heading]
        lines += _list(rows)
    return [*lines, ".SH OPTIONS OF EVERY COMMAND", *_options(GLOBALS)]


def _command(command: click.Command, title: str, above: click.Context) -> Iterator[str]:
    """Yield the sections of a verb, then those of the verbs below it."""
    context = click.Context(command, above, info_name=title.rpartition(" ")[2])
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (
        ".SH SYNOPSIS" if " " not in title else f".SH {_text(title.upper())}",
        f".B {_text(context.command_path)}",
    )
    yield from (_text(usage), ".PP", _text(command.help or ""))
    if own := [p for p in command.params if isinstance(p, click.Option) and p not in GLOBALS]:
        yield from (".SS Options", *_options(own))
    examples = (command.epilog or "").replace("\b\nExamples:\n", "").splitlines()
    if examples:
        yield from (".SS Examples", ".nf", *(_text(line.strip()) for line in examples), ".fi")
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from _command(below, f"{title} {name}", context)


def _options(options: Sequence[click.Option]) -> Iterator[str]:
    context = click.Context(click.Command(""))
    return _list([record for option in options if (record := option.get_help_record(context))])


def _list(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f".B {_text(term)}", _text(text))


def _text(text: str) -> str:
    """Return a text that roff prints as it is."""
    safe = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe
