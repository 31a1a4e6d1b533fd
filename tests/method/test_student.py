from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import Gemma2Config, GPT2Config

from refinement.embedded.unpack_gguf import unpack
from refinement.method.errors import StudentError
from refinement.method.losses import LOGITS_A_SLICE
from refinement.method.spans import Span
from refinement.method.student_loading import choose_device, choose_dtype
from tests.method.plain_loop import PlainLoop
from tests.method.tiny_gguf import save_tiny_gguf
from tests.method.tiny_student import load_tiny_student, reload, save_tiny_student

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig

    from refinement.method.student import Student


def random_spans(count: int, *, longest: int = 90, seed: int = 0) -> list[Span]:
    source = random.Random(seed)
    lengths = [source.randint(2, longest) for _ in range(count)]
    return [
        Span(tuple(source.randrange(384) for _ in range(n)), source.randint(1, n - 1))
        for n in lengths
    ]


def means(student: Student, spans: list[Span]) -> list[float | None]:
    return [loss.mean for loss in student.span_losses(spans)]


def plain_means(plain: PlainLoop, spans: list[Span]) -> list[float | None]:
    return [plain.loss_of(list(span.ids), len(span.ids) - span.targets) for span in spans]


# -- Losses ---------------------------------------------------------------------------------------
def test_losses_are_those_of_one_sequence_a_pass(tiny: Student, plain: PlainLoop) -> None:
    spans = random_spans(40)

    assert means(tiny, spans) == pytest.approx(plain_means(plain, spans), abs=1e-5)


@given(budget=st.integers(1, 2000), seed=st.integers(0, 5), data=st.data())
@settings(max_examples=12, deadline=None)
def test_company_in_a_batch_changes_nothing(
    shared_tiny: Student, budget: int, seed: int, data: st.DataObject
) -> None:
    spans = random_spans(8, seed=seed)
    shared_tiny.budget = 1  # each alone
    alone = means(shared_tiny, spans)

    order = data.draw(st.permutations(range(len(spans))))
    shared_tiny.budget = budget
    together = means(shared_tiny, [spans[index] for index in order])

    assert together == pytest.approx([alone[index] for index in order], abs=1e-5)


def test_losses_of_tokens_have_the_loss_as_their_mean(tiny: Student) -> None:
    spans = random_spans(9)

    for span, loss in zip(spans, tiny.span_losses(spans), strict=True):
        assert len(loss.tokens) == span.targets
        assert loss.mean == pytest.approx(sum(loss.tokens) / span.targets, abs=1e-5)


def test_logits_in_slices_are_the_same(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = random_spans(9)
    whole = means(tiny, spans)

    monkeypatch.setitem(LOGITS_A_SLICE, "cpu", 384 * 7)

    # A matrix product of other height may round otherwise: two units in the last place of float32.
    assert means(tiny, spans) == pytest.approx(whole, abs=1e-5)


def test_nothing_asked_nothing_answered(tiny: Student) -> None:
    assert tiny.span_losses([]) == []
    assert tiny.tokenize([]) == []


def test_bfloat16_stays_near(tiny_folder: Path, tiny: Student) -> None:
    spans = random_spans(9)
    small = reload(tiny_folder, dtype="bfloat16")

    assert small.dtype == "bfloat16"
    assert means(small, spans) == pytest.approx(means(tiny, spans), rel=0.1)


@pytest.mark.parametrize(
    ("config", "plain_head"),
    [
        # What leaves the output layer is capped: the logits are the model's own business.
        (
            Gemma2Config(
                vocab_size=384,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=8,
                final_logit_softcapping=2.0,
                initializer_range=0.4,
            ),
            False,
        ),
        # Learned positions, and half the context of the others.
        (GPT2Config(vocab_size=384, n_embd=32, n_layer=2, n_head=4, n_positions=128), True),
    ],
    ids=["gemma2", "gpt2"],
)
def test_other_architectures(tmp_path: Path, config: PreTrainedConfig, plain_head: bool) -> None:
    student = load_tiny_student(tmp_path, config=config)
    spans = random_spans(12)

    assert student._plain_head is plain_head
    expected = plain_means(PlainLoop(tmp_path), spans)
    assert means(student, spans) == pytest.approx(expected, abs=1e-5)


def test_the_context_ends_where_the_models_positions_end(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=384, n_embd=32, n_layer=1, n_head=4, n_positions=128)
    student = load_tiny_student(tmp_path, config=config, max_length=2048)

    assert student.max_length == 128


def test_a_student_that_answers_nan_says_so(tmp_path: Path) -> None:
    save_tiny_student(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    weights[name] = torch.full_like(weights[name], torch.nan)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})

    assert means(reload(tmp_path), random_spans(3)) == [None, None, None]


