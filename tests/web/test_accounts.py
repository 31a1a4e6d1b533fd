"""Signing in and out, the password, and the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.urls import reverse

from tests.review_room import PASSWORD

if TYPE_CHECKING:
    from tests.web.conftest import House

HTMX = {"HX-Request": "true"}


def test_signing_in_leads_to_where_one_wanted_to_go(house: House) -> None:
    client, wanted = Client(), reverse("run", args=[house.room.run.pk])
    asked = client.get(wanted)
    assert asked["Location"] == f"/login?next={wanted}"
    answer = client.post(
        asked["Location"],
        {"username": house.room.viewer.username, "password": PASSWORD, "next": wanted},
    )
    assert answer["Location"] == wanted
    assert client.get(wanted).status_code == 200


def test_a_wrong_password_says_so_and_signs_nobody_in(house: House) -> None:
    client = Client()
    answer = client.post("/login", {"username": house.room.owner.username, "password": "wrong"})
    assert "Please enter a correct username and password" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_signing_in_leads_to_no_other_site(house: House) -> None:
    answer = Client().post(
        "/login",
        {
            "username": house.room.owner.username,
            "password": PASSWORD,
            "next": "https://elsewhere.example/",
        },
    )
    assert answer["Location"] == "/"


def test_signing_out_needs_a_post(house: House) -> None:
    client = house.visitor("owner")
    assert client.get("/logout").status_code == 405
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_a_poll_after_the_session_ended_loads_the_page_anew(house: House) -> None:
    """A poll follows the redirect to the login page: that must not be swapped into the run page."""
    client = Client(headers=HTMX)
    answer = client.get(reverse("run-progress", args=[house.room.run.pk]), follow=True)
    assert answer["HX-Refresh"] == "true"
    assert answer.content == b""


def test_a_changed_password_keeps_this_session_and_ends_the_others(house: House) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        client.login(username=house.room.owner.username, password=PASSWORD)
    new = "quite another pass phrase"
    answer = here.post(
        "/account",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
        follow=True,
    )
    assert "Your password is changed" in answer.content.decode()
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302
    assert Client().login(username=house.room.owner.username, password=new)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (("wrong", "quite another phrase", "quite another phrase"), "old password was entered"),
        ((PASSWORD, "quite another phrase", "quite different"), "didn’t match"),
        ((PASSWORD, "12345678", "12345678"), "too common"),
    ],
)
def test_a_password_that_will_not_do(
    data: tuple[str, str, str], complaint: str, house: House
) -> None:
    fields = dict(zip(("old_password", "new_password1", "new_password2"), data, strict=True))
    answer = house.visitor("owner").post("/account", fields)
    assert answer.status_code == 422
    assert complaint in answer.content.decode()


def test_the_theme_is_remembered_and_forgotten() -> None:
    client = Client()
    assert 'data-theme=""' in client.get("/login").content.decode()
    client.post("/theme", {"theme": "dark", "next": "/login"})
    assert 'data-theme="dark"' in client.get("/login").content.decode()
    client.post("/theme", {"theme": "", "next": "/login"})
    assert 'data-theme=""' in client.get("/login").content.decode()


def test_the_theme_takes_no_other_word_and_leads_to_no_other_site() -> None:
    client = Client()
    answer = client.post("/theme", {"theme": '"><script>', "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"
    assert 'data-theme=""' in client.get("/login").content.decode()
    client.cookies["srt_theme"] = '"><script>'
    assert 'data-theme=""' in client.get("/login").content.decode()
