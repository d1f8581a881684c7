"""Where S3 is and who asks: the variables and files that the AWS tools read, then the configuration."""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from modelpm.api import Context, Secret, UsageError, printable
from modelpm.api.toolkit import read_bytes
from modelpm.http import address
from modelpm_s3.service import Service
from modelpm_s3.signing import Keys

if TYPE_CHECKING:
    from modelpm_s3.library import Library

REGION = "us-east-1"
_MOST_BYTES = 1 << 20
_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# What says that a profile gets its keys from somewhere; the library of AWS knows all of these ways.
_INDIRECT = frozenset(
    {"sso_session", "sso_start_url", "role_arn", "credential_process", "credential_source", "web_identity_token_file"}
)
_OF_CONTAINERS = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(slots=True)
class Account:
    """The user's settings for S3.

    Attributes:
        context: What the plugin was given.
        profile: Name of the profile; ``default`` where the user names none.
        named: Whether the user named it.
    """

    context: Context
    profile: str
    named: bool
    _values: Mapping[str, str] = field(repr=False)
    _fixed: Keys | None = field(init=False, repr=False)
    _library: "Library | None" = field(default=None, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        environ = self.context.environ
        self._fixed = _keys({name.lower(): environ.get(name, "") for name in _VARIABLES}, _VARIABLES[0]) or _keys(
            self._values, f"the profile `{self.profile}` of ~/.aws"
        )

    @classmethod
    def of(cls, context: Context) -> "Account":
        """Read the profile.

        Raises:
            UsageError: A file of AWS cannot be read, or has no such profile.
        """
        environ = context.environ
        said = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or _text(context, "profile")
        name = said or "default"
        title = name if name == "default" else f"profile {name}"
        config = _section(_file(environ, "AWS_CONFIG_FILE", "config"), title)
        shared = _section(_file(environ, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), name)
        if said and not config and not shared:
            raise UsageError(
                f"the files of AWS have no profile `{printable(said)}`",
                hints=["check AWS_PROFILE and ~/.aws/config; `aws configure list-profiles` lists what there is"],
            )
        return cls(context, name, bool(said), {**config, **shared})

    def service(self) -> Service:
        """Return where buckets are.

        Raises:
            UsageError: The endpoint is not a web address.
        """
        environ = self.context.environ
        said = (environ.get("AWS_ENDPOINT_URL_S3"), environ.get("AWS_ENDPOINT_URL"), _text(self.context, "endpoint"))
        text = next((bare for each in said if (bare := (each or "").strip())), self._values.get("endpoint_url", ""))
        in_host = {"host": True, "path": False}.get(_text(self.context, "addressing"), not text)
        if not text:
            return Service("", in_host)
        try:
            place = address(text)
        except UsageError as error:
            raise _unusable(error.message) from error
        if place.query is not None or place.fragment or place.username is not None:
            raise _unusable("it has a user, a query or a fragment")
        return Service(place.label.rstrip("/"), in_host)

    def region(self) -> str:
        """Return the region to ask first; a bucket of another one says so."""
        environ = self.context.environ
        said = (environ.get("AWS_REGION"), environ.get("AWS_DEFAULT_REGION"), _text(self.context, "region"))
        return next(filter(None, said), self._values.get("region") or REGION)

    def keys(self, bucket: str, origin: str) -> Keys | None:
        """Return what proves who asks for a bucket; None if nothing is known, or nothing may be sent.

        Args:
            bucket: Which one.
            origin: Of its service.

        Raises:
            UsageError: What is configured cannot be used, or the library of AWS is needed and not installed.
            Denied: The library of AWS has no keys.
        """
        if self.context.settings.get("anonymous"):
            return None
        for server in (f"s3://{bucket}", origin):
            secret = self.context.secret(server)
            if secret is not None:
                if secret.username is None:
                    raise UsageError(
                        f"the credentials of {server} are a token, and S3 takes a pair of keys",
                        hints=[f'write [credentials."{server}"] with username = "KEY-ID" and password-env = "NAME"'],
                    )
                return Keys(secret.username, secret, None, "the configuration")
        if self._fixed is not None:
            return self._fixed
        return self._from_library()

    def _from_library(self) -> Keys | None:
        environ = self.context.environ
        source = next(iter(_INDIRECT & self._values.keys()), "") or next(filter(environ.get, _OF_CONTAINERS), "")
        if not source:
            return None
        from modelpm_s3.library import Library

        with self._lock:
            if self._library is None:
                self._library = Library(self.profile if self.named else None, source)
        return self._library.keys()


def _keys(values: Mapping[str, str], found: str) -> Keys | None:
    access, secret = values.get("aws_access_key_id", "").strip(), values.get("aws_secret_access_key", "").strip()
    if not access or not secret:
        return None
    token = values.get("aws_session_token", "").strip()
    return Keys(access, Secret(secret), Secret(token) if token else None, found)


def _text(context: Context, key: str) -> str:
    return str(context.settings.get(key) or "").strip()


def _file(environ: Mapping[str, str], variable: str, name: str) -> Path | None:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    said = environ.get(variable)
    if said and home and said.startswith("~/"):
        said = home + said[1:]
    return Path(said) if said else Path(home, ".aws", name) if home else None


def _section(path: Path | None, name: str) -> Mapping[str, str]:
    """Return one section of a file of AWS; empty without the file or the section."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_bytes(path, _MOST_BYTES, follow=True).decode() if path else "")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise UsageError(f"the file {path} cannot be read: {type(error).__name__}") from None
    return dict(parser.items(name)) if parser.has_section(name) else {}


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"the endpoint of s3:// (AWS_ENDPOINT_URL, or `endpoint` in the configuration) cannot be used: {why}",
        hints=["it has the form https://host:port"],
    )
