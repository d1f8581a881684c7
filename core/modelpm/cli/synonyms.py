"""Words that users know from other tools (hf, ollama, pip, brew, docker, uv), each with a hint."""

from collections.abc import Mapping

_RUNS = "modelpm runs no models; `modelpm path NAME` prints the file to give to the program that does"
_TOKEN = "`hf auth login` stores a token that modelpm reads; HF_TOKEN is another way"  # noqa: S105 - a hint
_GONE = "`modelpm uninstall NAME` removes a model"
_PLACE = "`modelpm path NAME` prints where a model is"
_LIST = "`modelpm list` lists the installed models"
_AGAIN = "`modelpm verify NAME --repair` fetches damaged bytes again"
_SPACE = "`modelpm store size` prints what takes space"
_FREE = "`modelpm prune` frees what nothing needs"
_CACHE = "`modelpm cache size` prints what the cache takes; `modelpm list` lists models"
_CLEAN = "`modelpm cache clean` empties the cache; `modelpm prune` frees what no model needs"
_FILES = "`modelpm show NAME` shows a model; `modelpm path NAME` prints where its files are"
_SECOND = "`modelpm install SPEC --as NAME` gives a model a second name; `modelpm rename NAME NEW` another one"
_AUDIT = "`modelpm audit` prints what was done"
_FIELDS = "--json prints every field of every row"
_EACH = "without a NAME, `modelpm upgrade`, `modelpm verify` and `modelpm outdated` take all models"
_INTO = "--dir PATH links the model into a folder"
_LISTED = "models.toml lists the models of a project, and `modelpm sync` installs them"
_QUANT = "a variant follows a colon: modelpm install qwen3-8b:q5_k_m"

RESERVED: Mapping[str, str] = {
    "delete": _GONE,
    "download": "`modelpm install SPEC` downloads, verifies and keeps a model",
    "get": "`modelpm install SPEC` downloads a model; `modelpm path NAME` prints where it is",
    "update": "`modelpm upgrade` moves models to newer releases",
}
"""Commands with two meanings, or with another meaning here; plugins may not use their names."""

SYNONYMS: Mapping[str, str] = {
    "auth": _TOKEN,
    "cache list": _CACHE,
    "cache ls": _CACHE,
    "cache prune": _CLEAN,
    "cache rm": _CLEAN,
    "cache clear": _CLEAN,
    "cat": _FILES,
    "check": "`modelpm verify` checks files; `modelpm doctor` checks the installation",
    "cleanup": _FREE,
    "cp": _SECOND,
    "create": "`modelpm import FILE` takes files of this machine; `modelpm init` creates a project",
    "df": _SPACE,
    "deps": "`modelpm why NAME` shows what uses a model",
    "du": _SPACE,
    "find": "`modelpm search TEXT` searches the catalogs",
    "files": _FILES,
    "freeze": "`modelpm export` prints the lock",
    "gc": _FREE,
    "history": _AUDIT,
    "home": "`modelpm show SPEC` prints the homepage of a model",
    "images": _LIST,
    "inspect": _FILES,
    "leaves": _LIST,
    "load": _RUNS,
    "locate": _PLACE,
    "log": _AUDIT,
    "login": _TOKEN,
    "logout": _TOKEN,
    "logs": _AUDIT,
    "models": "`modelpm list` lists the installed models; `modelpm search` lists what catalogs have",
    "new": "`modelpm init` creates a project",
    "ps": _LIST,
    "reinstall": _AGAIN,
    "repair": _AGAIN,
    "repo-files": _FILES,
    "rmi": _GONE,
    "run": _RUNS,
    "scan-cache": _SPACE,
    "self": "the tool that installed modelpm upgrades it: pip, pipx or uv",
    "settings": "`modelpm config list` lists the settings",
    "start": _RUNS,
    "stats": _SPACE,
    "stop": _RUNS,
    "store list": _SPACE,
    "store ls": _SPACE,
    "tag": _SECOND,
    "tap": "`modelpm catalog list` lists the catalogs",
    "uses": "`modelpm why NAME` shows what uses a model",
    "tree": "`modelpm why NAME` shows what uses a model",
    "where": _PLACE,
    "which": _PLACE,
    "whoami": _TOKEN,
}
"""Commands that modelpm lacks, also subcommands, each with a hint; a plugin may serve them."""

OPTIONS: Mapping[str, str] = {
    "--all": _EACH,
    "--cache-dir": "MODELPM_STORE puts the store into another folder; --dir links a model into one",
    "--files": _FILES,
    "--file": "a file follows the repository: modelpm install hf://owner/repo/model.gguf",
    "--filename": "a file follows the repository: modelpm install hf://owner/repo/model.gguf",
    "--force": _AGAIN,
    "--force-download": _AGAIN,
    "--local-dir": _INTO,
    "--limit": _FIELDS,
    "--long": _FIELDS,
    "--max-workers": "--jobs N sets the connections at once",
    "--outdated": "`modelpm outdated` lists newer versions of the installed models",
    "--output": _INTO,
    "--quant": _QUANT,
    "--quantization": _QUANT,
    "--quiet-progress": "--progress-style none shows no progress",
    "--requirement": _LISTED,
    "--resume": "every download resumes by itself",
    "--revision": "a revision follows @: modelpm install hf://owner/repo@main",
    "--token": "HF_TOKEN holds the token of the Hub; `modelpm help options` lists all options",
    "--upgrade": "`modelpm upgrade` moves models to newer releases",
    "--variant": _QUANT,
    "-U": "`modelpm upgrade` moves models to newer releases",
    "-a": _EACH,
    "-f": "-y answers yes to every question; `modelpm verify NAME --repair` fetches damaged bytes again",
    "-l": _FIELDS,
    "-o": _INTO,
    "-r": _LISTED,
}
"""Options that modelpm lacks, each with a hint."""
