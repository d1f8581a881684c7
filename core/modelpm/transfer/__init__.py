"""The transfer engine: the only room that brings bytes of models in from outside."""

from modelpm.transfer.bandwidth import RateLimit
from modelpm.transfer.disk_space import check_space
from modelpm.transfer.engine import Engine
from modelpm.transfer.model import Fetch, Fetched, FileProgress, Options, Origin, RunProgress

__all__ = [
    "Engine",
    "Fetch",
    "Fetched",
    "FileProgress",
    "Options",
    "Origin",
    "RateLimit",
    "RunProgress",
    "check_space",
]
