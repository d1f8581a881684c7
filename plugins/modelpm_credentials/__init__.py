"""Where secrets come from: the configuration, Docker's, ``git credential``, the system's keyring, ``.netrc``."""

from modelpm.api import Context, Credentials, hookimpl


@hookimpl
def modelpm_credentials(name: str, context: Context) -> Credentials | None:
    """Open one of the stores; each is imported when it is asked for."""
    match name:
        case "config":
            from modelpm_credentials.config import Tables

            return Tables(context)
        case "docker":
            from modelpm_credentials.docker import Docker

            return Docker(context)
        case "git":
            from modelpm_credentials.git import Git

            return Git(context)
        case "keyring":
            from modelpm_credentials.keyring import Keyring

            return Keyring()
        case "netrc":
            from modelpm_credentials.netrc import Netrc

            return Netrc(context)
        case _:
            return None
