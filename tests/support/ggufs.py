"""Small GGUF files of the official writer, with the headers of real language models."""

from pathlib import Path
from typing import Any

import gguf as official
import numpy as np


def language_model(folder: Path, *, tokens: int = 200, weights: int = 4096, **known: Any) -> bytes:
    """Return a model of one tensor that says of itself what an 8B model says.

    Args:
        folder: Where it is written for a moment.
        tokens: Of its vocabulary.
        weights: Numbers of its only tensor.
        known: ``size_label``, ``license``, ``file_type``.
    """
    path = folder / "made.gguf"
    writer = official.GGUFWriter(path, "llama")
    writer.add_size_label(known.get("size_label", "8B"))
    writer.add_license(known.get("license", "apache-2.0"))
    writer.add_file_type(known.get("file_type", official.LlamaFileType.MOSTLY_Q4_K_M))
    writer.add_context_length(40_960)
    writer.add_block_count(36)
    writer.add_embedding_length(4096)
    writer.add_feed_forward_length(12_288)
    writer.add_head_count(32)
    writer.add_head_count_kv(8)
    writer.add_key_length(128)
    writer.add_value_length(128)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{number}" for number in range(tokens)])
    writer.add_tensor("output.weight", np.ones((weights // 64, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    path.unlink()
    return data
