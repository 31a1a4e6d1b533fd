"""The history of a run as a file for spreadsheets."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

if TYPE_CHECKING:
    from tests.web.conftest import House


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@me", "\t=1", "\n=1", "＝1"])
def test_a_name_is_no_formula(name: str, house: House) -> None:
    owner = house.user("owner")
    owner.username = name
    owner.save()
    client = house.visitor("owner")
    pair = [house.room.run.pk, house.room.pairs[0].pk]
    client.post(reverse("decide", args=pair), {"action": "drop", "seen": 0})
    answer = client.get(reverse("history-csv", args=pair[:1]))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    cells = [cell for row in csv.reader(text.splitlines(keepends=True)) for cell in row]
    assert f"'{name}" in cells
    assert name not in cells
