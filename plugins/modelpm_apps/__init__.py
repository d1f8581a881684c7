"""Exporters for the programs that run models on this machine: ``modelpm apps`` lists them."""

import sys
from collections.abc import Callable, Mapping

from modelpm.api import Context, hookimpl
from modelpm.api.exporting import Exporter
from modelpm_apps.comfyui import ComfyUI
from modelpm_apps.flat import FLAT
from modelpm_apps.hub import HubCache
from modelpm_apps.jan import Jan
from modelpm_apps.llamacpp import LlamaCpp
from modelpm_apps.lmstudio import LMStudio
from modelpm_apps.ollama import OLLAMAS
from modelpm_apps.places import Places
from modelpm_apps.textgen import TextGen

_EXPORTERS: Mapping[str, Callable[[Places], Exporter]] = {
    "hf": HubCache,
    "llama.cpp": LlamaCpp,
    "lmstudio": LMStudio,
    "comfyui": ComfyUI,
    "textgen": TextGen,
    "jan": Jan,
    **OLLAMAS,
    **FLAT,
}


@hookimpl
def modelpm_exporter(name: str, context: Context) -> Exporter | None:
    """Serve the programs that this package knows."""
    make = _EXPORTERS.get(name)
    return make(Places(context.environ, sys.platform)) if make else None
