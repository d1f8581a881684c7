"""Helpers for plugins that write files or print tables: modelpm's own, kept stable for others."""

from modelpm.disk import explained, make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.disk.system import fdatasync, open_file, try_lock
from modelpm.text.human import amount, cells, percent, shorten

__all__ = [
    "amount",
    "cells",
    "explained",
    "fdatasync",
    "make_folder",
    "open_file",
    "percent",
    "read_bytes",
    "shorten",
    "try_lock",
    "write_atomic",
]
