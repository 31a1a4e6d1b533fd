"""Load a student from local files: safetensors, an adapter on top of them, or GGUF.

Never a pickle, never code, never from the network.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as hub_logging

from refinement.method import student_files
from refinement.method.errors import StudentError

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.specs import StudentSpec

logger = logging.getLogger(__name__)

# What transformers and peft raise over files that are not as they expect them.
UNLOADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
)


def load_student(spec: StudentSpec) -> tuple[Any, Any]:
    """Model and tokenizer, on the device and in the dtype of ``spec``.

    Raises StudentError with a sentence for the user.
    """
    student_files.check_student_path(spec.path, spec.revision)
    path = student_files.locate(spec.path, spec.revision)
    device = choose_device(spec.device)
    dtype = choose_dtype(spec.dtype, device)
    try:
        model, tokenizer = _read(path, dtype)
        model.to(device)
    except torch.OutOfMemoryError:
        raise StudentError(
            f"The student at {path} does not fit into the memory of {device}: "
            "choose a smaller one, or bfloat16."
        ) from None
    except UNLOADABLE as error:
        if "trust_remote_code" in str(error):
            raise student_files.code_refused(path) from None
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StudentError(f"The student at {path} cannot be loaded: {reason}") from error
    logger.info("student %s on %s in %s", path, device, dtype)
    return model, tokenizer


def choose_device(name: str) -> torch.device:
    """``auto``: a CUDA device where there is one, else the CPU. Raises StudentError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise StudentError(
            f"There is no device '{name}' for the student here: choose auto or cpu."
        ) from None
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 where the hardware multiplies in it, else float32. Raises StudentError."""
    if name == "auto":
        return torch.bfloat16 if _is_good_at_bfloat16(device) else torch.float32
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in dtypes:
        raise StudentError(f"There is no student dtype '{name}': choose auto, float32 or bfloat16.")
    return dtypes[name]


def _is_good_at_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # as of torch 2.6
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def _read(path: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """Model and tokenizer from local files. Raises what transformers raises, and StudentError."""
    if student_files.is_adapter(path):
        return _read_adapter(path, dtype)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    weights: dict[str, Any] = {"dtype": dtype, "output_loading_info": True}
    if path.is_file():
        safe["gguf_file"] = path.name
        weights |= _dense_gguf()
        path = path.parent
    else:
        weights["use_safetensors"] = True
    tokenizer = AutoTokenizer.from_pretrained(path, **safe)
    # A worker's log is no place for a bar.
    hub_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loaded: Any = AutoModelForCausalLM.from_pretrained(path, **safe, **weights)
    model, info = loaded
    if info["missing_keys"]:  # transformers would go on with random numbers
        name = min(info["missing_keys"])
        raise StudentError(
            f"The student at {path} lacks weights, {name} among them: save it again."
        )
    return model, tokenizer


def _read_adapter(path: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The base model with the adapter's weights added to its own: no slower than without."""
    try:
        from peft import PeftModel
    except ImportError:
        raise StudentError(
            f"{path} holds an adapter, and the package peft is not installed: "
            "install srt-web[adapters]."
        ) from None
    model, tokenizer = _read(student_files.base_of(path), dtype)
    adapted: Any = PeftModel.from_pretrained(model, path, local_files_only=True)
    if not hasattr(adapted.base_model, "merge_and_unload"):
        kind = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))["peft_type"]
        raise StudentError(
            f"The adapter at {path} is of the kind {kind}, whose weights cannot be merged into a "
            "model: give a merged model, or a LoRA."
        )
    if student_files.has_tokenizer(path):
        tokenizer = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    return adapted.merge_and_unload(safe_merge=True), tokenizer


def _dense_gguf() -> dict[str, Any]:
    """Newer releases of transformers keep GGUF blocks packed unless told; older always unpack."""
    try:
        from transformers import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


@torch.inference_mode()
def has_plain_head(model: Any) -> bool:
    """Whether logits are the output layer's product with the last hidden state, and no more.

    Some models scale or cap what leaves that layer, or project what enters it. So it is tried: the
    layer's output is replaced by known values, which must come out of the model unchanged.
    """
    rows = torch.arange(4, device=model.device)[None]  # (1, 4)
    entered: list[torch.Tensor] = []
    head = model.get_output_embeddings()
    known = torch.linspace(-99, 99, 4 * head.weight.shape[0])
    known = known.view(1, 4, -1).to(device=model.device, dtype=model.dtype)

    def replace(_: Any, arguments: tuple[torch.Tensor], __: torch.Tensor) -> torch.Tensor:
        entered.append(arguments[0])
        return known

    hook = head.register_forward_hook(replace)
    try:
        left = model(input_ids=rows, use_cache=False).logits
    finally:
        hook.remove()
    hidden = model.base_model(input_ids=rows, use_cache=False).last_hidden_state
    if not entered or entered[0].shape != hidden.shape:
        return False
    same_states = torch.allclose(entered[0], hidden, rtol=1e-2, atol=1e-2)
    return bool(same_states and torch.equal(left.to(known.dtype), known))
