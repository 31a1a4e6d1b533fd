"""Save a GGUF model as a plain float32 folder: python -m refinement.embedded.unpack_gguf IN OUT.

A program of its own, so that the one that needs the model does not have to load torch for it.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path


def unpack(source: Path, target: Path) -> None:
    """Write weights, configuration and tokenizer of ``source`` to the folder ``target``."""
    import gguf  # after the arguments are known to be right
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        GgufConfig,
    )

    # transformers reads the file three times and makes the table of names once for each tensor.
    for name in ("GGUFReader", "get_tensor_name_map"):
        setattr(gguf, name, cache(getattr(gguf, name)))
    place = {"gguf_file": source.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(
        str(source.parent),
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),  # else it stays quantised, unsaveable
        **place,
    )
    # Without these the server takes the likeliest token always, and a model this small then loops.
    # The server reads them here: of a request it takes the temperature only.
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9, top_k=40)  # type: ignore[no-untyped-call]
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(str(source.parent), **place).save_pretrained(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    unpack(options.source, options.target)
