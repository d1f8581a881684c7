"""Words that users bring from other tools (hf, ollama, pip, brew, docker, uv), and what does that here."""

from collections.abc import Mapping

_RUNS = "modelpm runs no models; `modelpm path NAME` prints the file to give to the program that does"
_TOKEN = "`hf auth login` stores a token that modelpm reads; HF_TOKEN is another way"  # noqa: S105 - a hint
_GONE = "`modelpm uninstall NAME` removes a model"
_PLACE = "`modelpm path NAME` prints where a model is"
_LIST = "`modelpm list` lists what is installed"
_AGAIN = "`modelpm verify NAME --repair` fetches damaged bytes again"
_SPACE = "`modelpm store size` prints what takes space"
_FREE = "`modelpm prune` frees what nothing needs"
_QUANT = "a variant stands behind a colon: modelpm install qwen3-8b:q5_k_m"

RESERVED: Mapping[str, str] = {
    "delete": _GONE,
    "download": "`modelpm install SPEC` downloads, verifies and keeps a model",
    "get": "`modelpm install SPEC` downloads a model; `modelpm path NAME` prints where it is",
    "update": "`modelpm upgrade` moves models to newer releases",
}
"""Commands that mean two things, or something else here; no plugin may have their names."""

SYNONYMS: Mapping[str, str] = {
    "auth": _TOKEN,
    "check": "`modelpm verify` checks files; `modelpm doctor` checks the installation",
    "cleanup": _FREE,
    "create": "`modelpm import FILE` takes files of this machine; `modelpm init` creates a project",
    "deps": "`modelpm why NAME` shows what uses a model",
    "du": _SPACE,
    "find": "`modelpm search TEXT` searches the catalogs",
    "freeze": "`modelpm export` prints what is locked",
    "gc": _FREE,
    "images": _LIST,
    "load": _RUNS,
    "login": _TOKEN,
    "logout": _TOKEN,
    "models": "`modelpm list` lists what is installed; `modelpm search` lists what catalogs have",
    "new": "`modelpm init` creates a project",
    "ps": _LIST,
    "reinstall": _AGAIN,
    "repair": _AGAIN,
    "rmi": _GONE,
    "run": _RUNS,
    "scan-cache": _SPACE,
    "settings": "`modelpm config list` lists the settings",
    "start": _RUNS,
    "stop": _RUNS,
    "tap": "`modelpm catalog list` lists the catalogs",
    "tree": "`modelpm why NAME` shows what uses a model",
    "where": _PLACE,
    "which": _PLACE,
    "whoami": _TOKEN,
}
"""Commands that modelpm lacks, each with a hint; a plugin may serve them."""

OPTIONS: Mapping[str, str] = {
    "--cache-dir": "MODELPM_STORE puts the store into another folder; --dir links a model into one",
    "--file": "a file stands behind the repository: modelpm install hf://owner/repo/model.gguf",
    "--filename": "a file stands behind the repository: modelpm install hf://owner/repo/model.gguf",
    "--force": _AGAIN,
    "--force-download": _AGAIN,
    "--local-dir": "--dir PATH links the model into a folder",
    "--long": "--json prints every field",
    "--max-workers": "--jobs N sets the connections at once",
    "--quant": _QUANT,
    "--quantization": _QUANT,
    "--quiet-progress": "--progress-style none shows no progress",
    "--resume": "every download resumes by itself",
    "--revision": "a revision stands behind @: modelpm install hf://owner/repo@main",
    "--token": "HF_TOKEN holds the token of the Hub; `modelpm help options` lists all options",
    "--upgrade": "`modelpm upgrade` moves models to newer releases",
    "--variant": _QUANT,
}
"""Options that modelpm lacks, each with a hint."""
