"""Signing in and out, the password, and the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from refinement.web import accounts
from tests.review_room import PASSWORD

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.web.conftest import House

HTMX = {"HX-Request": "true"}


def sign_in(client: Client, username: str, password: str = PASSWORD) -> HttpResponse:
    answer: HttpResponse = client.post("/login", {"username": username, "password": password})
    return answer


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


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(house: House) -> None:
    """Its own address is no page: after signing in there would be nothing to see."""
    page = reverse("exports", args=[house.room.run.pk]) + "?include=all"
    form = reverse("export-new", args=[house.room.run.pk])
    answer = Client().post(form, headers={"Referer": f"http://testserver{page}#options"})
    assert answer["Location"] == f"/login?next={quote(page)}"


@pytest.mark.parametrize("before", ["", "https://elsewhere.example/page", "//elsewhere.example/"])
def test_a_form_from_elsewhere_leads_to_the_first_page(house: House, before: str) -> None:
    form = reverse("export-new", args=[house.room.run.pk])
    assert Client().post(form, headers={"Referer": before})["Location"] == "/login?next=/"


def test_the_address_of_a_form_opened_by_itself_has_a_page(house: House) -> None:
    answer = house.visitor("owner").get(reverse("export-new", args=[house.room.run.pk]))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "nothing was changed" in answer.content.decode()


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
        sign_in(client, house.room.owner.username)
    new = "quite another pass phrase"
    answer = here.post(
        "/account",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
        follow=True,
    )
    assert "Your password is changed" in answer.content.decode()
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302
    assert sign_in(Client(), house.room.owner.username, new).status_code == 302


def test_signing_out_everywhere_keeps_this_session_and_ends_the_others(house: House) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        sign_in(client, house.room.owner.username)
    answer = here.post("/account/sign-out-everywhere", follow=True)
    assert "Every other browser and device is signed out" in answer.content.decode()
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302


# -- Guessing -------------------------------------------------------------------------------------
def test_after_too_many_wrong_passwords_even_the_right_one_waits(house: House) -> None:
    name = house.room.owner.username
    guesser = Client(REMOTE_ADDR="203.0.113.7")
    answers = [sign_in(guesser, name, f"guess {n}").status_code for n in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    shut = sign_in(guesser, name)
    assert shut.status_code == 429
    assert "shut for 15 minutes" in shut.content.decode()
    # The person herself, elsewhere, and her colleagues beside the guesser are not shut out.
    assert sign_in(Client(REMOTE_ADDR="203.0.113.8"), name).status_code == 302
    assert sign_in(guesser, house.room.viewer.username).status_code == 302


def test_one_address_cannot_try_one_password_on_everybody(house: House) -> None:
    guesser = Client(REMOTE_ADDR="203.0.113.7")
    for number in range(accounts.MOST_FAILURES_OF_AN_ADDRESS):
        AccessAttempt.objects.create(
            username=f"name{number}",
            ip_address="203.0.113.7",
            failures_since_start=1,
            user_agent="",
            attempt_time=timezone.now(),
        )
    assert sign_in(guesser, house.room.owner.username).status_code == 429
    assert sign_in(Client(), house.room.owner.username).status_code == 302


def test_a_made_up_forwarded_address_opens_no_further_tries(house: House, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    for number in range(6):
        client = Client(headers={"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.7"})
        answer = sign_in(client, house.room.owner.username, "wrong")
    assert answer.status_code == 429


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
