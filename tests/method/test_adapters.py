"""Students that are an adapter on top of another model."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM

from refinement.method.errors import StudentError
from refinement.method.student_files import check_chat_template, check_student_path, fingerprint
from tests.method.plain_loop import PlainLoop
from tests.method.test_student import means, plain_means, random_spans
from tests.method.tiny_student import reload

if TYPE_CHECKING:
    from pathlib import Path


def save_adapter(base: Path, folder: Path, config: Any = None) -> Path:
    """An adapter with weights that change what the base says, as training would."""
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    config = config or LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(model, config)
    torch.manual_seed(1)
    for name, weights in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.2)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tiny_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder, tmp_path / "base")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    return save_adapter(base, tmp_path / "adapter")


def described(adapter: Path, **changes: Any) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_student_is_base_and_adapter_together(base: Path, adapter: Path) -> None:
    spans = random_spans(8)
    plain = PlainLoop(base)
    without = plain_means(plain, spans)
    plain.model = PeftModel.from_pretrained(plain.model, adapter)  # beside the weights, not merged
    student = reload(adapter)

    assert means(student, spans) == pytest.approx(plain_means(plain, spans), abs=1e-4)
    assert means(student, spans) != pytest.approx(without, abs=0.01)
    assert student.template("chat").name == "chat"  # the tokenizer is the base's
    check_chat_template(str(adapter))


def test_a_base_may_be_named_from_where_the_adapter_lies(base: Path, adapter: Path) -> None:
    spans = random_spans(3)
    expected = means(reload(adapter), spans)
    described(adapter, base_model_name_or_path="../base")

    assert means(reload(adapter), spans) == expected


def test_base_and_adapter_both_make_the_fingerprint(base: Path, adapter: Path) -> None:
    first = fingerprint(str(adapter))
    assert first != fingerprint(str(base))

    (base / "tokenizer_config.json").write_text("{}")

    assert fingerprint(str(adapter)) != first


def test_an_adapter_without_its_base_says_what_to_do(base: Path, adapter: Path) -> None:
    shutil.rmtree(base)
    with pytest.raises(StudentError, match=r"that the adapter .* is for is not here: download it"):
        check_student_path(str(adapter))

    described(adapter, base_model_name_or_path=None)
    with pytest.raises(StudentError, match="fill in base_model_name_or_path"):
        check_student_path(str(adapter))


def test_an_adapter_that_cannot_be_loaded(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(StudentError, match=r"has no adapter_model.safetensors"):
        check_student_path(str(adapter))


def test_an_adapter_of_an_adapter_has_to_be_merged_first(adapter: Path, tmp_path: Path) -> None:
    second = shutil.copytree(adapter, tmp_path / "second")
    described(second, base_model_name_or_path="../adapter")

    with pytest.raises(StudentError, match="is an adapter of an adapter: merge"):
        check_student_path(str(second))


def test_a_kind_that_cannot_be_merged_is_refused(base: Path, tmp_path: Path) -> None:
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    folder = save_adapter(base, tmp_path / "prompt", config)

    with pytest.raises(StudentError, match="PROMPT_TUNING, whose weights cannot be merged"):
        reload(folder)
