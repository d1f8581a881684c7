"""Turn the refusals of S3 into errors that say what to do. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from modelpm.api import Code, Denied, Expired, ModelpmError, NotFound, printable
from modelpm.http import Answer, PermanentError, error_of, host
from modelpm_s3.documents import Failure, failure_of
from modelpm_s3.grammar import Place, written

_SHOWN = 300
_DENIED = frozenset({401, 403})
_NO_SUCH = frozenset({400, 404, 405})  # of a version; 405 is the mark of a deletion


class ElsewhereError(Expired):
    """The bucket is in another region than its URL, or its signature, says: the next URL is right."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal of S3.

    Attributes:
        answer: What it answered.
        place: What was asked for.
        found: Where the keys were found; empty if none were sent.
    """

    answer: Answer
    place: Place
    found: str

    @property
    def failure(self) -> Failure:
        """What the body says."""
        return failure_of(self.answer.body)

    @property
    def what(self) -> str:
        """The object or the bucket, as a reference writes it."""
        return printable(f"s3://{written(*self.place)}")

    @property
    def said(self) -> str:
        """The server's own words."""
        failure = self.failure
        return printable(f"{failure.code}: {failure.message}"[:_SHOWN]) if failure.code else str(self.answer.status)

    @property
    def region(self) -> str:
        """The region of the bucket, where the refusal names one."""
        return self.answer.headers.get("x-amz-bucket-region", "") or self.failure.region

    def error(self) -> ModelpmError:
        """Return what it means: its code decides, else its status."""
        explain = _BY_CODE.get(self.failure.code)
        if explain is None and self.answer.status in _NO_SUCH and "versionId=" in self.answer.url:
            explain = _no_version
        if explain is None and self.answer.status in _DENIED:
            explain = _denied
        if explain is None and self.answer.status == HTTPStatus.NOT_FOUND:
            explain = _no_object
        if explain is not None:
            return explain(self)
        error = error_of(self.answer)
        if not isinstance(error, PermanentError) or not self.failure.code:
            return error
        return PermanentError(f"{host(self.answer.url)} refuses {self.what}: {self.said}", code=error.code)


def _no_bucket(refusal: Refusal) -> NotFound:
    where = host(refusal.answer.url)
    return NotFound(
        f"{where} has no bucket `{printable(refusal.place.bucket)}`",
        hints=["check its spelling, and AWS_ENDPOINT_URL where it is not a bucket of AWS"],
        code=Code.REPO_NOT_FOUND,
    )


def _no_object(refusal: Refusal) -> NotFound:
    return NotFound(f"{refusal.what} does not exist", code=Code.FILE_NOT_FOUND)


def _no_version(refusal: Refusal) -> NotFound:
    return NotFound(
        f"{refusal.what} has no such version",
        hints=["an `@` that belongs to the key is written %40"],
        code=Code.REVISION_NOT_FOUND,
    )


def _denied(refusal: Refusal) -> Denied:
    if not refusal.found:
        return Denied(
            f"{refusal.what} is not public, and no keys were sent",
            hints=["set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"],
            code=Code.LOGIN,
        )
    return Denied(
        f"the keys from {refusal.found} may not use {refusal.what} ({refusal.said})",
        hints=["s3:GetObject is needed for objects, s3:ListBucket for prefixes, and s3:PutObject for a push"],
    )


def _bad_keys(refusal: Refusal) -> Denied:
    return Denied(
        f"{host(refusal.answer.url)} does not accept the keys from {refusal.found or 'nowhere'} ({refusal.said})",
        hints=[
            "check both keys, and AWS_SESSION_TOKEN where they are of a session",
            "a public bucket needs none: modelpm config set source.s3.anonymous true",
        ],
        code=Code.BAD_TOKEN,
    )


def _ran_out(refusal: Refusal) -> Denied:
    return Denied(
        f"the session of the keys from {refusal.found} has run out",
        hints=["log in again: aws sso login"],
        code=Code.BAD_TOKEN,
    )


def _clock(refusal: Refusal) -> Denied:
    date = refusal.answer.headers.get("Date", "another time")
    return Denied(
        f"{host(refusal.answer.url)} does not accept the clock of this machine: there it is {printable(date[:_SHOWN])}",
        hints=["set the clock, and run the same command again"],
        code=Code.BAD_TOKEN,
    )


def _archived(refusal: Refusal) -> Denied:
    hint = "restore it first: aws s3api restore-object"
    return Denied(f"{refusal.what} is in an archive class, from which nothing is read", hints=[hint])


_BY_CODE: Mapping[str, Callable[[Refusal], ModelpmError]] = {
    "NoSuchBucket": _no_bucket,
    "NoSuchKey": _no_object,
    "NoSuchUpload": _no_object,
    "NoSuchVersion": _no_version,
    "InvalidAccessKeyId": _bad_keys,
    "InvalidToken": _bad_keys,
    "SignatureDoesNotMatch": _bad_keys,
    "ExpiredToken": _ran_out,
    "RequestTimeTooSkewed": _clock,
    "InvalidObjectState": _archived,
}
