"""The one failure that only HTTP knows."""

from modelpm.errors import Code, Unavailable


class PermanentError(Unavailable):
    """The network or a server failed in a way that asking again does not fix.

    A certificate that is not trusted, a redirect that leads nowhere, a proxy that refuses. Another location may do.
    """

    code = Code.NETWORK
    retryable = False
