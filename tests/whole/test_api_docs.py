"""The commands and the client of docs/api.md, against the product with all its processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from refinement.models import BulkAct, Decision, Endpoint, Run, Student, User
from refinement.selectors.selection import effective_pairs
from refinement.services.projects import create_project
from refinement.services.tokens import make_token
from tests.environment import REPOSITORY
from tests.pipeline.tiny_student import save_tiny_student

if TYPE_CHECKING:
    from tests.whole.product import Product

PAGE = (REPOSITORY / "docs" / "api.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.processes
@pytest.mark.timeout(600)
def test_what_the_docs_say_works_as_they_say(product: Product, tmp_path: Path) -> None:
    owner = User.objects.create_user("maria", password="chalk and slate and ink")
    project = create_project(name="Notebook", owner=owner)
    teacher = Endpoint.objects.create(
        name="T", base_url=product.start_teacher(), model="fake-teacher", protocol="staged"
    )
    student = Student.objects.create(
        name="S", path=str(save_tiny_student(tmp_path / "student")), dtype="float32"
    )
    _, token = make_token(user=owner, name="docs", scopes=["read", "review", "write"])
    pairs = [{"instruction": f"What is {n}?", "output": "A number." * n} for n in range(1, 4)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(pair) for pair in pairs))
    env = os.environ | {
        "SRT_URL": product.url,
        "SRT_TOKEN": token,
        "PROJECT": str(project.pk),
        "TEACHER": str(teacher.pk),
        "STUDENT": str(student.pk),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    script = 'set -eu\nsrt() { python -m srt_client.cli "$@"; }\n' + "\n".join(blocks("sh"))
    run(product, ["bash", "-c", script], tmp_path, env)
    rows = [json.loads(line) for line in (tmp_path / "selected.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert {"instruction", "output", "srt"} <= set(rows[0])
    shared, first, check = blocks("python")
    said = run(product, [sys.executable, "-c", first], tmp_path, env)
    assert "Only a running run can be paused; this one is complete." in said
    assert Decision.objects.filter(act=None).count() == 1
    act = BulkAct.objects.get()
    assert (act.status, act.done, act.undone) == ("undone", 3, 3)
    again = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()]
    kept = [pair.pair.instruction for pair in effective_pairs(Run.objects.get())]
    assert [row["instruction"] for row in again] == kept
    assert 0 < len(again) < len(rows), "one was dropped by the script"
    run(product, [sys.executable, "-c", shared], tmp_path, env)
    assert not Run.objects.get().run_samples.filter(decision=None).exists()
    compile(check, "docs/api.md", "exec")  # run by tests/pipeline/test_webhooks.py
    assert Run.objects.get().status == "complete"


def run(product: Product, command: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{product.logs()}"
    return done.stdout
