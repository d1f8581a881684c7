"""The keyring of the system, through the library ``keyring``."""

from modelpm.api import Secret, UsageError


class Keyring:
    """Looks under the server's address as the service: ``keyring set https://host USER``."""

    def secret(self, server: str) -> Secret | None:
        """Return what is stored for a server; one without a user, or with the user ``token``, is a token.

        Raises:
            UsageError: The library is missing.
        """
        try:
            import keyring
        except ImportError as error:
            raise UsageError(
                "the credentials `keyring` need the library keyring, which is not installed",
                hints=["pip install 'modelpm[keyring]'"],
            ) from error
        found = keyring.get_credential(server, None)
        if found is None or not found.password:
            return None
        return Secret(found.password, username=None if found.username in {"", "token", None} else found.username)
