"""Say what a failed connection means. The cause's own words are hardly used: they may hold a signed query."""

import http.client
import re
import ssl
from collections.abc import Callable, Sequence

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util.ssl_match_hostname import CertificateError

from modelpm.errors import Code, ModelpmError, Unavailable
from modelpm.http.connections import TunnelRefusedError
from modelpm.http.errors import PermanentError
from modelpm.http.timing import NoAnswerError
from modelpm.http.urls import host
from modelpm.http.watchdog import TooSlowError
from modelpm.text.human import duration
from modelpm.text.untrusted import printable

# All that a connection may raise. ValueError and AttributeError come from a socket that another thread has shut down
# in mid-read.
BREAKS = (HTTPError, OSError, ssl.SSLError, http.client.HTTPException, ValueError, AttributeError)


def failure(error: BaseException, url: str, proxy: str = "") -> ModelpmError:
    """Return what a failed connection or read means for the caller; ``proxy`` names the one it went through."""
    if proxy and isinstance(error, ProxyError | NewConnectionError):
        return _proxy_failure(error, proxy)
    certificate = _certificate_problem(error)
    if certificate:
        return _untrusted(host(url), certificate)
    late = _too_late(error, host(url))
    if late is not None:
        return late
    for kinds, explain in _MEANINGS:
        if isinstance(error, kinds):
            return explain(host(url), error)
    return Unavailable(f"the connection to {host(url)} broke: {reason(error)}")


_UNREACHED = "check the address and its port, whether the server runs, and the network"
_MEANINGS: tuple[tuple[type | tuple[type, ...], Callable[[str, BaseException], ModelpmError]], ...] = (
    (LocationValueError, lambda name, _: PermanentError(f"the address of {name} is malformed", code=Code.BAD_ADDRESS)),
    (
        NameResolutionError,
        lambda name, _: Unavailable(
            f"the name {name} cannot be resolved", hints=["check the network, and the spelling of the host"]
        ),
    ),
    (
        NewConnectionError,
        lambda name, error: Unavailable(f"{name} cannot be reached: {reason(error)}", hints=[_UNREACHED]),
    ),
    (
        ConnectTimeoutError,
        lambda name, _: Unavailable(f"{name} cannot be reached: no connection in time", hints=[_UNREACHED]),
    ),
    ((ReadTimeoutError, TimeoutError), lambda name, _: Unavailable(f"{name} went silent", code=Code.STALLED)),
    (
        (SSLError, ssl.SSLError),
        lambda name, error: Unavailable(f"the encrypted connection to {name} broke: {reason(error)}"),
    ),
)


def _too_late(error: BaseException, name: str) -> ModelpmError | None:
    """Return what it means that an answer did not begin in time, or that it drips."""
    for cause in _causes(error):
        if isinstance(cause, TooSlowError):
            return Unavailable(f"{name} sends the head of its answer too slowly, and does not end it", code=Code.SLOW)
        if isinstance(cause, NoAnswerError):
            return Unavailable(
                f"{name} sent no answer within {duration(cause.seconds)}", hints=[_PATIENT], code=Code.NO_ANSWER
            )
    return None


_PATIENT = (
    "a registry that fetches a file before it answers may need longer:"
    " modelpm config set network.first-byte-timeout 1800"
)


def _untrusted(name: str, problem: str) -> PermanentError:
    return PermanentError(
        f"the certificate of {name} is not trusted: {problem}",
        hints=["if your network inspects TLS, name its certificate with --cacert FILE", "check the machine's clock"],
        code=Code.CERTIFICATE,
    )


def proxy_wants_a_name(proxy: str, challenges: Sequence[str]) -> PermanentError:
    """Return what a proxy's 407 means; ``challenges`` are its ``Proxy-Authenticate`` headers."""
    schemes = list(dict.fromkeys(word for text in challenges if (word := text.strip().partition(" ")[0][:20])))
    known = {scheme.lower() for scheme in schemes}
    if known and "basic" not in known:
        return PermanentError(
            f"the proxy {proxy} wants a user and a password by {', '.join(map(printable, schemes))} (407), "
            "and only Basic can be used here",
            hints=[
                "run a helper that speaks it, such as cntlm or px, and name that: HTTPS_PROXY=http://127.0.0.1:3128",
                "or ask the network's administrators to let this host through without a password (NO_PROXY)",
            ],
            code=Code.PROXY,
        )
    return PermanentError(
        f"the proxy {proxy} wants a user and a password (407)",
        hints=["give them in the proxy's address: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"],
        code=Code.PROXY,
    )


def _proxy_failure(error: ProxyError | NewConnectionError, proxy: str) -> ModelpmError:
    inner = error.original_error if isinstance(error, ProxyError) else error
    asked = next((cause for cause in _causes(error) if isinstance(cause, TunnelRefusedError)), None)
    if asked is not None:
        return proxy_wants_a_name(proxy, asked.challenges)
    refused = re.search(r"Tunnel connection failed: (\d{3})", str(inner))
    why = f"it answered {refused[1]}" if refused else reason(inner)
    return Unavailable(
        f"the proxy {proxy} makes no connection: {why}",
        hints=["check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"],
        code=Code.PROXY,
    )


def _certificate_problem(error: BaseException) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message or "it is not valid"
        if isinstance(cause, CertificateError):
            return "it is for another host"
    return None


# A parser's own words mean nothing to a user; what the server did does.
_NOT_HTTP: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((http.client.RemoteDisconnected,), "it closed the connection without an answer"),
    ((http.client.IncompleteRead,), "the body ended too early"),
    ((http.client.LineTooLong,), "it sent a line without end"),
    ((http.client.BadStatusLine,), "it does not speak HTTP"),
    ((ValueError, AttributeError), "it sent something that is not HTTP"),
)


def closed_early(error: BaseException) -> bool:
    """Whether the other side closed the connection instead of answering."""
    causes = _causes(error)
    if any(isinstance(cause, TooSlowError) for cause in causes):  # we did
        return False
    return any(isinstance(cause, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError) for cause in causes)


def reason(error: BaseException) -> str:
    """Return the operating system's or TLS library's own words for it, or the kind of error."""
    causes = list(_causes(error))
    for kinds, words in _NOT_HTTP:
        if isinstance(causes[-1], kinds):
            return words
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return str(cause.reason).replace("_", " ").lower()
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(causes[-1]).__name__).lower()


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what led to it, the root last."""
    found: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in found:
        found.append(step)
        inner = next((arg for arg in step.args if isinstance(arg, BaseException)), None)
        step = step.__cause__ or inner or step.__context__
    return found
