"""The transfer engine: the only room that brings bytes of models in from outside."""

from modelpm.transfer.engine import Engine
from modelpm.transfer.rate import RateLimit
from modelpm.transfer.space import check_space
from modelpm.transfer.values import Fetch, Fetched, FileProgress, Options, Origin, RunProgress

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
