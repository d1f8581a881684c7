"""``models.toml``, or ``[tool.modelpm]`` in ``pyproject.toml``: what a project wants. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from modelpm.errors import Code, IntegrityError, UsageError
from modelpm.lockfile.file import check_folder, conflict_line
from modelpm.lockfile.model import Model, Wish
from modelpm.project.discovery import MAX_MANIFEST_BYTES, inner_table
from modelpm.project.rules import Rules
from modelpm.resolution.code import WORDS
from modelpm.resolution.spec import parse_spec
from modelpm.text.toml import TomlError, loads
from modelpm.text.untrusted import MODEL_ID, check_model_name, printable

DEFAULT_DIR = "models"
SCHEMA = 1
_TOP_KEYS = ("schema", "models", "groups", "settings")
_MODEL_KEYS = ("source", "include", "exclude", "allow")
_SETTINGS = ("dir", "default-groups", "allow-formats", "allow-licenses", "require-digest")
_EMPTY: Mapping[str, Any] = MappingProxyType({})
STARTER = """\
# The models of this project. `modelpm add SPEC` edits this file and keeps your comments.
schema = 1

# [settings]
# dir = "models"                 # where the files appear
# allow-formats = ["gguf", "safetensors", "onnx"]
# allow-licenses = ["apache-2.0", "mit"]

# [groups]
# gpu = ["style"]                # a model in no group is always there; others with `modelpm sync --group gpu`

