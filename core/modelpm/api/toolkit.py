"""Helpers for plugins that write files, print tables, or read formats; modelpm keeps them stable."""

from modelpm.api.cursor import BoundError, Cursor, CutError, MalformedError, Memory, Part
from modelpm.api.inspection import dangerous, structural, worst
from modelpm.disk import explained, make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.disk.system import fdatasync, open_file, try_lock
from modelpm.text.human import amount, cells, percent, shorten

__all__ = [
    "BoundError",
    "Cursor",
    "CutError",
    "MalformedError",
    "Memory",
    "Part",
    "amount",
    "cells",
    "dangerous",
    "explained",
    "fdatasync",
    "make_folder",
    "open_file",
    "percent",
    "read_bytes",
    "shorten",
    "structural",
    "try_lock",
    "worst",
    "write_atomic",
]
