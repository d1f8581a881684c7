"""Edit a manifest: all comments and the order stay. Pure.

The result of each edit is parsed and compared before it is used.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.lockfile.requirement import Requirement
from modelpm.project.discovery import MAX_MANIFEST_BYTES
from modelpm.project.manifest import Manifest, check_group, parse_manifest
from modelpm.text.human import binary_size


def with_models(
    text: str,
    origin: str,
    table: tuple[str, ...],
    requirements: Mapping[str, Requirement],
    group: str | None = None,
    allow: Collection[str] = (),
) -> str:
    """Return the text with models added or given another spec; new models are sorted in.

    Args:
        text: The file's content.
        origin: Its path, for messages.
        table: The table that is the manifest.
        requirements: Spec with options, by name.
        group: The group to add them to.
        allow: The kinds of code that they may hold besides those already allowed.

    Raises:
        UsageError: As :func:`parse_manifest`; or the group's name is not valid.
    """
    before = parse_manifest(text, origin, table)
    groups = {name: list(names) for name, names in before.groups.items()}
    if group is not None:
        check_group(group)
        groups[group] = [*groups.get(group, []), *(n for n in requirements if n not in groups.get(group, []))]
    words = {name: tuple(dict.fromkeys([*before.allow.get(name, ()), *allow])) for name in requirements}

    def edit(document: Any) -> None:
        import tomlkit

        models = _subtable(document, "models")
        for name, requirement in requirements.items():
            if (before.models.get(name), before.allow.get(name, ())) != (requirement, words[name]):
                models[name] = _as_item(requirement, words[name])
        _sort_in(models, requirements.keys() - before.models.keys())
        if group is not None and groups[group] != list(before.groups.get(group, ())):
            there = _subtable(document, "groups")
            if group not in there:
                there[group] = tomlkit.array()
            there[group].extend(n for n in groups[group] if n not in before.groups.get(group, ()))

    wanted = replace(
        before,
        models={**before.models, **requirements},
        groups={name: tuple(names) for name, names in groups.items()},
        allow={**before.allow, **{name: said for name, said in words.items() if said}},
    )
    return _edited(text, origin, table, edit, wanted)


def without_models(text: str, origin: str, table: tuple[str, ...], names: Iterable[str]) -> str:
    """Return the text without the models, also in the groups.

    Raises:
        UsageError: As :func:`parse_manifest`.
    """
    before = parse_manifest(text, origin, table)
    gone = set(names)

    def edit(document: Any) -> None:
        for name in gone & set(before.models):
            del document["models"][name]
        for group, members in before.groups.items():
            for name in gone & set(members):
                document["groups"][group].remove(name)
            if group not in groups:
                del document["groups"][group]
        if before.groups and not groups:
            del document["groups"]

    left = {group: tuple(n for n in members if n not in gone) for group, members in before.groups.items()}
    used = {g for g, members in before.groups.items() if not members} | set(before.default_groups)
    groups = {group: members for group, members in left.items() if members or group in used}
    models = {name: requirement for name, requirement in before.models.items() if name not in gone}
    allow = {name: words for name, words in before.allow.items() if name not in gone}
    return _edited(text, origin, table, edit, replace(before, models=models, groups=groups, allow=allow))


def _edited(text: str, origin: str, table: tuple[str, ...], edit: Callable[[Any], None], wanted: Manifest) -> str:
    """Edit the text with a parser that keeps comments, and check that the result parses as wanted."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        document = tomlkit.parse(text.removeprefix(mark))
        inner: Any = document
        for key in table:
            inner = inner[key]
        edit(inner)
        edited = mark + tomlkit.dumps(document)
        if "\r\n" in text:
            edited = re.sub(r"(?<!\r)\n", "\r\n", edited)
        fits = len(edited.encode()) <= MAX_MANIFEST_BYTES
        if fits and parse_manifest(edited, origin, table) == wanted:
            return edited
    except (TOMLKitError, ModelpmError, LookupError, ValueError, TypeError, AttributeError):
        fits = True
    if not fits:
        raise UsageError(
            f"{origin} would have more than the {binary_size(MAX_MANIFEST_BYTES)} that a manifest may have",
            code=Code.MANIFEST_FULL,
            hints=["keep some models in another project"],
        )
    raise UsageError(
        f"{origin} is written in a way that cannot be edited without disturbing it",
        code=Code.MANIFEST_INVALID,
        hints=["edit it by hand, then run `modelpm sync`"],
    )


def _subtable(document: Any, key: str) -> Any:
    import tomlkit

    if key not in document:
        document[key] = tomlkit.table()
    return document[key]


def _sort_in(models: Any, names: Collection[str]) -> None:
    """Sort new keys in, so that two branches that add models rarely touch the same line."""
    from tomlkit.items import AoT, Comment, Table

    body = models.value.body  # key and item; comments and blank lines have no key
    for name in sorted(names):
        here = next(at for at, (key, _) in enumerate(body) if key is not None and key.key == name)
        plain = {k.key: at for at, (k, i) in enumerate(body[:here]) if k is not None and not isinstance(i, Table | AoT)}
        before = [key for key in plain if key < name]
        if not plain:
            continue
        target = plain[max(before)] + 1 if before else min(plain.values())
        while not before and target > 0 and isinstance(body[target - 1][1], Comment):
            target -= 1  # a comment stays above its key
        body.insert(target, body.pop(here))


def _as_item(requirement: Requirement, allow: tuple[str, ...]) -> Any:
    import tomlkit

    value = requirement.as_toml()
    if isinstance(value, str) and not allow:
        return value
    item = tomlkit.inline_table()
    item.update({"source": value} if isinstance(value, str) else value)
    if allow:
        item["allow"] = list(allow)
    return item
