"""Read what follows ``hf://``: ``[datasets/][owner/]repo[@revision]``, then ``/file-or-glob`` or ``:VARIANT``."""

import re

from modelpm.api import Reference, UsageError, printable

DATASETS = "datasets/"
_QUANTIZATION = re.compile(r"(?:UD-|i1-)?(?:I?Q\d|TQ\d|BF16|FP?16|FP?32|MXFP4|INT[48]|FP8)[\w.-]*", re.IGNORECASE)
COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"(?!.*(?:\.\.|--))[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
# The characters that Git allows in the name of a branch or tag, as far as it matters here.
_REVISION = re.compile(r"(?!.*\.\.)[^\s\x00-\x1f\x7f~^:?*\[\\@]{1,250}")
_VARIANT = re.compile(r"\w[\w .()+-]{0,254}")


def parse(rest: str) -> Reference:
    """Return the reference that ``rest`` writes.

    Raises:
        UsageError: It is malformed; says how it is written.
    """
    kind = DATASETS if rest.startswith(DATASETS) else ""
    repo, revision, quantization, file = _split(rest.removeprefix(kind))
    parts = repo.split("/")
    if not all(_NAME.fullmatch(part) for part in parts):
        raise _malformed(rest, "the repository is not one")
    if revision is not None and not _REVISION.fullmatch(revision):
        raise _malformed(rest, "the revision after `@` is not one")
    if quantization is not None and not _VARIANT.fullmatch(quantization):
        raise _malformed(rest, "the variant after `:` is not one")
    if ":" in file:
        raise _malformed(rest, "a file and a variant exclude each other")
    return Reference("hf", kind + repo, revision, file.strip("/"), quantization or "")


def _split(rest: str) -> tuple[str, str | None, str | None, str]:
    """Cut into repository, revision, quantization and file. A repository has two parts unless the first is marked."""
    first, slash, after = rest.partition("/")
    if slash and after and not re.search(r"[@:]", first):
        second, _, file = after.partition("/")
        head = f"{first}/{second}"
    else:
        head, file = first, after
    head, colon, quantization = head.partition(":")
    repo, at, revision = head.partition("@")
    return (
        repo,
        re.sub("%2f", "/", revision, flags=re.IGNORECASE) if at else None,
        quantization if colon else None,
        file,
    )


def _malformed(rest: str, why: str) -> UsageError:
    return UsageError(
        f"cannot read hf://{printable(rest)}: {why}",
        hints=[
            "write hf://owner/repo, hf://owner/repo@v1, hf://owner/repo@v1/*.safetensors or hf://owner/repo:Q4_K_M",
            "a `/` inside a revision is written %2F: hf://owner/repo@refs%2Fpr%2F1",
        ],
    )


def looks_like_a_variant(text: str) -> bool:
    """Whether a revision is a quantization or a precision, which people write behind ``@`` by mistake."""
    return _QUANTIZATION.fullmatch(text) is not None
