"""The rules of a project: formats, licenses, code, and files without a promised digest. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from modelpm.errors import Code, Denied
from modelpm.inspection.policy import CODE, PICKLE
from modelpm.resolution.selection import format_of
from modelpm.text.untrusted import printable


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """``require-signature``: the models that must be signed, and the signers whose signatures count.

    Attributes:
        keys: Files with a public key each, relative to the project.
        certificates: Files with certificates of authorities, relative to the project.
        subjects: The signer's certificate must have one of these names; empty accepts every name.
        models: Names of the models; empty for all.
    """

    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a manifest's ``[settings]``.

    Attributes:
        formats: ``allow-formats``; empty means every format but pickle.
        licenses: ``allow-licenses``, SPDX identifiers; empty means every license.
        require_digest: ``require-digest``: whether a catalog or source must have promised a digest of every file.
        verify_load: ``verify-load``: whether ``verify`` opens the models in real runtimes.
        signature: ``require-signature``; None if no model must be signed.
    """

    formats: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    require_digest: bool = False
    verify_load: bool = False
    signature: SignatureRule | None = None

    def must_be_signed(self, name: str) -> bool:
        """Whether a model must have a signature."""
        return self.signature is not None and (not self.signature.models or name in self.signature.models)

    def words(self, own: Collection[str] = ()) -> frozenset[str]:
        """Return the kinds of code that a model may hold, from its own ``allow`` and ``allow-formats``."""
        listed = PICKLE in (format_.casefold() for format_ in self.formats)
        return frozenset({*own, PICKLE} if listed else own)

    def check(
        self, name: str, *, format_: str, license_: str, paths: Iterable[str], allow: Collection[str] = ()
    ) -> None:
        """Check a model against the rules by the names of its files; :meth:`check_formats` checks the bytes.

        Args:
            name: Its name, for the message.
            format_: Its format, as the catalog says; empty if it does not say.
            license_: SPDX expression; empty if unknown.
            paths: Its files.
            allow: The kinds of code that the manifest allows this model, besides ``allow-formats``.

        Raises:
            Denied: Code ``policy``; names the rule.
        """
        named = format_of(paths)
        told = {f for f in (format_.casefold(), named) if f}
        if told - {PICKLE} or named == PICKLE:  # a `.bin` may be anything
            self.check_formats(name, told, allow)
        if self.licenses and not _allows({a.casefold() for a in self.licenses}, license_.casefold()):
            raise _refused(name, "allow-licenses", "license", license_, self.licenses)

    def check_formats(self, name: str, formats: Collection[str], allow: Collection[str] = ()) -> None:
        """Check the formats of a model's weights against ``allow-formats``.

        Args:
            name: Its name, for the message.
            formats: The formats of its bytes; none if no inspector recognizes them.
            allow: As for :meth:`check`.

        Raises:
            Denied: Code ``policy``; names the rule.
        """
        allowed = {f.casefold() for f in self.formats}
        admitted = {*allowed, *((PICKLE,) if {PICKLE, CODE} & set(allow) else ())}
        found = set(formats) or {""}
        if allowed and not found <= admitted:
            raise _refused(name, "allow-formats", "format", min(found - admitted), self.formats)

    def check_digests(self, name: str, unpromised: Iterable[str]) -> None:
        """Refuse files without a promised digest, if the rules require one.

        Args:
            name: The model's name, for the message.
            unpromised: Files that neither the catalog nor the source promised a digest of.

        Raises:
            Denied: Code ``policy``; names the rule.
        """
        files = sorted(unpromised)
        if self.require_digest and files:
            raise Denied(
                f"`{name}` is refused by `require-digest`: no source publishes a digest of `{printable(files[0])}`",
                code=Code.POLICY,
                rule="require-digest",
                name=name,
                hints=["take it from a source that does, or write the digest behind the address: #sha256=…"],
            )


def _allows(allowed: set[str], expression: str) -> bool:
    """Whether the rules allow an SPDX expression; one with parentheses only if it is listed literally."""
    if expression in allowed:
        return True
    if "(" in expression:
        return False
    return any(all(part.strip() in allowed for part in choice.split(" and ")) for choice in expression.split(" or "))


def _refused(name: str, rule: str, what: str, found: str, allowed: Iterable[str]) -> Denied:
    shown = f"its {what} is `{printable(found)}`" if found else f"its {what} is not known"
    return Denied(
        f"`{name}` is refused by `{rule}`: {shown}",
        code=Code.POLICY,
        rule=rule,
        name=name,
        hints=[f"the project allows {', '.join(allowed)}; choose another model, or change `{rule}` in [settings]"],
    )
