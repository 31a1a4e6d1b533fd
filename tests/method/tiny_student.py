"""A random Llama and a byte-level tokenizer, small enough to build in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from refinement.method.specs import StudentSpec
from refinement.method.student import Student
from refinement.method.templates import TEMPLATE_NAMES, get_template

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CORPUS = [
    *(get_template(name).no_input for name in TEMPLATE_NAMES),
    get_template("vicuna").guess_prompt("the"),
    "Name the three primary colours. Red, yellow and blue are the primary colours of paint.",
    "Summarise the text below in one sentence. It tells how bread is baked in an oven.",
    ":: " * 50,  # one token of two colons, to stand across a border
]


def build_tokenizer(
    *, bos: bool = False, eos: bool = False, chat_template: str | None = CHAT_TEMPLATE
) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 384 tokens; ``bos`` and ``eos``: added around every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{'<s> ' if bos else ''}$A{' </s>' if eos else ''}",
                special_tokens=[("<s>", 0), ("</s>", 1)],
            ),
        ]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = chat_template
    return fast


def tiny_config(**changes: Any) -> LlamaConfig:
    sizes: dict[str, Any] = {
        "vocab_size": 384,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.4,  # so that losses differ visibly from token to token
    }
    return LlamaConfig(**(sizes | changes))


def save_tiny_student(
    folder: Path,
    *,
    config: PreTrainedConfig | None = None,
    bos: bool = False,
    eos: bool = False,
    chat_template: str | None = CHAT_TEMPLATE,
) -> Path:
    """A model folder as a user would give it."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config or tiny_config(), dtype=torch.float32)
    model.save_pretrained(folder)
    build_tokenizer(bos=bos, eos=eos, chat_template=chat_template).save_pretrained(folder)
    return folder


def load_tiny_student(folder: Path, *, max_length: int = 2048, **changes: Any) -> Student:
    """A freshly saved tiny student in float32 on the CPU."""
    save_tiny_student(folder, **changes)
    return reload(folder, max_length=max_length)


def reload(folder: Path, **spec: Any) -> Student:
    options: dict[str, Any] = {"dtype": "float32", "device": "cpu"}
    return Student.load(StudentSpec(path=str(folder), **(options | spec)))
