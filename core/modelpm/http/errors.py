"""The one failure that only HTTP knows."""

from modelpm.errors import Unavailable


class PermanentError(Unavailable):
    """The network or a server failed in a way that asking again does not cure.

    A certificate that is not trusted, a redirect that leads nowhere, a proxy that refuses. Another location may do.
    """

    code = "network"
    retryable = False
