"""Keys that only the library of AWS can get: single sign-on, roles, containers, programs."""

from modelpm.api import Denied, Secret, UsageError
from modelpm_s3.signing import Keys


class Library:
    """The library of AWS, with one profile. It renews keys that run out. Thread-safe.

    Args:
        profile: Which one; None for the default.
        source: The key or the variable that says where keys come from.

    Raises:
        UsageError: The library is missing.
    """

    def __init__(self, profile: str | None, source: str) -> None:
        try:
            import botocore.session
        except ImportError as error:
            raise UsageError(
                f"`{source}` says where the keys of AWS come from, and that needs the library botocore",
                hints=["pip install 'modelpm[s3]'"],
            ) from error
        self._what = f"the profile `{profile}` of ~/.aws" if profile else source
        self._session = botocore.session.Session(profile=profile)

    def keys(self) -> Keys:
        """Return the keys of this moment.

        Raises:
            Denied: There are none.
        """
        from botocore.exceptions import BotoCoreError

        try:
            credentials = self._session.get_credentials()
            found = None if credentials is None else credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise self._none(f": {error}") from error
        if found is None or not found.access_key or not found.secret_key:
            raise self._none("")
        token = Secret(found.token) if found.token else None
        return Keys(found.access_key, Secret(found.secret_key), token, self._what)

    def _none(self, why: str) -> Denied:
        return Denied(f"{self._what} has no keys{why}", hints=["log in again: aws sso login"])
