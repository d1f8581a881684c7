"""Read URLs pasted from a browser: pages and downloads of the Hugging Face Hub. Pure."""

import re
from urllib.parse import unquote

_HUB = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(
    r"(?P<kind>datasets/)?(?P<repo>[^/:]+(?:/[^/:]+)?)"
    r"(?:/(?:resolve|blob|tree|raw|blame|commits?)/(?P<revision>[^/:]+)(?P<file>/[^:]+)?)?(?::(?P<variant>[^/:]+))?/?"
)
# Words in the place of an owner, on the Hub's own pages.
_NO_OWNERS = re.compile(
    "api|blog|chat|collections|datasets|docs|enterprise|join|learn|log(?:in|out)|models|new|organizations|papers|posts|"
    "pricing|search|settings|spaces|tasks"
)
_FILES = (".gguf", ".safetensors", ".onnx", ".bin", ".pt", ".pth", ".ckpt", ".zip", ".tar", ".gz", ".json")


def hub_spec(text: str, endpoint: str = "") -> str:
    """Return the spec that a pasted address of the Hub stands for; empty if it is something else.

    An address with a digest (``#sha256=``) means what it says: as a spec of the Hub it would lose it.

    Args:
        text: What was typed.
        endpoint: Another Hub that the user has configured; its pages count as well.
    """
    text = text.strip()
    rest, own = _behind(text, endpoint)
    if not rest or "#sha256=" in text:
        return ""
    page = _PAGE.fullmatch(rest.partition("#")[0].partition("?")[0])
    if page is None:
        return ""
    repo, revision, file = page["repo"], page["revision"] or "", unquote(page["file"] or "").rstrip("/")
    owner = repo.partition("/")[0]
    if _NO_OWNERS.fullmatch(owner) or (own and not revision and ("/" not in repo or repo.lower().endswith(_FILES))):
        return ""
    # Without an owner only the mark of a revision says where the repository ends.
    named = revision and (revision != "main" or (file and "/" not in repo))
    variant = f":{page['variant']}" if page["variant"] else ""
    return f"hf://{page['kind'] or ''}{repo}{f'@{revision}' if named else ''}{file}{variant}"


def _behind(text: str, endpoint: str) -> tuple[str, bool]:
    """Return what follows the Hub's host, and whether that is the user's own."""
    if found := _HUB.fullmatch(text):
        return found["rest"], False
    base = _bare(endpoint.strip().strip("\"'"))
    own = bool(base) and _bare(text).lower().startswith(f"{base.lower()}/")
    return (_bare(text)[len(base) + 1 :], True) if own else ("", False)


def _bare(address: str) -> str:
    """Return an address without scheme, user and the slash at its end."""
    rest = re.sub(r"^https?://", "", address, flags=re.IGNORECASE)
    authority, slash, path = rest.partition("/")
    return (authority.rpartition("@")[2] + slash + path).rstrip("/")
