"""The client and the commands of docs/api.md, against the product with all its processes."""

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
from srt_client import Client, Problem
from tests.browser.product import Product
from tests.environment import REPOSITORY, free_port
from tests.pipeline.tiny_student import save_tiny_student

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (REPOSITORY / "docs" / "api.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def product(tmp_path: Path, process_env: dict[str, str]) -> Iterator[Product]:
    product = Product(folder=tmp_path, env=process_env)
    try:
        product.start()
        yield product
    finally:
        product.stop()


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


def test_what_the_server_refuses_is_said_in_its_words(live_server: object) -> None:
    client = Client(str(live_server), "srt_nonsense")
    with pytest.raises(Problem, match="Send a token that lives") as refused:
        client.me()
    assert refused.value.status == 401


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(Problem, match="cannot be reached") as away:
        Client(f"http://127.0.0.1:{free_port()}", "srt_x").me()
    assert away.value.status == 0
    with pytest.raises(ValueError, match="is no address"):
        Client("ftp://example.org", "srt_x")


def test_the_command_without_a_server_or_a_file(tmp_path: Path) -> None:
    def srt(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "srt_client.cli", *arguments],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True,
            text=True,
            check=False,
        )

    assert srt("watch", "1").returncode == 2
    missing = srt("upload", "none.jsonl", "--project", "1", SRT_URL="http://x", SRT_TOKEN="t")
    assert (missing.returncode, missing.stderr) == (
        1,
        "srt: none.jsonl: No such file or directory\n",
    )
