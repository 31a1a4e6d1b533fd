"""A random Llama in one GGUF file, with quantised blocks, as llama.cpp's converter writes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants

from tests.method.tiny_student import build_tokenizer, tiny_config

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = GGMLQuantizationType.Q4_1
SPREAD = 0.4  # of the weights, so that losses differ visibly from token to token


def save_tiny_gguf(path: Path) -> Path:
    """The sizes of ``tiny_config``; ``path``, once it is written."""
    writer = GGUFWriter(path, "llama")
    _add_sizes(writer)
    _add_tokenizer(writer)
    _add_weights(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_sizes(writer: GGUFWriter) -> None:
    config = tiny_config()
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: GGUFWriter) -> None:
    model = json.loads(build_tokenizer().backend_tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    special = {"<s>", "</s>"}
    kinds = [TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(tokens.index("<s>"))
    writer.add_eos_token_id(tokens.index("</s>"))


def _add_weights(writer: GGUFWriter) -> None:
    config = tiny_config()
    hidden, inner, vocabulary = config.hidden_size, config.intermediate_size, config.vocab_size
    keys = hidden // config.num_attention_heads * config.num_key_value_heads
    shapes = {"attn_q": (hidden, hidden), "attn_k": (keys, hidden), "attn_v": (keys, hidden)}
    shapes |= {"attn_output": (hidden, hidden), "ffn_down": (hidden, inner)}
    shapes |= {"ffn_gate": (inner, hidden), "ffn_up": (inner, hidden)}
    numbers = np.random.default_rng(0)

    def add(name: str, shape: tuple[int, int]) -> None:
        values = numbers.normal(0, SPREAD, shape).astype(np.float32)
        writer.add_tensor(f"{name}.weight", quants.quantize(values, BLOCKS), raw_dtype=BLOCKS)

    add("token_embd", (vocabulary, hidden))
    add("output", (vocabulary, hidden))
    writer.add_tensor("output_norm.weight", np.ones(hidden, np.float32))
    for layer in range(config.num_hidden_layers):
        for name, shape in shapes.items():
            add(f"blk.{layer}.{name}", shape)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(hidden, np.float32))
