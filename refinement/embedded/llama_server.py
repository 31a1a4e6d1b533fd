"""The embedded teacher by llama.cpp, OpenAI-compatible.

    python -m refinement.embedded.llama_server MODEL.gguf --host 127.0.0.1 --port 8791

For processors that do not multiply bfloat16: there it writes twice the tokens a second that
``transformers serve`` does in float32 (docs/teacher-speed.md).
"""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import Any

SLOTS = 8  # requests at once; more wait for their turn
CONTEXT_TOKENS = 4096  # of each, question and answer
CACHE_MIB = 1024  # for what prompts begin with: the examples of a step are the same for every pair
SPINS = "200"  # looks at the others before a thread sleeps
MOST_THREADS = 8  # a model this small gains nothing from more


def configure(params: Any, model: Path, host: str, port: int) -> None:
    """Only the API: no pages, no tools, no figures."""
    params.model.path = str(model)
    params.hostnames = [host]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    params.cache_ram_mib = CACHE_MIB
    _sample(params.sampling)
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 1
    threads = min(len(os.sched_getaffinity(0)), MOST_THREADS)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads


def _sample(sampling: Any) -> None:
    """Of a request it gets the temperature only.

    A model this small falls into loops, which end at the length limit and are asked again. DRY
    makes it the less likely to go on with a phrase the longer that has been repeated.
    """
    sampling.top_p = 0.9
    sampling.dry_multiplier = 0.8
    sampling.dry_allowed_length = 3  # tokens of a phrase that may come again freely
    sampling.dry_penalty_last_n = 256
    sampling.penalty_repeat = 1.05  # more, and it leaves out the words that examples begin with
    sampling.penalty_last_n = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    # Its threads meet thousands of times a second: put to sleep each time they lose a third, and
    # waiting awake for long they take the cores from whoever they wait for, and write half as fast
    # beside the student. Read when the library is loaded.
    os.environ.pop("OMP_WAIT_POLICY", None)
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    import xllamacpp

    params = xllamacpp.CommonParams()
    configure(params, options.model, options.host, options.port)
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    signal.pause()  # its threads do the work; SIGTERM ends the process


if __name__ == "__main__":
    main()
