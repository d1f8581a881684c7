"""Whether a model fits this machine: its memory, the memory of its GPUs, the free disk. Pure."""

from dataclasses import dataclass
from typing import Final

from modelpm.results.details import Fits

SHARE: Final = 0.9
"""The part of a memory that a model can have: the system and other programs need the rest."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine offers; None is what is not known.

    Attributes:
        ram: Bytes of memory that a process may use.
        vram: Bytes of memory that its GPUs have together.
        disk: Bytes that are free where models are stored.
    """

    ram: int | None = None
    vram: int | None = None
    disk: int | None = None


def fits(machine: Machine, memory: int | None, missing: int | None) -> Fits:
    """Return whether a model fits.

    Args:
        machine: What there is.
        memory: Bytes of memory that the model needs.
        missing: Bytes that must still be downloaded.
    """
    ram, vram = (None if size is None else int(size * SHARE) for size in (machine.ram, machine.vram))
    return Fits(_within(memory, ram), _within(memory, vram), _within(missing, machine.disk))


def _within(needed: int | None, there: int | None) -> bool | None:
    return None if needed is None or there is None else needed <= there
