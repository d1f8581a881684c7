"""Hold an inspector against the contract."""

from collections.abc import Sequence

from modelpm.api.inspection import HEAD, Findings, Inspector
from modelpm.api.toolkit import Memory
from modelpm.testing.promises import require


def check_inspector(inspector: Inspector, examples: Sequence[bytes], *, steps: int = 64) -> None:
    """Assert that an inspector does what modelpm relies on.

    It inspects whole files, cuts of them, files with damaged bytes, and bytes of nothing.

    Args:
        inspector: What your plugin made.
        examples: Small files of its format without a problem.
        steps: How many cuts and damaged bytes of each are tried.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    require(bool(examples) and bool(inspector.formats), "there are examples, and the inspector names its formats")
    require(not inspector.recognizes(b""), "an empty file is not recognized")
    for data in examples:
        require(inspector.recognizes(data[:HEAD]), "the first bytes of each example are recognized")
        found = _inspected(inspector, data)
        require(found.format in inspector.formats, f"the format {found.format} is one that the inspector names")
        require(not found.problems, f"an example without a problem has none, and not {found.problems}")
        for at in range(0, len(data), max(1, len(data) // steps)):
            _inspected(inspector, data[:at])
            _inspected(inspector, data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])


def _inspected(inspector: Inspector, data: bytes) -> Findings:
    found = inspector.inspect(Memory(data))
    require(isinstance(found, Findings), f"inspect returns Findings, not a {type(found).__name__}")
    return found
