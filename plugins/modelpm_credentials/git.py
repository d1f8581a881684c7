"""What ``git credential`` knows: the helpers of the user's Git configuration."""

from urllib.parse import urlsplit

from modelpm.api import Context, Secret, UsageError
from modelpm_credentials.running import run

_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GCM_INTERACTIVE": "never"}


class Git:
    """Asks Git, which must not ask the user."""

    def __init__(self, context: Context) -> None:
        self._environ = {**context.environ, **_QUIET}

    def secret(self, server: str) -> Secret | None:
        """Return the password of a web server."""
        place = urlsplit(server)
        if place.scheme not in {"http", "https"}:
            return None
        question = f"protocol={place.scheme}\nhost={place.netloc}\n\n"
        try:
            answer = run(["git", "credential", "fill"], self._environ, question)
        except UsageError:  # no helper knows it, or Git is not installed
            return None
        fields = dict(line.partition("=")[::2] for line in answer.splitlines())
        password = fields.get("password", "")
        return Secret(password, username=fields.get("username", "")) if password else None
