"""Registering teachers and students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from refinement.models import Endpoint, Student

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import House

TEACHER = {
    "name": "Big one",
    "base_url": "http://gpu-1:8000/v1",
    "model": "meta/big",
    "api_key_variable": "TEACHER_API_KEY",
    "protocol": "tagged",
    "max_concurrency": "8",
    "max_tokens": "1024",
    "temperature": "0.5",
    "timeout_seconds": "60",
    "price_prompt": "0.15",
    "price_completion": "0.6",
}


def test_the_embedded_ones_appear_by_themselves(house: House) -> None:
    client = house.visitor("staff")
    for name in ("endpoints", "students"):
        assert "SmolLM2-135M (embedded)" in client.get(reverse(name)).content.decode()


def test_a_teacher_is_registered(house: House) -> None:
    answer = house.visitor("staff").post(reverse("endpoint-new"), TEACHER, follow=True)
    text = answer.content.decode()
    endpoint = Endpoint.objects.get(name="Big one")
    assert (endpoint.max_concurrency, str(endpoint.price_completion)) == (8, "0.6000")
    assert "0.15 / 0.6" in text
    assert "The environment variable TEACHER_API_KEY" in text


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("base_url", "gpu-1:8000", "Give the teacher&#x27;s address as a URL"),
        ("base_url", "http://me:secret@gpu-1/v1", "Give the URL without user, password"),
        ("api_key_variable", "sk-123", "never the key itself"),
        ("api_key_variable", "SRT_SECRET_KEY", "is a secret of this service"),
        ("max_concurrency", "0", "greater than or equal to 1"),
        ("temperature", "3", "less than or equal to 2"),
        ("temperature", "nan", "Enter a number."),
        ("price_prompt", "-1", "greater than or equal to 0"),
        ("protocol", "shout", "not one of the available choices"),
        ("name", "", "This field is required"),
        ("name", "House teacher", "already exists"),
        ("model", "x" * 201, "at most 200 characters"),
    ],
)
def test_a_teacher_that_cannot_be(field: str, value: str, complaint: str, house: House) -> None:
    answer = house.visitor("staff").post(reverse("endpoint-new"), TEACHER | {field: value})
    text = answer.content.decode()
    assert answer.status_code == 422
    error = text.partition(f'id="id_{field}_error"')[2].partition("</div>")[0]
    assert complaint in error
    assert not Endpoint.objects.filter(name="Big one").exists()


def student(folder: Path | str, **changes: Any) -> dict[str, Any]:
    fields = {
        "name": "Mine",
        "path": str(folder),
        "revision": "",
        "template": "alpaca",
        "dtype": "auto",
        "max_length": "1024",
    }
    return fields | changes


def test_a_student_is_registered(house: House, student_folder: Path) -> None:
    answer = house.visitor("staff").post(
        reverse("student-new"), student(student_folder), follow=True
    )
    assert "“Mine” can now be chosen for runs." in answer.content.decode()
    assert Student.objects.get(name="Mine").template == "alpaca"


@pytest.mark.parametrize(
    ("changes", "field", "complaint"),
    [
        ({"path": "/nowhere"}, "path", "There is no student at"),
        ({"max_length": "1"}, "max_length", "greater than or equal to 16"),
        ({"name": "House student"}, "name", "already exists"),
        ({"template": "none of these"}, "template", "not one of the available choices"),
    ],
)
def test_a_student_that_cannot_be(
    changes: dict[str, str], field: str, complaint: str, house: House, student_folder: Path
) -> None:
    answer = house.visitor("staff").post(reverse("student-new"), student(student_folder, **changes))
    text = answer.content.decode()
    assert answer.status_code == 422
    assert complaint in text.partition(f'id="id_{field}_error"')[2].partition("</div>")[0]
    assert not Student.objects.filter(name="Mine").exists()
