from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from refinement.method.errors import StudentError
from refinement.method.specs import StudentSpec
from refinement.method.student_files import (
    check_chat_template,
    check_student_path,
    fingerprint,
    locate,
)
from refinement.method.student_loading import load_student

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder, tmp_path / "student")


def refusal(path: Path | str) -> str:
    with pytest.raises(StudentError) as caught:
        check_student_path(str(path))
    return str(caught.value)


def test_a_saved_model_is_fine(folder: Path) -> None:
    check_student_path(str(folder))


def test_nothing_there(tmp_path: Path) -> None:
    assert "There is no student at" in refusal(tmp_path / "nowhere")
    assert "There is no student at" in refusal("\0")
    assert "There is no student at" in refusal("")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    assert "has no config.json" in refusal(tmp_path)


def test_a_broken_configuration(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')
    assert "is not JSON" in refusal(folder)
    (folder / "config.json").write_text("[]")
    assert "does not describe a model" in refusal(folder)


def test_a_model_without_its_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer" in refusal(folder)


def bring_code(folder: Path, *, model_type: str) -> Path:
    """Let the folder name code of its own; the file that this would leave behind if it ran."""
    trace = folder / "it-ran"
    source = f"from pathlib import Path\nPath({str(trace)!r}).touch()\n"
    (folder / "strange.py").write_text(source)
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "strange.Config", "AutoModelForCausalLM": "strange.Model"}
    config |= {"model_type": model_type, "auto_map": names}
    (folder / "config.json").write_text(json.dumps(config))
    return trace


def test_a_model_that_brings_its_own_code_is_refused(folder: Path) -> None:
    trace = bring_code(folder, model_type="strange")
    assert "can only be loaded by program code that comes with it" in refusal(folder)
    with pytest.raises(StudentError, match="which is never run here"):
        load_student(StudentSpec(path=str(folder)))
    assert not trace.exists()


def test_code_that_is_not_needed_is_not_run(folder: Path) -> None:
    """Many models name code from before transformers knew their kind."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    trace = bring_code(folder, model_type=kind)
    check_student_path(str(folder))
    load_student(StudentSpec(path=str(folder)))
    assert not trace.exists()


def test_a_tokenizer_that_brings_its_own_code_is_refused(folder: Path) -> None:
    trace = folder / "it-ran"
    (folder / "strange.py").write_text(f"open({str(trace)!r}, 'w')\n")
    described = {"tokenizer_class": "Strange", "auto_map": {"AutoTokenizer": ["strange.T", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("a\n")
    with pytest.raises(StudentError, match="which is never run here"):
        load_student(StudentSpec(path=str(folder)))
    assert not trace.exists()


def test_pickles_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "as pickle files, which can run code when loaded" in refusal(folder)


def test_a_model_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "has no weights" in refusal(folder)


def test_a_shard_that_is_missing(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks the weight file model-00002-of-00002.safetensors" in refusal(folder)


@pytest.mark.parametrize("index", ["{", "{}", '{"weight_map": []}', "[]"])
def test_a_broken_index(folder: Path, index: str) -> None:
    (folder / "model.safetensors.index.json").write_text(index)
    assert "is broken" in refusal(folder)


def test_gguf_files(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    check_student_path(str(tmp_path / "model.gguf"))
    assert "give the path of that file itself" in refusal(tmp_path)

    (tmp_path / "model.gguf").write_bytes(b"PK\3\4" + bytes(100))
    assert "is not a GGUF file" in refusal(tmp_path / "model.gguf")


def test_whether_there_is_a_chat_template(folder: Path) -> None:
    check_chat_template(str(folder))  # transformers saved it as chat_template.jinja
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(StudentError, match="has no chat template: choose a text template"):
        check_chat_template(str(folder))

    described = json.loads((folder / "tokenizer_config.json").read_text())
    described["chat_template"] = "{{ messages }}"  # as older releases saved it
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    check_chat_template(str(folder))


def test_an_id_from_the_hub_is_found_if_downloaded_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as hub

    revision = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--team--student"
    shutil.copytree(folder, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))

    assert locate("team/student") == locate("team/student", revision)
    assert fingerprint("team/student") == fingerprint(str(folder))
    assert "There is no student at 'team/other'" in refusal("team/other")


# -- Fingerprint ----------------------------------------------------------------------------------
def test_a_fingerprint_is_the_same_wherever_the_files_lie(folder: Path, tiny_folder: Path) -> None:
    assert fingerprint(str(folder)) == fingerprint(str(tiny_folder))
    assert len(fingerprint(str(folder))) == 64


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_changed_description_changes_it(folder: Path, name: str) -> None:
    before = fingerprint(str(folder))
    with (folder / name).open("a") as file:
        file.write(" ")
    assert fingerprint(str(folder)) != before


@pytest.mark.parametrize("place", [0, 2_000_000, -1])
def test_changed_weights_change_it(folder: Path, place: int) -> None:
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes() + bytes(4_000_000))
    weights.write_bytes(content)
    before = fingerprint(str(folder))
    # Training changes all weights: half a megabyte holds at least one of the sampled blocks.
    start = place if place >= 0 else len(content) - 1
    for at in range(start, min(len(content), start + 500_000)):
        content[at] ^= 1
    weights.write_bytes(content)
    assert fingerprint(str(folder)) != before


def test_files_that_say_nothing_of_the_model_do_not_change_it(folder: Path) -> None:
    before = fingerprint(str(folder))
    (folder / "README.md").write_text("About")
    assert fingerprint(str(folder)) == before


def test_a_gguf_file_has_one_too(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    first.write_bytes(b"GGUF" + bytes(100))
    second.write_bytes(b"GGUF" + bytes(99) + b"1")
    before = fingerprint(str(first))
    assert before != fingerprint(str(second))
    assert before == fingerprint(str(first.rename(tmp_path / "c.gguf")))
