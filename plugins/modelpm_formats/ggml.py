"""ggml files of before GGUF: whisper.cpp's models, and those of early llama.cpp."""

from struct import Struct
from typing import Final

from modelpm.api.inspection import ByteSource, Facts, Findings
from modelpm_formats.ggml_types import FILE_TYPES

NAME: Final = "ggml"
_MAGICS: Final = (b"lmgg", b"fmgg", b"tjgg", b"algg")
_PLAIN: Final = b"lmgg"
_WHISPER: Final = Struct("<4s11i")
_MELS: Final = (80, 128)
_LARGEST: Final = 1 << 20
_VERSIONS: Final = 1000  # the quantization's version is added to the file type in thousands


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of a ggml file."""
    return head.startswith(_MAGICS)


def inspect(source: ByteSource) -> Findings:
    """Read the parameters of a whisper.cpp model; other ggml files are recognized only."""
    head = source.read(0, _WHISPER.size)
    if not head.startswith(_PLAIN) or len(head) < _WHISPER.size:  # other programs' headers are shorter
        return Findings(NAME)
    _, vocabulary, *audio, text_context, _, _, _, mels, file_type = _WHISPER.unpack(head)
    if mels not in _MELS or not all(0 < value < _LARGEST for value in (vocabulary, *audio, text_context)):
        return Findings(NAME)
    facts = Facts(
        architecture="whisper",
        quantization=FILE_TYPES.get(file_type % _VERSIONS),
        context_length=text_context,
        tokenizer=True,
    )
    return Findings(NAME, facts)
