"""Errors as ``application/problem+json``, with the HTTP status that fits modelpm's exit code."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from modelpm.errors import Code, ModelpmError
from modelpm.serve.schema import Problem

_BY_CODE = {
    Code.NO_SPACE: HTTPStatus.INSUFFICIENT_STORAGE,
    Code.IN_USE: HTTPStatus.CONFLICT,
    Code.LOCK_TIMEOUT: HTTPStatus.CONFLICT,
    Code.NAME_TAKEN: HTTPStatus.CONFLICT,
}
_BY_EXIT = {
    2: HTTPStatus.UNPROCESSABLE_ENTITY,
    3: HTTPStatus.CONFLICT,
    5: HTTPStatus.NOT_FOUND,
    6: HTTPStatus.SERVICE_UNAVAILABLE,
    7: HTTPStatus.FORBIDDEN,
}
MEDIA_TYPE = "application/problem+json"
_MOST_NAMED = 5


class ProblemError(Exception):
    """An error of the service itself.

    Args:
        status: The HTTP status.
        code: What kind of error it is.
        title: What failed, and why.
        hints: What to do next.
        job: The job that wants the same already.
    """

    def __init__(self, status: int, code: str, title: str, *hints: str, job: int | None = None) -> None:
        super().__init__(title)
        self.problem = Problem(title=title, status=status, code=code, hints=list(hints), retryable=False, job=job)


def status_of(error: ModelpmError) -> int:
    """Return the HTTP status of an error."""
    by_exit = _BY_EXIT.get(error.exit_code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return next((status for code, status in _BY_CODE.items() if code == error.code), by_exit)


def answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the response of a problem."""
    return JSONResponse(problem.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE)


def of(error: ModelpmError | RequestValidationError | ProblemError) -> JSONResponse:
    """Return the response to what the library raised, to a request that the schema refuses, or to a problem."""
    if isinstance(error, ProblemError):
        return answer(error.problem)
    if isinstance(error, ModelpmError):
        status = status_of(error)
        code, hints, retryable = str(error.code), list(error.hints), error.retryable
        return answer(Problem(title=error.message, status=status, code=code, hints=hints, retryable=retryable))
    # What was sent is not repeated: it may be anything.
    found = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()[:_MOST_NAMED]]
    return answer(_usage(HTTPStatus.UNPROCESSABLE_ENTITY, f"invalid request: {'; '.join(found)}"))


async def of_framework(request: Request, error: Exception) -> JSONResponse:
    """Answer with what the framework raised: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as it is registered
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the framework names the methods of one route only
        headers["Allow"] = ", ".join(sorted(_methods(request.app.openapi()["paths"], request.url.path)))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error.status_code == HTTPStatus.BAD_REQUEST else error.status_code
    return answer(_usage(status, str(error.detail)), headers)


def _methods(paths: Mapping[str, Mapping[str, Any]], path: str) -> set[str]:
    """Return the methods that a path has, as the API is described."""
    asked = path.split("/")
    return {
        method.upper()
        for known, methods in paths.items()
        for method in methods
        if len(parts := known.split("/")) == len(asked)
        and all(part.startswith("{") or part == given for part, given in zip(parts, asked, strict=True))
    }


def _usage(status: int, title: str) -> Problem:
    code = Code.NOT_FOUND if status == HTTPStatus.NOT_FOUND else Code.USAGE
    return Problem(title=title, status=status, code=code.value, hints=[], retryable=False)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the errors of a route."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }
