"""The student: a causal language model that is asked for token losses. The only importer of torch.

Many spans go through the model at once, batched by a budget of tokens: laid end to end where the
model allows it, else in padded rows (``passes.py``). Logits are formed only where there is a
target, a slice at a time, and the loss is taken in float32 whatever the dtype (``losses.py``).

One Student belongs to one thread.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

import torch
from jinja2 import TemplateError

from refinement.method import student_files
from refinement.method.errors import StudentError
from refinement.method.losses import target_losses
from refinement.method.packed_attention import to_device
from refinement.method.passes import Packed, Padded, packed_limit, packs
from refinement.method.spans import LossCache, Span, SpanLoss
from refinement.method.student_loading import has_plain_head, load_student
from refinement.method.templates import CHAT, ChatTemplate, Message, Template, get_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.losses import TargetLosses
    from refinement.method.passes import Pass
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
        self._padded = Padded(model, logits=not self._plain_head)
        self._packed = self._find_packed()
        self._packed_limit = packed_limit(model)
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
        for way, indices in self._ways(spans):
            self._run(way, spans, indices, found)
        self.forward_tokens += sum(span.width for span in spans)
        return [found[index] for index in range(len(spans))]

    def _find_packed(self) -> Packed | None:
        if self.device.type not in ("cpu", "cuda") or not self._plain_head:
            return None
        with torch.inference_mode():
            return packs(self._model, self._padded)

    def _ways(self, spans: Sequence[Span]) -> list[tuple[Pass, list[int]]]:
        """Each span by index, and how it goes through the model."""
        every = range(len(spans))
        if self._packed is None:
            return [(self._padded, list(every))]
        fits = [spans[index].width <= self._packed_limit for index in every]
        return [
            (self._packed, [index for index in every if fits[index]]),
            (self._padded, [index for index in every if not fits[index]]),
        ]

    def _run(
        self, way: Pass, spans: Sequence[Span], indices: list[int], found: dict[int, SpanLoss]
    ) -> None:
        """Add the losses of ``indices`` to ``found``."""
        while left := [index for index in indices if index not in found]:
            begun: list[tuple[list[int], TargetLosses]] = []
            for batch in way.batches([spans[index] for index in left], self.budget):
                # Those that want ranks first, so that the others' logits need not be counted.
                chosen = sorted((left[place] for place in batch), key=lambda i: not spans[i].ranked)
                losses = self._try_batch(way, [spans[index] for index in chosen])
                if losses is None:
                    break  # batch what is left by the smaller budget
                begun.append((chosen, losses))
                if len(begun) > 1:  # a GPU works on this batch while the one before is read
                    _read(*begun.pop(0), spans, found)
            for batch, losses in begun:
                _read(batch, losses, spans, found)

    def _try_batch(self, way: Pass, spans: Sequence[Span]) -> TargetLosses | None:
        try:
            return self._run_batch(way, spans)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        # Only here, past the handler, does the failed batch release its memory.
        if len(spans) == 1:
            raise StudentError(
                f"A sequence of {len(spans[0].ids)} tokens does not fit into the memory of "
                f"{self.device}: choose a smaller max length."
            )
        taken = min(self.budget, len(spans) * max(span.width for span in spans))
        self.budget = max(1, taken // 2)
        logger.warning("out of memory on %s: %d tokens a batch from now", self.device, self.budget)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _run_batch(self, way: Pass, spans: Sequence[Span]) -> TargetLosses:
        states = way.states(spans)  # (targets, hidden), or logits (targets, words)
        labels = [token for span in spans for token in span.ids[-span.targets :]]
        return target_losses(
            states,
            to_device(labels, self.device, torch.int64),
            ranked=sum(span.targets for span in spans if span.ranked),
            head=self._head if self._plain_head else None,
            compiled=self._packed is not None and self._packed.compiled,
        )

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


def _read(
    batch: list[int], losses: TargetLosses, spans: Sequence[Span], found: dict[int, SpanLoss]
) -> None:
    """Add the losses of the spans of a batch, given by index, to ``found``."""
    found.update(zip(batch, losses.split([spans[index] for index in batch]), strict=True))


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
