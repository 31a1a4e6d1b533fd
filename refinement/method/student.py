"""The student: a causal language model that is asked for token losses. The only importer of torch.

Many spans go through the model at once: right-padded, under causal attention and without a padding
mask (a token never sees what stands to its right, so padding changes nothing, and positions count
from zero in every row), packed by a budget of tokens. Logits are formed only where there is a
target, a slice at a time, and the loss is taken in float32 whatever the model's dtype.

One Student belongs to one thread.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

import torch
from huggingface_hub.errors import StrictDataclassError
from jinja2 import TemplateError
from safetensors import SafetensorError
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as hub_logging

from refinement.method import student_files
from refinement.method.batching import pack
from refinement.method.errors import StudentError
from refinement.method.spans import LossCache, Span, SpanLoss
from refinement.method.templates import CHAT, ChatTemplate, Message, Template, get_template

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from refinement.method.specs import StudentSpec

logger = logging.getLogger(__name__)

# What transformers raises over files that are not as it expects them.
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
TOKENS_A_BATCH = {"cpu": 2048, "cuda": 32_768}
LOGITS_A_SLICE = 2**25  # elements held at once in float32: 128 MiB
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # half characters, which no byte is


class Student:
    """A loaded model, its tokenizer, and how it is run."""

    def __init__(
        self, *, model: Any, tokenizer: Any, spec: StudentSpec, fingerprint: str = ""
    ) -> None:
        self.spec = spec
        self.fingerprint = fingerprint
        self.cache = LossCache()
        self.device: torch.device = model.device
        self.budget = TOKENS_A_BATCH.get(self.device.type, TOKENS_A_BATCH["cuda"])
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.max_length = min(spec.max_length, positions or spec.max_length)
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._head = model.get_output_embeddings()
        self._plain_head = _is_plain(model)
        self.prefix = self._leading_special_tokens()

    @classmethod
    def load(cls, spec: StudentSpec) -> Self:
        """Load from local files: safetensors or GGUF, never a pickle, never code.

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
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StudentError(f"The student at {path} cannot be loaded: {reason}") from error
        logger.info("student %s on %s in %s", path, device, dtype)
        fingerprint = student_files.fingerprint(spec.path, spec.revision)
        return cls(model=model, tokenizer=tokenizer, spec=spec, fingerprint=fingerprint)

    @property
    def dtype(self) -> str:
        """The precision the model runs in, e.g. ``bfloat16``."""
        return str(self._model.dtype).removeprefix("torch.")

    def template(self, name: str = "") -> Template:
        """The template of that name, else the spec's; ``chat`` is the tokenizer's own."""
        name = name or self.spec.template
        if name != CHAT:
            return get_template(name)
        if not self._tokenizer.chat_template:
            raise StudentError(
                "This student's tokenizer has no chat template: choose a text template."
            )
        return ChatTemplate(render=self._render)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without the special tokens that the tokenizer would add."""
        return [ids for ids, _ in self._encode(texts, offsets=False)]

    def tokenize_with_offsets(
        self, texts: Sequence[str]
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Token ids and each token's (start, end) in characters of its text."""
        if not self._tokenizer.is_fast:
            raise StudentError("This student's tokenizer cannot tell where its tokens stand.")
        return self._encode(texts, offsets=True)

    @torch.inference_mode()
    def span_losses(self, spans: Sequence[Span], *, per_token: bool = False) -> list[SpanLoss]:
        """The loss of each span, in the order given, whatever it was batched with.

        A batch that does not fit into memory halves the budget, for good, and is tried again.
        Raises StudentError where one span alone does not fit.
        """
        found: dict[int, SpanLoss] = {}
        while len(found) < len(spans):
            left = [index for index in range(len(spans)) if index not in found]
            widths = [len(spans[index].ids) - 1 for index in left]
            for batch in pack(widths, budget=self.budget):
                chosen = [left[place] for place in batch]
                losses = self._try_batch([spans[index] for index in chosen], per_token)
                if losses is None:
                    break  # pack what is left by the smaller budget
                found.update(zip(chosen, losses, strict=True))
        return [found[index] for index in range(len(spans))]

    def _try_batch(self, spans: Sequence[Span], per_token: bool) -> list[SpanLoss] | None:
        try:
            return self._run_batch(spans, per_token)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        # Only here, past the handler, does the failed batch release its memory.
        if len(spans) == 1:
            raise StudentError(
                f"A sequence of {len(spans[0].ids)} tokens does not fit into the memory of "
                f"{self.device}: choose a smaller max length."
            )
        self.budget = max(1, len(spans) * (max(len(s.ids) for s in spans) - 1) // 2)
        logger.warning("out of memory on %s: %d tokens a batch from now", self.device, self.budget)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _run_batch(self, spans: Sequence[Span], per_token: bool) -> list[SpanLoss]:
        width = max(len(span.ids) for span in spans) - 1  # the last token is only ever a target
        rows = torch.zeros((len(spans), width), dtype=torch.long)
        asked = torch.zeros((len(spans), width), dtype=torch.bool)
        for row, span in enumerate(spans):
            last = len(span.ids) - 1
            rows[row, :last] = torch.tensor(span.ids[:-1])
            asked[row, last - span.targets : last] = True
        labels = torch.tensor([token for s in spans for token in s.ids[-s.targets :]])
        where = asked.flatten().nonzero().squeeze(1).to(self.device)  # (targets,)
        losses = self._losses(rows.to(self.device), where, labels.to(self.device)).cpu()
        parts = torch.split(losses, [span.targets for span in spans])
        return [_span_loss(part, per_token) for part in parts]

    def _losses(
        self, rows: torch.Tensor, where: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Float32 losses (targets,) of ``labels`` at the flat positions ``where`` of ``rows``."""
        if not self._plain_head:
            logits = self._model(
                input_ids=rows, use_cache=False
            ).logits  # (rows, width, vocabulary)
            return _cross_entropy(logits.flatten(0, 1)[where], labels)
        hidden = self._model.base_model(input_ids=rows, use_cache=False).last_hidden_state
        hidden = hidden.flatten(0, 1)[where]  # (targets, hidden)
        step = max(1, LOGITS_A_SLICE // self._head.weight.shape[0])
        slices = [slice(start, start + step) for start in range(0, len(labels), step)]
        return torch.cat([_cross_entropy(self._head(hidden[s]), labels[s]) for s in slices])

    def _encode(
        self, texts: Sequence[str], *, offsets: bool
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        if not texts:
            return []
        encoded = self._tokenizer(
            [text.translate(SURROGATES) for text in texts],
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=offsets,
            verbose=False,  # a text longer than the context is cut by us, and recorded
        )
        places = encoded["offset_mapping"] if offsets else [[]] * len(texts)
        return list(zip(encoded["input_ids"], places, strict=True))

    def _leading_special_tokens(self) -> list[int]:
        """What the tokenizer puts before a text: a BOS, or nothing. Its EOS is left out."""
        bare = self.tokenize(["a"])[0]
        full = list(self._tokenizer("a")["input_ids"])
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return full[:start]
        return []

    def _render(self, messages: Sequence[Message]) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise StudentError(
                f"The chat template of this student refuses the messages: {error}."
            ) from error
        return str(text)


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


def _dense_gguf() -> dict[str, Any]:
    """Newer releases of transformers keep GGUF blocks packed unless told; older always unpack."""
    try:
        from transformers import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


@torch.inference_mode()
def _is_plain(model: Any) -> bool:
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


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(targets, words), (targets,) -> (targets,) losses in nats, in float32."""
    return functional.cross_entropy(logits.float(), labels, reduction="none")


def _span_loss(losses: torch.Tensor, per_token: bool) -> SpanLoss:
    mean = float(losses.sum() / len(losses))
    finite = mean - mean == 0.0
    return SpanLoss(
        mean=mean if finite else None, tokens=tuple(losses.tolist()) if per_token else ()
    )


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
