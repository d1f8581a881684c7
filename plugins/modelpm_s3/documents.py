"""Read the XML of S3: pages of a listing, and refusals. Pure, linear; document types are refused."""

from dataclasses import dataclass
from urllib.parse import unquote_plus
from xml.parsers.expat import ExpatError, ParserCreate

_MAX_DEPTH = 8
_MAX_TEXT = 1 << 16  # characters of one field


class MalformedXmlError(ValueError):
    """The bytes are not the XML of S3."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing.

    Attributes:
        key: As the server has it.
        size: Bytes.
        tag: Its entity tag, with quotes.
        has_sha256: Whether the server keeps a SHA-256 for it.
    """

    key: str
    size: int
    tag: str
    has_sha256: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; ``following`` is the token of the next one, empty at the end."""

    entries: tuple[Entry, ...]
    following: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a refusal says: its code, its words, and the region that the bucket is in, where it names one."""

    code: str = ""
    message: str = ""
    region: str = ""


def page_of(body: bytes) -> Page:
    """Read one page of ``ListObjectsV2``.

    Raises:
        MalformedXmlError: It is none.
    """
    root, fields, rows = _read(body, "Contents")
    if root != "ListBucketResult":
        raise MalformedXmlError(f"a {root[:40] or 'document'} is not a listing")
    is_encoded = fields.get("EncodingType") == "url"
    try:
        entries = tuple(
            Entry(
                unquote_plus(row["Key"], errors="strict") if is_encoded else row["Key"],
                int(row["Size"]),
                row.get("ETag", ""),
                row.get("ChecksumAlgorithm") == "SHA256",
            )
            for row in rows
        )
    except (KeyError, ValueError) as error:
        raise MalformedXmlError("an object has no key or no size") from error
    more = fields.get("IsTruncated") == "true"
    following = fields.get("NextContinuationToken", "") if more else ""
    if more and not following:
        raise MalformedXmlError("there are more pages, and it does not say which")
    return Page(entries, following)


def failure_of(body: bytes) -> Failure:
    """Read a refusal; nothing is known where the body is not one."""
    try:
        root, fields, _ = _read(body, "")
    except MalformedXmlError:
        return Failure()
    if root != "Error":
        return Failure()
    return Failure(fields.get("Code", ""), fields.get("Message", ""), fields.get("Region", ""))


def rows_of(body: bytes, row: str) -> list[dict[str, str]]:
    """Return the texts of each element of a name, by the names of its children.

    Raises:
        MalformedXmlError: It is not XML.
    """
    return _read(body, row)[2]


def text_of(body: bytes, name: str) -> str:
    """Return the text of a child of the root; empty if there is none.

    Raises:
        MalformedXmlError: It is not XML.
    """
    return _read(body, "")[1].get(name, "")


def _read(body: bytes, row: str) -> tuple[str, dict[str, str], list[dict[str, str]]]:
    """Return the name of the root, the texts of its children, and those of the children of each row."""
    names: list[str] = []
    root: list[str] = []
    fields: dict[str, str] = {}
    rows: list[dict[str, str]] = []
    text: list[str] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        names.append(name.rpartition(" ")[2])
        text.clear()
        if len(names) > _MAX_DEPTH:
            raise MalformedXmlError("it is nested too deeply")
        if len(names) == 1:
            root.append(names[0])
        elif row and names[1:] == [row]:
            rows.append({})

    def end(_name: str) -> None:
        said = "".join(text)[:_MAX_TEXT]
        if len(names) == 2:  # noqa: PLR2004 - a child of the root
            fields[names[1]] = said
        elif row and len(names) == 3 and names[1] == row:  # noqa: PLR2004 - a child of a row
            rows[-1][names[2]] = said
        names.pop()
        text.clear()

    def refuse(*_what: object) -> None:
        raise MalformedXmlError("it has a document type")

    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(body, True)  # noqa: FBT003 - positional only
    except ExpatError as error:
        raise MalformedXmlError("it is not XML") from error
    return root[0] if root else "", fields, rows
