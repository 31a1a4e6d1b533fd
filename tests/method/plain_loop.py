"""The losses as a plain reading of the definitions gives them: one sequence a pass, all logits.

What the batched student must agree with. It shares no code with it, and asks the tokenizer in the
way of the published script: it adds its own special tokens, and a target starts where the tokens of
the prompt end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.pairs import Pair
    from refinement.method.templates import Template


class PlainLoop:
    def __init__(self, folder: Path) -> None:
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def losses(
        self, pair: Pair, template: Template, max_length: int = 2048
    ) -> tuple[float | None, ...]:
        """L(x), L(y), L(x|y'), L(y|x) in nats a token; None where there is no target."""
        asked, guess = pair.instruction + pair.input, template.guess_prompt(pair.response)
        prompt = template.prompt(pair)
        after_guess = max_length - len(self.tokenizer(guess).input_ids) + 1
        after_prompt = max_length - len(self.tokenizer(prompt).input_ids) + 1
        return (
            self.loss("", asked, after_guess),
            self.loss("", pair.response, after_prompt),
            self.loss(guess, asked, max_length),
            self.loss(prompt, pair.response, max_length),
        )

    def loss(self, prompt: str, target: str, max_length: int = 2048) -> float | None:
        ids = self.tokenizer(prompt + target).input_ids[: max(0, max_length)]
        start = max(1, len(self.tokenizer(prompt).input_ids) if prompt else 1)
        return self.loss_of(ids, start)

    @torch.no_grad()
    def loss_of(self, ids: list[int], start: int) -> float | None:
        """Mean loss of ``ids[start:]``."""
        if len(ids) <= start:
            return None
        rows = torch.tensor([ids])
        labels = rows.clone()
        labels[0, :start] = -100
        return float(self.model(input_ids=rows, labels=labels).loss)