[models]
# chat = "core/qwen3-8b@1:q4_k_m"
# style = { source = "hf://acme/style-lora@v3", include = ["*.safetensors"] }
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a project wants.

    Attributes:
        models: Spec with options, by the project's own name.
        groups: Names of models, by group.
        default_groups: Groups that are selected without being asked for.
        dir: Folder of the view, relative to the project.
        rules: What is allowed.
        allow: What a model may hold that can run code, by name; see :meth:`words`.
    """

    models: Mapping[str, Wish] = field(default_factory=lambda: _EMPTY)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)
    default_groups: tuple[str, ...] = ()
    dir: str = DEFAULT_DIR
    rules: Rules = field(default_factory=Rules)
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)

    def groups_of(self, name: str) -> tuple[str, ...]:
        """Return the groups of a model, sorted."""
        return tuple(sorted(group for group, names in self.groups.items() if name in names))

    def words(self, name: str) -> frozenset[str]:
        """Return what a model may hold that can run code: by its own ``allow``, and by ``allow-formats``."""
        return self.rules.words(self.allow.get(name, ()))

    def check(self, model: Model, paths: Iterable[str]) -> None:
        """Hold a model against the rules.

        Args:
            model: The model.
            paths: Its files.

        Raises:
            Denied: Code ``policy``; names the rule.
        """
        self.rules.check(
            model.name,
            format_=model.format,
            license_=model.license,
            paths=list(paths),
            allow=self.allow.get(model.name, ()),
        )


def parse_manifest(text: str, origin: str, table: tuple[str, ...] = ()) -> Manifest:
    """Read a manifest.

    Args:
        text: The file's content.
        origin: Its path, for messages.
        table: The table that is the manifest; empty means the whole file.

    Raises:
        UsageError: It is damaged, has conflict markers or unknown keys, or is of a newer version.
        IntegrityError: ``settings.dir`` leads out of the project.
    """
    values = inner_table(_load(text, origin), table)
    if values is None:
        raise _wrong(origin, f"it has no [{'.'.join(table)}]")
    schema = values.get("schema", SCHEMA)
    if type(schema) is not int or schema < 1:
        raise _wrong(origin, "`schema` must be 1")
    if schema > SCHEMA:
        raise UsageError(
            f"{origin} has schema {schema}; this modelpm reads schema {SCHEMA}",
            code=Code.MANIFEST_TOO_NEW,
            hints=["update modelpm; the file was left as it is"],
        )
    try:
        _only(values, _TOP_KEYS, "")
        tables = _mapping(values, "models")
        models = {name: _wish(name, value) for name, value in tables.items()}
        allow = {name: words for name, value in tables.items() if (words := _allow(name, value))}
        groups = {name: _group(name, value, models) for name, value in _mapping(values, "groups").items()}
        settings = _mapping(values, "settings")
        _only(settings, _SETTINGS, "settings.")
        return Manifest(models, groups, *_settings(settings, groups), allow)
    except ValueError as error:
        raise _wrong(origin, str(error)) from None
    except UsageError as error:
        raise UsageError(f"{origin}: {error}", code=Code.MANIFEST_INVALID, hints=error.hints) from None
    except IntegrityError as error:
        raise IntegrityError(f"{origin}: {error}", code=error.code, hints=error.hints, **error.details) from None


def _load(text: str, origin: str) -> dict[str, Any]:
    if line := conflict_line(text):
        raise UsageError(
            f"{origin} has merge conflict markers at line {line}",
            code=Code.MANIFEST_CONFLICT,
            hints=[
                "decide there what the project wants, then run `modelpm lock`: it repairs the lock from both sides",
            ],
        )
    try:
        return loads(text, limit=MAX_MANIFEST_BYTES)
    except TomlError as error:
        raise _wrong(origin, str(error)) from None


def _only(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            from difflib import get_close_matches

            near = get_close_matches(key, known, 1)
            hint = f"did you mean `{where}{near[0]}`?" if near else f"there are: {', '.join(known)}"
            raise UsageError(f"the key `{where}{printable(key)}` is unknown", hints=[hint])


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, Mapping):
        msg = f"`{key}` must be a table"
        raise ValueError(msg)  # noqa: TRY004 - one error for everything that is wrong in a manifest
    return found


def _wish(name: str, value: Any) -> Wish:
    check_model_name(name)
    if isinstance(value, Mapping):
        _only(value, _MODEL_KEYS, f"models.{name}.")
    try:
        wish = Wish.of_toml(value)
    except ValueError as error:
        msg = f"`models.{name}` {error}"
        raise ValueError(msg) from None
    parse_spec(wish.spec)
    return wish


def _allow(name: str, value: Any) -> tuple[str, ...]:
    words = _texts(value.get("allow", []), f"models.{name}.allow") if isinstance(value, Mapping) else ()
    for word in words:
        if word not in WORDS:
            msg = f"`models.{name}.allow` must be a list of {', '.join(WORDS)}, and has `{printable(word)}`"
            raise ValueError(msg)
    return words


def _group(name: str, value: Any, models: Mapping[str, Wish]) -> tuple[str, ...]:
    check_group(name)
    members = _texts(value, f"groups.{name}")
    for member in members:
        if member not in models:
            msg = f"the group `{name}` names `{printable(member)}`, which is not in [models]"
            raise ValueError(msg)
    return members


def check_group(name: str) -> None:
    """Refuse a group name outside the alphabet of ids.

    Raises:
        UsageError: Says what the alphabet is.
    """
    if not MODEL_ID.fullmatch(name):
        raise UsageError(
            f"`{printable(name)}` cannot be the name of a group",
            hints=["names are 1 to 64 of a-z, 0-9, `.`, `_`, `-`, and begin with a letter or digit"],
        )


def _settings(settings: Mapping[str, Any], groups: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], str, Rules]:
    folder = settings.get("dir", DEFAULT_DIR)
    if not isinstance(folder, str):
        msg = "`settings.dir` must be a text"
        raise ValueError(msg)  # noqa: TRY004 - as above
    if folder.startswith("~") or "$" in folder:
        msg = f"`settings.dir` is `{printable(folder)}`, and neither `~` nor `$` is replaced in it"
        raise UsageError(msg, hints=["name a folder inside of the project, like `models`"])
    try:
        check_folder(folder)
    except IntegrityError as error:
        raise IntegrityError(
            f"`settings.dir`: {error.message}",
            code=error.code,
            hints=["name a folder inside of the project"],
            **error.details,
        ) from None
    default = _texts(settings.get("default-groups", []), "settings.default-groups")
    for group in default:
        if group not in groups:
            msg = f"`settings.default-groups` names `{printable(group)}`, which is not in [groups]"
            raise ValueError(msg)
    require = settings.get("require-digest", False)
    if not isinstance(require, bool):
        msg = "`settings.require-digest` must be true or false"
        raise ValueError(msg)  # noqa: TRY004 - as above
    formats, licenses = (
        _texts(settings.get(key, []), f"settings.{key}") for key in ("allow-formats", "allow-licenses")
    )
    return tuple(sorted(set(default))), folder, Rules(formats, licenses, require)


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        msg = f"`{what}` must be a list of texts"
        raise ValueError(msg)
    return tuple(dict.fromkeys(value))


def _wrong(origin: str, why: str) -> UsageError:
    return UsageError(
        f"{origin} cannot be used: {why}", code=Code.MANIFEST_INVALID, hints=["the file was left as it is"]
    )
