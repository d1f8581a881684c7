"""``models.toml``, or ``[tool.modelpm]`` in ``pyproject.toml``: what a project wants. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from modelpm.errors import Code, IntegrityError, UsageError, too_new
from modelpm.inspection.policy import WORDS
from modelpm.lockfile.file import check_folder, conflict_line
from modelpm.lockfile.model import Model
from modelpm.lockfile.relative import RELATIVE
from modelpm.lockfile.requirement import Requirement
from modelpm.project.discovery import MAX_MANIFEST_BYTES, inner_table
from modelpm.project.rules import Rules, SignatureRule
from modelpm.text.toml import Table, TomlError, any_text, loads
from modelpm.text.untrusted import ID_RULE, MODEL_ID, check_model_name, printable

DEFAULT_DIR = "models"
SCHEMA = 1
_TOP_KEYS = ("schema", "models", "groups", "settings")
_MODEL_KEYS = ("source", "include", "exclude", "without", "allow")
_SETTINGS = (
    "dir", "default-groups", "allow-formats", "allow-licenses", "require-digest", "require-signature", "verify-load",
)  # fmt: skip
_SIGNATURE_KEYS = ("keys", "certificates", "subjects", "models")
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
    """What a project requires.

    Attributes:
        models: Spec with options, by the project's own name.
        groups: Names of models, by group.
        default_groups: Groups that are always selected.
        dir: Folder of the view, relative to the project.
        rules: The rules of ``[settings]``.
        allow: The kinds of code that a model may hold, by name; see :meth:`words`.
    """

    models: Mapping[str, Requirement] = field(default_factory=lambda: _EMPTY)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)
    default_groups: tuple[str, ...] = ()
    dir: str = DEFAULT_DIR
    rules: Rules = field(default_factory=Rules)
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _EMPTY)

    def groups_of(self, name: str) -> tuple[str, ...]:
        """Return the groups of a model, sorted."""
        return tuple(sorted(group for group, names in self.groups.items() if name in names))

    def words(self, name: str) -> frozenset[str]:
        """Return the kinds of code that a model may hold, from its own ``allow`` and ``allow-formats``."""
        return self.rules.words(self.allow.get(name, ()))

    def check(self, model: Model, paths: Iterable[str]) -> None:
        """Check a model against the rules.

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

    def check_formats(self, name: str, formats: Collection[str]) -> None:
        """Check the formats of a model's bytes against the rules.

        Args:
            name: Of the model.
            formats: As :func:`modelpm.inspection.policy.formats` returns them.

        Raises:
            Denied: Code ``policy``; names the rule.
        """
        self.rules.check_formats(name, formats, self.allow.get(name, ()))


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
    if line := conflict_line(text):
        hint = "decide there what the project wants, then run `modelpm lock`: it repairs the lock from both sides"
        raise UsageError(
            f"{origin} has merge conflict markers at line {line}", code=Code.MANIFEST_CONFLICT, hints=[hint]
        )
    try:
        root = _root(text, table)
        schema = root.number("schema", f"{SCHEMA}", least=1, default=SCHEMA)
        if schema <= SCHEMA:
            return _manifest(root)
    except TomlError as error:
        raise UsageError(
            f"{origin} cannot be used: {error}",
            code=Code.MANIFEST_INVALID,
            hints=error.hints or ["the file was left as it is"],
        ) from None
    except UsageError as error:
        raise UsageError(f"{origin}: {error}", code=Code.MANIFEST_INVALID, hints=error.hints) from None
    except IntegrityError as error:
        raise IntegrityError(f"{origin}: {error}", code=error.code, hints=error.hints, **error.details) from None
    raise too_new(origin, "schema", schema, SCHEMA, Code.MANIFEST_TOO_NEW)


def _root(text: str, table: tuple[str, ...]) -> Table:
    root = Table(loads(text, limit=MAX_MANIFEST_BYTES), text)
    if inner_table(root.values, table) is None:
        msg = f"it has no [{'.'.join(table)}]"
        raise TomlError(msg)
    for key in table:
        root = root.table(key)
    return root


