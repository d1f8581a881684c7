"""Test whether a server answers at all, with the settings of a download."""

from dataclasses import replace

from modelpm.api.types import Network
from modelpm.errors import ModelpmError
from modelpm.http.pool import Asked, Pool

_PATIENCE = 5.0  # seconds; who waits for a diagnosis wants it soon


def reach(url: str, network: Network) -> ModelpmError | None:
    """Ask for a URL, with the proxies and certificates that are set; return why no answer came, or None.

    Any answer of the server counts: it was asked without credentials.
    """
    quick = replace(network, connect_timeout=_PATIENCE, idle_timeout=_PATIENCE)
    pool = Pool(quick)
    try:
        pool.send(Asked(), url).close()
    except ModelpmError as error:
        return error
    finally:
        pool.close()
    return None
