"""The Hub's answers about one repository, written down for nginx, which gives them as fast as anything can.

The tests' own Hub is a program in Python: with many small files it would be measured along with its clients.
"""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.hub import Hub

# What nginx says itself, or what the test's Hub says of its own connection.
_NOT_KEPT = frozenset({"accept-ranges", "connection", "content-length", "content-type", "date", "location", "server"})


def write_down(hub: Hub, repo: str, folder: Path) -> str:
    """Ask the Hub whatever a client may ask of a repository of small files.

    Args:
        hub: The Hub.
        repo: A model repository, none of whose files is large.
        folder: Where the bodies of the answers go.

    Returns:
        nginx's locations, one for each answer.
    """
    folder.mkdir()
    locations = []
    connection = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc)
    for number, path in enumerate(_paths(hub, repo)):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = folder / str(number)
        body.write_bytes(answer.read())
        locations.append(f"location = {path} {{ {_directives(answer, body)} }}")
    connection.close()
    return "\n".join(locations)


def _paths(hub: Hub, repo: str) -> Iterator[str]:
    commit = hub.repos[repo].commit
    yield f"/api/models/{repo}"
    for revision in ("main", commit):
        yield f"/api/models/{repo}/revision/{revision}"
        yield f"/api/models/{repo}/tree/{revision}"
        for file in hub.repos[repo].files:
            yield f"/{repo}/resolve/{revision}/{file}"
    for file in hub.repos[repo].files:
        yield f"/api/resolve-cache/models/{repo}/{commit}/{file}"


def _directives(answer: http.client.HTTPResponse, body: Path) -> str:
    headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_KEPT]
    said = " ".join(f"add_header {name} '{value}' always;" for name, value in headers)
    if location := answer.getheader("Location"):
        return f"{said} return {answer.status} {location};"
    return f"{said} etag off; types {{}} default_type {answer.headers.get_content_type()}; alias {body};"
