"""Every setting there is: its key, its variable, its default, and how its value is read."""

from collections.abc import Callable
from typing import Any, NamedTuple

from modelpm.config.values import (
    as_age,
    as_bool,
    as_catalogs,
    as_count,
    as_dangers,
    as_link_mode,
    as_mirrors,
    as_name,
    as_names,
    as_names_by_name,
    as_path,
    as_paths,
    as_rate,
    as_retries,
    as_seconds,
    as_span,
    as_text,
    as_windows,
)
from modelpm.errors import UsageError
from modelpm.text.suggest import did_you_mean, suggest


class Setting(NamedTuple):
    """One setting: its key in ``config.toml``, its variable, its default, and how its value is read."""

    key: str
    parse: Callable[[Any], Any]  # a callable, because each kind of value has a parser of its own
    default: Any
    help: str
    others: tuple[str, ...] = ()  # variables of other programs, read where modelpm's own settings are silent

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return "MODELPM_" + _VARIABLES.get(self.key, self.key.split(".")[-1].upper().replace("-", "_"))


_VARIABLES = {
    "store.dir": "STORE",
    "store.path": "STORE_PATH",
    "store.link-mode": "LINK_MODE",
    "audit.sinks": "AUDIT",
    "audit.optional-sinks": "OPTIONAL_AUDIT",
    "ui.progress": "PROGRESS_STYLE",
    "signatures.keys": "SIGNATURE_KEYS",
    "signatures.certificates": "SIGNATURE_CERTIFICATES",
    "signatures.subjects": "SIGNATURE_SUBJECTS",
    "signatures.required": "REQUIRE_SIGNATURE",
    "queue.parallel": "QUEUE_PARALLEL",
    "serve.schemes": "SERVE_SCHEMES",
    "serve.allow": "SERVE_ALLOW",
    "serve.hosts": "SERVE_HOSTS",
    "plugins.timeout": "PLUGIN_TIMEOUT",
    "plugins.disabled": "DISABLE_PLUGINS",
    "network.limit": "LIMIT",
    "network.credentials": "CREDENTIALS",
}
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SETTINGS = (
    Setting("user", as_text, "", "name to record in the audit log"),
    Setting("store.dir", as_path, None, "folder of the store"),
    Setting("store.path", as_paths, (), "stores of others, only read, to search before downloading"),
    Setting("store.link-mode", as_link_mode, "auto", "auto, reflink, hardlink, symlink or copy"),
    Setting("store.keep-unseen", as_age, "90d", "how long what a project needs is kept after it was last seen"),
    Setting("network.offline", as_bool, default=False, help="never use the network"),
    Setting("network.jobs", as_count, 16, "connections at once, over all files"),
    Setting("network.retries", as_retries, 5, "retries without progress before giving up"),
    Setting("network.outage", as_span, 60.0, "seconds to wait for a server that has served something and is away"),
    Setting("network.idle-timeout", as_seconds, 30.0, "seconds without a byte after which a connection is given up"),
    Setting(
        "network.first-byte-timeout",
        as_seconds,
        None,
        "seconds a server may take to begin its answer; 2.5 idle timeouts by default",
    ),
    Setting("network.limit-rate", as_rate, 0, "bytes a second over all connections, like 8M; 0 for unlimited"),
    Setting("network.limit", as_windows, (), "limits by time of day"),
    Setting("network.cacert", as_path, None, "file of additional trusted certificates", _BUNDLES),
    Setting(
        "network.credentials",
        as_names,
        ("config", "docker"),
        "where secrets of servers come from, in order: config, docker, git, keyring, netrc, or a plugin's",
    ),
    Setting("ui.progress", as_name, "auto", "how progress is shown: auto, bar, plain, none, or a plugin's listener"),
    Setting(
        "ui.update-check",
        as_bool,
        default=True,
        help="say once a day which models have a newer version; never in CI",
    ),
    Setting("audit.sinks", as_names, ("jsonl",), "audit sinks that must record an act before it begins"),
    Setting("audit.optional-sinks", as_names, (), "audit sinks that may fail: modelpm warns, and the act continues"),
    Setting("signatures.keys", as_paths, (), "files with a public key each, whose signatures of models count"),
    Setting("signatures.certificates", as_paths, (), "files with certificates of authorities, whose signers count"),
    Setting("signatures.subjects", as_names, (), "the certificate of a signer must have one of these names"),
    Setting("signatures.required", as_bool, default=False, help="take only models with a signature that counts"),
    Setting("plugins.disabled", as_names, (), "distributions whose plugins are left out"),
    Setting("plugins.timeout", as_seconds, 30.0, "seconds after which a plugin that does not answer is given up"),
    Setting("plugins.prefer", as_names_by_name, {}, "which distribution serves a name that two claim"),
    Setting("catalogs", as_catalogs, {}, "your catalogs by name, in order of priority; see `modelpm catalog add`"),
    Setting("queue.parallel", as_count, 2, "jobs of the queue that run at once, over all processes"),
    Setting("serve.schemes", as_names, ("hf", "oci", "s3", "https"), "references that the service installs"),
    Setting("serve.allow", as_dangers, (), "what the service may install that can run code: pickle, code"),
    Setting("serve.hosts", as_names, (), "names under which the service may be reached, besides this machine's own"),
    Setting("mirrors", as_mirrors, {}, "URI prefixes and where to fetch them from instead"),
)
BY_KEY = {s.key: s for s in SETTINGS}


def setting(key: str) -> Setting:
    """Return the setting of that key.

    Raises:
        UsageError: There is none; names the nearest.
    """
    if key not in BY_KEY:
        raise UsageError(f"unknown setting `{key}`", hints=instead(key))
    return BY_KEY[key]


def instead(key: str) -> list[str]:
    """Return the hint for an unknown key: the one with that last part, the nearest, or all there are."""
    same = [known for known in BY_KEY if known.rpartition(".")[2] == key]
    return did_you_mean(same) or suggest(key, BY_KEY) or [f"there are: {', '.join(BY_KEY)}"]