def _manifest(root: Table) -> Manifest:
    root.only(_TOP_KEYS)
    tables, grouped = root.table("models"), root.table("groups")
    models = {name: _requirement(tables, name) for name in tables.values}
    allow = {name: words for name in tables.values if (words := _allow(tables, name))}
    groups = {name: _group(grouped, name, models) for name in grouped.values}
    settings = root.table("settings")
    settings.only(_SETTINGS)
    return Manifest(
        models,
        groups,
        default_groups=_default_groups(settings, groups),
        dir=_folder(settings),
        rules=Rules(
            _unique(settings, "allow-formats"),
            _unique(settings, "allow-licenses"),
            settings.flag("require-digest"),
            settings.flag("verify-load"),
            _signature(settings, models),
        ),
        allow=allow,
    )


def _requirement(table: Table, name: str) -> Requirement:
    check_model_name(name)
    if isinstance(table.values[name], Mapping):
        table.table(name).only(_MODEL_KEYS)
    requirement = Requirement.of_toml(table, name)
    if not requirement.text.startswith(RELATIVE):
        _ = requirement.spec  # a malformed value is refused with its place in the file
    return requirement


def _allow(table: Table, name: str) -> tuple[str, ...]:
    if not isinstance(table.values[name], Mapping):
        return ()
    return _unique(table.table(name), "allow", f"a list of {', '.join(WORDS)}", ok=WORDS.__contains__)


def _group(table: Table, name: str, models: Mapping[str, Requirement]) -> tuple[str, ...]:
    check_group(name)
    members = _unique(table, name)
    for member in members:
        if member not in models:
            raise table.wrong(name, f"names `{printable(member)}`, which is not in [models]")
    return members


def _signature(settings: Table, models: Collection[str]) -> SignatureRule | None:
    if "require-signature" not in settings.values:
        return None
    table = settings.table("require-signature")
    table.only(_SIGNATURE_KEYS)
    rule = SignatureRule(*(_unique(table, key) for key in _SIGNATURE_KEYS))
    if not rule.keys and not rule.certificates:
        table.fail("keys", "a list of files with public keys; or `certificates` one with those of authorities")
    for name in rule.models:
        if name not in models:
            raise table.wrong("models", f"names `{printable(name)}`, which is not in [models]")
    return rule


def _unique(
    table: Table, key: str, allowed: str = "a list of texts", *, ok: Callable[[str], object] = any_text
) -> tuple[str, ...]:
    return tuple(dict.fromkeys(table.texts(key, allowed, ok=ok)))


def check_group(name: str) -> None:
    """Refuse a group name outside the alphabet of ids.

    Raises:
        UsageError: Says what the alphabet is.
    """
    if not MODEL_ID.fullmatch(name):
        raise UsageError(
            f"`{printable(name)}` cannot be the name of a group",
            hints=[f"names are {ID_RULE}"],
        )


def _folder(settings: Table) -> str:
    folder = settings.text("dir", ok=any_text, default=DEFAULT_DIR)
    if folder.startswith("~") or "$" in folder:
        problem = f"is `{printable(folder)}`, and neither `~` nor `$` is replaced in it"
        raise TomlError(str(settings.wrong("dir", problem)), ["name a folder inside of the project, like `models`"])
    try:
        check_folder(folder)
    except IntegrityError as error:
        problem = f"`{settings.name('dir')}`: {error.message}"
        hint = "name a folder inside of the project, like `models`"
        raise IntegrityError(problem, code=error.code, hints=[hint], **error.details) from None
    return folder


def _default_groups(settings: Table, groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = settings.texts("default-groups")
    for name in names:
        if name not in groups:
            raise settings.wrong("default-groups", f"names `{printable(name)}`, which is not in [groups]")
    return tuple(sorted(set(names)))
