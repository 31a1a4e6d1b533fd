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
from jinja2 import TemplateError

from refinement.method import student_files
from refinement.method.batching import pack
from refinement.method.errors import StudentError
from refinement.method.losses import TargetLosses, target_losses
from refinement.method.spans import LossCache, Span, SpanLoss
from refinement.method.student_loading import has_plain_head, load_student
from refinement.method.templates import CHAT, ChatTemplate, Message, Template, get_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.planning import Encoded
    from refinement.method.specs import StudentSpec

logger = logging.getLogger(__name__)

TOKENS_A_BATCH = {"cpu": 2048, "cuda": 32_768}
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
        self._plain_head = has_plain_head(model)
        self.prefix = self._leading_special_tokens()
        self.forward_tokens = 0  # that went through the model so far, padding not counted

    @classmethod
    def load(cls, spec: StudentSpec) -> Self:
        """Load from local files: safetensors or GGUF, never a pickle, never code.

        Raises StudentError with a sentence for the user.
        """
        model, tokenizer = load_student(spec)
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

    @property
    def places_tokens(self) -> bool:
        """Whether the tokenizer can tell where in a text its tokens stand."""
        return bool(self._tokenizer.is_fast)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without the special tokens that the tokenizer would add."""
        return [ids for ids, _ in self._encode(texts, places=False)]

    def tokenize_with_places(self, texts: Sequence[str]) -> list[Encoded]:
        """Token ids and each token's (start, end) in characters of its text.

        No places where the tokenizer cannot tell.
        """
        return self._encode(texts, places=self.places_tokens)

    @torch.inference_mode()
    def span_losses(self, spans: Sequence[Span]) -> list[SpanLoss]:
        """The losses of each span, in the order given, whatever it was batched with.

        A batch that does not fit into memory halves the budget, for good, and is tried again.
        Raises StudentError where one span alone does not fit.
        """
        found: dict[int, SpanLoss] = {}
        while len(found) < len(spans):
            left = [index for index in range(len(spans)) if index not in found]
            for batch in pack([spans[index].width for index in left], budget=self.budget):
                # Those that want ranks first, so that the others' logits need not be counted.
                chosen = sorted((left[place] for place in batch), key=lambda i: not spans[i].ranked)
                losses = self._try_batch([spans[index] for index in chosen])
                if losses is None:
                    break  # pack what is left by the smaller budget
                found.update(zip(chosen, losses, strict=True))
        self.forward_tokens += sum(span.width for span in spans)
        return [found[index] for index in range(len(spans))]

    def _try_batch(self, spans: Sequence[Span]) -> list[SpanLoss] | None:
        try:
            return self._run_batch(spans)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        # Only here, past the handler, does the failed batch release its memory.
        if len(spans) == 1:
            raise StudentError(
                f"A sequence of {len(spans[0].ids)} tokens does not fit into the memory of "
                f"{self.device}: choose a smaller max length."
            )
        self.budget = max(1, len(spans) * max(span.width for span in spans) // 2)
        logger.warning("out of memory on %s: %d tokens a batch from now", self.device, self.budget)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _run_batch(self, spans: Sequence[Span]) -> list[SpanLoss]:
        width = max(span.width for span in spans)
        rows = torch.zeros((len(spans), width), dtype=torch.long)
        asked = torch.zeros((len(spans), width), dtype=torch.bool)
        for row, span in enumerate(spans):
            rows[row, : span.width] = torch.tensor(span.ids[:-1])
            asked[row, span.width - span.targets : span.width] = True
        labels = torch.tensor([token for span in spans for token in span.ids[-span.targets :]])
        where = asked.flatten().nonzero().squeeze(1).to(self.device)  # (targets,)
        ranked = sum(span.targets for span in spans if span.ranked)
        found = self._losses(rows.to(self.device), where, labels.to(self.device), ranked)
        return found.split(spans)

    def _losses(
        self, rows: torch.Tensor, where: torch.Tensor, labels: torch.Tensor, ranked: int
    ) -> TargetLosses:
        """Of ``labels`` at the flat positions ``where`` of ``rows``; ranks of the first ones."""
        if not self._plain_head:
            logits = self._model(input_ids=rows, use_cache=False).logits  # (rows, width, words)
            return target_losses(logits.flatten(0, 1)[where], labels, ranked=ranked)
        hidden = self._model.base_model(input_ids=rows, use_cache=False).last_hidden_state
        hidden = hidden.flatten(0, 1)[where]  # (targets, hidden)
        return target_losses(hidden, labels, ranked=ranked, head=self._head)

    def _encode(self, texts: Sequence[str], *, places: bool) -> list[Encoded]:
        if not texts:
            return []
        encoded = self._tokenizer(
            [text.translate(SURROGATES) for text in texts],
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=places,
            verbose=False,  # a text longer than the context is cut by us, and recorded
        )
        found = encoded["offset_mapping"] if places else [[]] * len(texts)
        return list(zip(encoded["input_ids"], found, strict=True))

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


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
