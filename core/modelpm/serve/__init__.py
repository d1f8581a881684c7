"""The service: modelpm behind an HTTP API, with a page; needs the extra ``serve``.

``router(manager)`` is what an application mounts; ``modelpm serve`` runs :func:`modelpm.serve.application.application`,
which adds the page and keeps strangers out.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelpm.serve.application import Service, application, token_of
    from modelpm.serve.routes import router

__all__ = ["Service", "application", "router", "token_of"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    from modelpm.errors import UsageError

    application = "modelpm.serve.application"
    homes = dict.fromkeys(("Service", "application", "token_of"), application) | {"router": "modelpm.serve.routes"}
    if name not in homes:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    try:
        return getattr(import_module(homes[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "modelpm":
            raise
        raise UsageError(
            f"the service needs {error.name}, which is not installed", hints=["pip install 'modelpm[serve]'"]
        ) from error
