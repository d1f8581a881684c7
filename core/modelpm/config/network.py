"""From settings to how the network is used."""

import re
from pathlib import Path

from modelpm.api.types import Network
from modelpm.config import Config
from modelpm.network.health import Hosts

_PROXIED = ("http", "https", "all")


def network_of(config: Config, hosts: Hosts) -> Network:
    """Return how the network is used: timeouts, certificates, proxies, and what is known of hosts."""
    environ = config.environ
    schemes = {scheme: environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") for scheme in _PROXIED}
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return Network(
        idle_timeout=config["network.idle-timeout"],
        cacert=config["network.cacert"],
        cert_file=Path(environ["SSL_CERT_FILE"]) if environ.get("SSL_CERT_FILE") else None,
        proxies={scheme: url for scheme, url in schemes.items() if url and url.strip()},
        no_proxy=tuple(host for host in re.split(r"[\s,;]+", no_proxy) if host),
        retries=config["network.retries"],
        first_byte_timeout=config["network.first-byte-timeout"],
        outage=config.outage,
        hosts=hosts,
    )
