"""Make ``tiny``, a complete llama of some forty thousand weights as one GGUF, the same bytes on every run.

It has everything a real model has, so that whatever loads a GGUF loads it; what it says is noise, for its weights are
pseudo-random. Run ``python catalogs/make_tiny.py`` after a change here, and copy the printed size and digest into
``modelpm_catalogs/models/tiny.toml``.
"""

import hashlib
import sys
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

TARGET = Path(__file__).parent / "modelpm_catalogs" / "tiny" / "tiny.gguf"
SEED = b"modelpm tiny 1"
CONTEXT = 256
WIDTH = 32
HEADS = 4
KV_HEADS = 2
BLOCKS = 2
FEED_FORWARD = 64
WORDS = "▁a ▁and ▁be ▁hello ▁I ▁in ▁is ▁it ▁model ▁of ▁small ▁that ▁the ▁this ▁tiny ▁to ▁world ▁you ing er"


def vocabulary() -> tuple[list[bytes], list[float], list[int]]:
    """Return tokens, scores and types of a SentencePiece vocabulary: specials, all bytes, letters and a few words."""
    special = [(b"<unk>", gguf.TokenType.UNKNOWN), (b"<s>", gguf.TokenType.CONTROL), (b"</s>", gguf.TokenType.CONTROL)]
    raw = [(f"<0x{byte:02X}>".encode(), gguf.TokenType.BYTE) for byte in range(256)]
    letters = ["▁", *(chr(code) for code in range(ord("!"), ord("~") + 1))]
    pieces = [(piece.encode(), gguf.TokenType.NORMAL) for piece in [*WORDS.split(), *letters]]
    tokens = special + raw + pieces
    scores = [0.0] * (len(special) + len(raw)) + [-float(rank) for rank in range(len(pieces))]
    return [token for token, _ in tokens], scores, [int(kind) for _, kind in tokens]


def weights(name: str, *shape: int) -> npt.NDArray[np.float32]:
    """Return noise that depends on the name alone: SHAKE-256 is the same everywhere, numpy's generators need not be."""
    count = int(np.prod(shape))
    noise = np.frombuffer(hashlib.shake_256(SEED + name.encode()).digest(2 * count), dtype="<i2")
    scaled: npt.NDArray[np.float32] = noise.astype(np.float32) / np.float32(1 << 15) / np.sqrt(np.float32(shape[-1]))
    return scaled.reshape(shape)


def tensors(vocabulary_size: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return every tensor of a llama by its GGUF name; shapes are (rows, columns)."""
    kv_width = WIDTH // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary_size, WIDTH)}
    for block in range(BLOCKS):
        shapes |= {
            f"blk.{block}.attn_norm.weight": (WIDTH,),
            f"blk.{block}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{block}.attn_k.weight": (kv_width, WIDTH),
            f"blk.{block}.attn_v.weight": (kv_width, WIDTH),
            f"blk.{block}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{block}.ffn_norm.weight": (WIDTH,),
            f"blk.{block}.ffn_gate.weight": (FEED_FORWARD, WIDTH),
            f"blk.{block}.ffn_up.weight": (FEED_FORWARD, WIDTH),
            f"blk.{block}.ffn_down.weight": (WIDTH, FEED_FORWARD),
        }
    shapes |= {"output_norm.weight": (WIDTH,), "output.weight": (vocabulary_size, WIDTH)}
    return {
        name: np.ones(shape, np.float32) if name.endswith("norm.weight") else weights(name, *shape)
        for name, shape in shapes.items()
    }


def write(target: Path) -> None:
    """Write the model."""
    tokens, scores, types = vocabulary()
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_name("tiny")
    writer.add_description("A complete llama of some forty thousand pseudo-random weights, to try tools with.")
    writer.add_license("apache-2.0")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in tensors(len(tokens)).items():
        # As in every F16 model: matrices in half precision, norms in full.
        writer.add_tensor(name, tensor if tensor.ndim == 1 else tensor.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    write(TARGET)
    content = TARGET.read_bytes()
    sys.stdout.write(f"size = {len(content)}\nsha256 = {hashlib.sha256(content).hexdigest()}\n")
