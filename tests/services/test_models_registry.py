from __future__ import annotations

import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from refinement.models import Endpoint, Student
from refinement.services.errors import ServiceError
from refinement.services.models_registry import (
    create_endpoint,
    create_student,
    embedded_student,
    embedded_teacher,
    student_spec,
    teacher_spec,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

pytestmark = pytest.mark.django_db


def endpoint(**changes: Any) -> Endpoint:
    options = {"name": "Ours", "base_url": "https://teacher.example/v1", "model": "large"}
    return create_endpoint(**(options | changes))


# -- Embedded -------------------------------------------------------------------------------------
def test_the_embedded_models_are_made_once_and_follow_the_settings(
    settings: Any, tmp_path: Path
) -> None:
    first = embedded_teacher(), embedded_student()
    settings.EMBEDDED_TEACHER_URL = "http://127.0.0.1:1234/v1"
    settings.EMBEDDED_MODEL_DIR = tmp_path / "model"
    teacher, student = embedded_teacher(), embedded_student()
    assert (teacher, student) == first
    assert (teacher.base_url, teacher.model) == ("http://127.0.0.1:1234/v1", f"{tmp_path}/model")
    assert student.path == f"{tmp_path}/model"
    assert (Endpoint.objects.count(), Student.objects.count()) == (1, 1)
    assert teacher.protocol == Endpoint.Protocol.STAGED
    assert teacher.embedded
    assert student.embedded


# -- Endpoints ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        (" http://teacher:8000/v1 ", "http://teacher:8000/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        (
            "https://us.openai.azure.com/openai/deployments/g?api-version=2025-01-01",
            "https://us.openai.azure.com/openai/deployments/g?api-version=2025-01-01",
        ),
    ],
)
def test_addresses_inside_a_network_are_fine(
    given: str, stored: str, settings: SettingsWrapper
) -> None:
    settings.TEACHER_NETWORKS = ["127.0.0.0/8", "::1"]
    assert endpoint(base_url=given).base_url == stored


@pytest.mark.parametrize(
    "url",
    ["", "teacher", "ftp://teacher/v1", "http://", "http://a b/v1", "http://t:port/v1", "http://["],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ServiceError, match="as a URL"):
        endpoint(base_url=url)


@pytest.mark.parametrize("url", ["https://me:secret@teacher/v1", "https://teacher/v1?key=secret"])
def test_an_address_that_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ServiceError, match="without user, password or parameters") as caught:
        endpoint(base_url=url)
    assert "secret" not in str(caught.value)


def test_the_whole_address_of_a_request_is_refused() -> None:
    with pytest.raises(ServiceError, match="without /chat/completions"):
        endpoint(base_url="http://localhost:8000/v1/chat/completions")


def test_a_key_is_never_taken_for_the_name_of_its_variable() -> None:
    with pytest.raises(ServiceError, match="never the key itself") as caught:
        endpoint(api_key_variable="sk-abc123")
    assert "sk-abc123" not in str(caught.value)
    assert endpoint(api_key_variable=" OUR_KEY ").api_key_variable == "OUR_KEY"


@pytest.mark.parametrize("name", ["SRT_SECRET_KEY", "DATABASE_URL"])
def test_our_own_secrets_are_sent_to_no_teacher(name: str) -> None:
    with pytest.raises(ServiceError, match="a secret of this service"):
        endpoint(api_key_variable=name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "Name: "),
        ({"model": ""}, "Model: "),
        ({"protocol": "mine"}, "Protocol: "),
        ({"max_concurrency": 0}, "concurrency"),
        ({"max_tokens": 1}, "16 tokens"),
        ({"temperature": 3.0}, "temperature"),
        ({"timeout_seconds": 0.0}, "timeout"),
        ({"price_prompt": -1}, "price"),
    ],
)
def test_values_out_of_range_are_refused_in_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError, match=words) as caught:
        endpoint(**changes)
    assert str(caught.value).endswith(".")
    assert not Endpoint.objects.exists()


def test_two_endpoints_of_one_name_are_refused() -> None:
    endpoint()
    with pytest.raises(ServiceError, match="already exists"):
        endpoint()


def test_an_endpoint_as_a_value() -> None:
    spec = teacher_spec(endpoint(price_prompt=Decimal("0.15"), max_tokens=99), protocol="staged")
    assert (spec.protocol, spec.price_prompt, spec.max_tokens) == ("staged", 0.15, 99)
    assert teacher_spec(Endpoint.objects.get()).protocol == "tagged"


# -- Students -------------------------------------------------------------------------------------
def test_a_student_that_can_be_loaded_is_registered(student_path: Path) -> None:
    student = create_student(name="Tiny", path=f" {student_path} ", template="alpaca")
    assert student_spec(student).path == str(student_path)
    assert student_spec(student).template == "alpaca"


def test_chat_needs_a_tokenizer_that_has_such_a_template(
    student_path: Path, tmp_path: Path
) -> None:
    student_path = shutil.copytree(student_path, tmp_path / "student")
    plain = create_student(name="Plain", path=str(student_path))
    for refused in (
        lambda: create_student(name="Ours", path=str(student_path), template="chat"),
        lambda: student_spec(plain, template="chat"),
    ):
        with pytest.raises(ServiceError, match="has no chat template"):
            refused()

    (student_path / "chat_template.jinja").write_text("{{ messages }}")
    student = create_student(name="Ours", path=str(student_path), template="chat")
    assert student_spec(student).template == "chat"
    assert student_spec(plain, template="chat").template == "chat"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "/nowhere"}, "There is no student at '/nowhere'"),
        ({"template": "mine"}, "Template: "),
        ({"dtype": "int8"}, "Dtype: "),
        ({"max_length": 3}, "16 tokens"),
        ({"name": ""}, "Name: "),
    ],
)
def test_a_student_that_cannot_work_is_refused(
    student_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ServiceError, match=words):
        create_student(**({"name": "Tiny", "path": str(student_path)} | changes))
    assert not Student.objects.exists()
