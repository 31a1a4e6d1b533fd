"""The embedded teacher by llama.cpp, OpenAI-compatible, straight from the wheel's GGUF file.

    python -m refinement.embedded.llama_server MODEL.gguf --host 127.0.0.1 --port 8791

For processors that do not multiply bfloat16: there it writes three times the tokens a second that
``transformers serve`` does in float32, in half the memory (docs/teacher-speed.md).
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import xllamacpp

SLOTS = 8  # requests at once; more wait for their turn
CONTEXT_TOKENS = 4096  # of each, question and answer


def parameters(model: Path, host: str, port: int) -> xllamacpp.CommonParams:
    """Only the API: no pages, no tools, no figures. Threads: one a core, as llama.cpp chooses."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.hostnames = [host]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    params.cache_ram_mib = 0  # a conversation is asked for once: nothing to keep it for
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 1
    return params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = xllamacpp.Server(parameters(options.model, options.host, options.port))
    print(f"listening on {server.listening_address}", flush=True)
    signal.pause()  # its threads do the work; SIGTERM ends the process


if __name__ == "__main__":
    main()