# -- Memory ---------------------------------------------------------------------------------------
class Cramped:
    """A base model that runs out of memory above so many tokens, as a device would."""

    def __init__(self, model: Any, room: int, error: Exception) -> None:
        self.batches: list[int] = []
        self._room = room
        self._error = error
        model.register_forward_pre_hook(self._check, with_kwargs=True)

    def _check(self, _: Any, __: Any, inputs: dict[str, Any]) -> None:
        self.batches.append(inputs["input_ids"].numel())
        if self.batches[-1] > self._room:
            raise self._error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_too_little_memory_halves_the_budget_and_goes_on(tiny: Student, error: Exception) -> None:
    spans = random_spans(30)
    expected = means(tiny, spans)
    cramped = Cramped(tiny._model.base_model, 200, error)

    assert means(tiny, spans) == pytest.approx(expected, abs=1e-5)
    assert tiny.budget <= 400
    failures = sum(tokens > 200 for tokens in cramped.batches)
    assert 0 < failures < 6
    assert means(tiny, spans) == pytest.approx(expected, abs=1e-5)
    assert sum(tokens > 200 for tokens in cramped.batches) == failures  # it has learned


def test_a_sequence_that_never_fits_is_said(tiny: Student) -> None:
    Cramped(tiny._model.base_model, 10, torch.OutOfMemoryError("CUDA out of memory."))

    with pytest.raises(StudentError, match=r"A sequence of 40 tokens does not fit .* max length"):
        tiny.span_losses([Span(tuple(range(40)), 3)])


def test_another_error_is_not_taken_for_too_little_memory(tiny: Student) -> None:
    Cramped(tiny._model.base_model, 10, RuntimeError("device-side assert triggered"))

    with pytest.raises(RuntimeError, match="device-side assert"):
        tiny.span_losses(random_spans(4))


# -- Tokens ---------------------------------------------------------------------------------------
def test_special_tokens_of_the_tokenizer(tmp_path: Path, tiny: Student, tiny_bos: Student) -> None:
    both = load_tiny_student(tmp_path, bos=True, eos=True)

    assert (tiny.prefix, tiny_bos.prefix, both.prefix) == ([], [0], [0])
    assert tiny.tokenize(["a b"]) == tiny_bos.tokenize(["a b"]) == both.tokenize(["a b"])


def test_half_a_character_is_read_as_a_replacement(tiny: Student) -> None:
    assert tiny.tokenize(["a\ud800b"]) == tiny.tokenize(["a\ufffdb"])


def test_offsets_cover_the_text(tiny: Student) -> None:
    text = "Größe: 東京 🙂 two  words"
    [(ids, places)] = tiny.tokenize_with_places([text])

    assert [ids] == tiny.tokenize([text])
    assert {at for start, end in places for at in range(start, end)} == set(range(len(text)))


# -- Templates ------------------------------------------------------------------------------------
def test_chat_is_the_tokenizers_own_template(tiny: Student) -> None:
    chat = tiny.template("chat")

    assert chat.guess_prompt("Blue.").startswith("<|user|>Below is the response")
    assert chat.guess_prompt("Blue.").endswith("response.</s><|assistant|>")
    assert tiny.template().name == "vicuna"


def test_chat_without_a_template_is_refused(tmp_path: Path) -> None:
    student = load_tiny_student(tmp_path, chat_template=None)

    with pytest.raises(StudentError, match="no chat template"):
        student.template("chat")


def test_a_chat_template_that_refuses_says_why(tmp_path: Path) -> None:
    student = load_tiny_student(tmp_path, chat_template="{{ raise_exception('No users') }}")

    with pytest.raises(StudentError, match="refuses the messages: No users"):
        student.template("chat").guess_prompt("y")


# -- Loading --------------------------------------------------------------------------------------
def test_auto_finds_a_device_and_a_dtype(tiny_folder: Path) -> None:
    student = reload(tiny_folder, dtype="auto", device="auto")

    assert student.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert student.dtype in {"float32", "bfloat16"}
    assert means(student, random_spans(2))[0] is not None


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "meta:x"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(StudentError, match=f"There is no device '{name}'"):
        choose_device(name)


def test_an_unknown_dtype() -> None:
    with pytest.raises(StudentError, match="no student dtype 'float16'"):
        choose_dtype("float16", torch.device("cpu"))


def test_weights_that_are_missing_are_not_made_up(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "student")
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(StudentError, match=r"lacks weights, model.norm.weight among them"):
        reload(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", "not safe"),
        ("config.json", '{"model_type": "no such model"}'),
        ("config.json", '{"model_type": "bert"}'),
        ("config.json", '{"model_type": "llama", "hidden_size": "x"}'),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[]"),
        ("tokenizer_config.json", "[]"),
    ],
)
def test_broken_files_are_one_sentence(
    tiny_folder: Path, tmp_path: Path, name: str, content: str
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "student")
    (folder / name).write_text(content)

    with pytest.raises(StudentError, match=r"cannot be loaded|lacks weights") as caught:
        reload(folder)
    assert "\n" not in str(caught.value)


def test_pickles_are_not_loaded(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "student")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    with pytest.raises(StudentError, match="pickle"):
        reload(folder)


def test_a_gguf_file_is_the_same_student_as_the_folder_made_from_it(tmp_path: Path) -> None:
    file = save_tiny_gguf(tmp_path / "tiny.gguf")
    unpack(file, tmp_path / "folder")
    spans = random_spans(3, longest=20)
    packed, folder = reload(file), reload(tmp_path / "folder")

    assert means(packed, spans) == pytest.approx(means(folder, spans), abs=1e-5)
    assert packed.tokenize(["Hello there"]) == folder.tokenize(["Hello there"])
    assert packed.fingerprint != folder.fingerprint
