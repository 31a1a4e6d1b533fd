"""The embedded teacher as a real server, asked with the product's own client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from refinement.embedded import teacher_server
from refinement.embedded.errors import EmbeddedError
from refinement.embedded.teacher_server import running_teacher_server, teacher_answers
from refinement.method.teacher import Teacher, check
from refinement.services.models_registry import embedded_teacher, teacher_spec

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.pairs import TeacherReply
    from refinement.method.specs import TeacherSpec

QUESTIONS = [f"Name {number} fruits." for number in range(2, 5)]


async def ask_all(spec: TeacherSpec, questions: list[str]) -> list[TeacherReply]:
    await check(spec)
    teacher = Teacher(spec)
    try:
        return await asyncio.gather(
            *(teacher.ask([{"role": "user", "content": question}]) for question in questions)
        )
    finally:
        await teacher.aclose()


@pytest.mark.real_model
@pytest.mark.django_db
@pytest.mark.parametrize("server", ["llama", "transformers"])
def test_it_answers_many_at_once_and_is_gone_afterwards(
    server: str, embedded_model_dir: Path, settings: Any
) -> None:
    settings.EMBEDDED_TEACHER_SERVER = server
    spec = replace(teacher_spec(embedded_teacher()), max_tokens=16)
    assert not teacher_answers()
    with running_teacher_server():
        assert teacher_answers()
        with running_teacher_server():  # the one that is up is used
            replies = asyncio.run(ask_all(spec, QUESTIONS))
        assert teacher_answers()
    assert not teacher_answers()
    assert len(replies) == len(QUESTIONS)
    for reply in replies:
        assert reply.text.strip()
        assert reply.completion_tokens > 0
        assert reply.finish_reason in {"stop", "length"}


@pytest.mark.real_model
@pytest.mark.django_db
def test_a_phrase_does_not_come_again_until_the_limit(
    embedded_model_dir: Path, settings: Any
) -> None:
    """Left to itself the model goes on with "two sheep, two sheep" here."""
    settings.EMBEDDED_TEACHER_SERVER = "llama"
    spec = replace(teacher_spec(embedded_teacher()), temperature=0.0, max_tokens=200)
    with running_teacher_server():
        (reply,) = asyncio.run(ask_all(spec, ["Count the sheep: one sheep, two sheep,"]))
    assert reply.finish_reason == "stop"


@pytest.mark.parametrize("server", ["llama", "transformers"])
def test_without_its_packages_the_sentence_says_how_to_install_them(
    server: str, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMBEDDED_TEACHER_SERVER = server
    monkeypatch.setattr(teacher_server, "find_spec", lambda _: None)
    monkeypatch.setattr(teacher_server.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(EmbeddedError, match=r"pip install 'srt-web\[embedded\]'.*--no-teacher"):
        teacher_server.require_serving_packages()
