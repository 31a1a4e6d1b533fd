"""Signing in through an OpenID Connect provider: real processes, real HTTP, real tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx2
import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from axes.models import AccessAttempt
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import NoReverseMatch, reverse

from refinement.models import AuditEvent, Membership, User
from refinement.web.oidc import identity_of
from srt_web.oidc import Oidc, oidc_settings
from tests.environment import free_port
from tests.oidc_provider import CHANGED, CLIENT_SECRET, running_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django.live_server_helper import LiveServer

EMAIL = "ada@example.org"
PASSWORD = "a long enough pass phrase"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider() as issuer:
        yield issuer


@pytest.fixture
def configure(issuer: str, settings: Any) -> Callable[..., None]:
    """Set up the sign-in, with these parts of ``Oidc`` changed."""

    def do(**changed: Any) -> None:
        common = {"client_id": "srt", "client_secret": CLIENT_SECRET, "name": "Example ID"}
        settings.OIDC = Oidc(**{"issuer": issuer, **common, **changed})

    httpx2.put(f"{issuer}/lie/nothing").raise_for_status()
    do()
    return do


@pytest.fixture
def ada(transactional_db: None) -> User:
    return User.objects.create_user("ada", email="Ada@Example.org", password=PASSWORD)


@pytest.fixture
def browser(live_server: LiveServer, configure: Callable[..., None]) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live_server.url, timeout=30) as client:
        yield client


def to_the_provider(browser: httpx2.Client, **wanted: str) -> str:
    answer = browser.get("/login/oidc", params=wanted)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def at_the_provider(there: str, *, subject: str = "ada-1", **claims: Any) -> str:
    """Say there who one is, and agree; the address that leads back."""
    origin = urlsplit(there)
    person = {"email": EMAIL, "email_verified": True, **claims}
    place = f"{origin.scheme}://{origin.netloc}/users/{subject}"
    httpx2.put(place, json=person).raise_for_status()
    answer = httpx2.post(there, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def sign_in(browser: httpx2.Client, **person: Any) -> httpx2.Response:
    return browser.get(at_the_provider(to_the_provider(browser), **person))


def is_in(browser: httpx2.Client) -> bool:
    return browser.get("/account").status_code == 200


def newest(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action).latest("id")


# -- Who comes in ---------------------------------------------------------------------------------
def test_a_verified_address_opens_its_account(browser: httpx2.Client, ada: User) -> None:
    answer = sign_in(browser)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert "Signed in as <strong>ada</strong>" in browser.get("/account").text
    event = newest("session.begun")
    assert (event.who, event.address, event.via) == ("ada", "127.0.0.1", "web")
    assert newest("account.connected").who == "ada"


def test_the_account_stays_when_the_address_changes(browser: httpx2.Client, ada: User) -> None:
    sign_in(browser)
    browser.cookies.clear()
    assert sign_in(browser, email="ada@married.example", email_verified=False).status_code == 302
    assert is_in(browser)
    assert SocialAccount.objects.get().user == ada


def test_nothing_of_the_person_or_the_tokens_is_kept(browser: httpx2.Client, ada: User) -> None:
    sign_in(browser, name="Ada L.", picture="https://example.org/ada.png")
    assert SocialAccount.objects.get().extra_data == {}
    assert not SocialToken.objects.exists()


def test_one_comes_to_where_one_wanted_to_go(browser: httpx2.Client, ada: User) -> None:
    page = browser.get("/login", params={"next": "/account?a=1"}).text
    assert 'href="/login/oidc?next=%2Faccount%3Fa%3D1"' in page
    assert "Sign in with Example ID" in page
    back = at_the_provider(to_the_provider(browser, next="/account?a=1"))
    assert browser.get(back).headers["Location"] == "/account?a=1"


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example", "\\\\e.x"])
def test_one_comes_to_no_other_site(wanted: str, browser: httpx2.Client, ada: User) -> None:
    back = at_the_provider(to_the_provider(browser, next=wanted))
    assert browser.get(back).headers["Location"] == "/"


def test_the_code_is_bound_to_this_browser(browser: httpx2.Client, ada: User) -> None:
    """PKCE, a nonce and a state go out; the secret does not."""
    there = to_the_provider(browser)
    sent = {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()}
    assert sent["code_challenge_method"] == "S256"
    assert len(sent["nonce"]) >= 32
    assert len(sent["state"]) >= 16
    assert sent["redirect_uri"].endswith("/login/oidc/callback")
    assert CLIENT_SECRET not in there
    assert set(sent["scope"].split()) == {"openid", "email", "profile"}


def test_an_address_only_in_userinfo_will_do(
    browser: httpx2.Client, ada: User, issuer: str
) -> None:
    httpx2.put(f"{issuer}/lie/no email").raise_for_status()
    assert sign_in(browser).status_code == 302
    assert is_in(browser)


@pytest.mark.parametrize(("said", "email"), [(True, EMAIL), ("true", EMAIL), ("1", ""), ([1], "")])
def test_some_providers_say_true_in_quotation_marks(said: object, email: str) -> None:
    claims = {"sub": "1", "email": EMAIL, "email_verified": said}
    assert identity_of(claims).email == email


# -- Who does not ---------------------------------------------------------------------------------
def refused(answer: httpx2.Response, browser: httpx2.Client, sentence: str, reason: str) -> None:
    assert answer.status_code == 403
    assert sentence in answer.text
    assert not is_in(browser)
    assert newest("session.not_let_in").detail["reason"] == reason
    assert newest("session.not_let_in").kind == "entered"


def test_an_unknown_person_gets_no_account(browser: httpx2.Client, ada: User) -> None:
    answer = sign_in(browser, subject="eve", email="eve@example.org")
    refused(answer, browser, "There is no account for your e-mail address here.", "unknown")
    assert newest("session.not_let_in").detail["name"] == "(nobody's)"
    assert User.objects.count() == 1
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("verified", [False, None, "no", 1])
def test_an_unverified_address_opens_nothing(
    verified: object, browser: httpx2.Client, ada: User
) -> None:
    answer = sign_in(browser, email_verified=verified)
    refused(answer, browser, "Example ID has not verified your e-mail address", "unverified")
    assert not SocialAccount.objects.exists()


def test_a_shut_account_stays_shut(browser: httpx2.Client, ada: User) -> None:
    sign_in(browser)
    User.objects.update(is_active=False)
    assert not is_in(browser), "and its sessions ended"
    refused(sign_in(browser), browser, "Your account here is shut.", "shut")
    assert newest("session.not_let_in").detail["name"] == EMAIL


def test_an_address_elsewhere_is_refused_known_or_not(
    browser: httpx2.Client, ada: User, configure: Callable[..., None]
) -> None:
    sign_in(browser)
    browser.cookies.clear()
    configure(domains=("example.com",), sign_up=True)
    sentence = "Only verified e-mail addresses at example.com may sign in here."
    refused(sign_in(browser), browser, sentence, "domain")
    unverified = sign_in(browser, email="ada@example.com", email_verified=False)
    refused(unverified, browser, sentence, "domain")
    refused(sign_in(browser, email="a@sub.example.com"), browser, sentence, "domain")


def test_an_address_of_two_accounts_opens_neither(browser: httpx2.Client, ada: User) -> None:
    User.objects.create_user("other", email=EMAIL)
    sentence = "Several accounts here have your e-mail address."
    refused(sign_in(browser), browser, sentence, "ambiguous")


NOT_VALID = "What Example ID answered is not valid for the sign-in that you began."


@pytest.mark.parametrize(
    "lie", ["strange key", "no signature", "shared secret", *sorted(set(CHANGED) - {"no email"})]
)
def test_a_token_that_is_not_the_providers_opens_nothing(
    lie: str, browser: httpx2.Client, ada: User, issuer: str
) -> None:
    httpx2.put(f"{issuer}/lie/{lie}").raise_for_status()
    refused(sign_in(browser), browser, NOT_VALID, "not_valid")


def test_the_nonce_of_another_sign_in_opens_nothing(browser: httpx2.Client, ada: User) -> None:
    there = urlsplit(to_the_provider(browser))
    query = {name: values[0] for name, values in parse_qs(there.query).items()}
    query["nonce"] = "that of somebody else"
    back = at_the_provider(urlunsplit(there._replace(query=urlencode(query))))
    refused(browser.get(back), browser, NOT_VALID, "not_valid")


def test_a_code_that_another_browser_was_given_opens_nothing(
    browser: httpx2.Client, ada: User, live_server: LiveServer
) -> None:
    back = at_the_provider(to_the_provider(browser))
    with httpx2.Client(base_url=live_server.url) as victim:
        refused(victim.get(back), victim, NOT_VALID, "not_valid")
    assert browser.get(back).status_code == 302
    browser.cookies.clear()
    refused(browser.get(back), browser, NOT_VALID, "not_valid")


def test_who_says_no_at_the_provider_is_back_at_the_sign_in(browser: httpx2.Client) -> None:
    state = parse_qs(urlsplit(to_the_provider(browser)).query)["state"][0]
    answer = browser.get("/login/oidc/callback", params={"error": "access_denied", "state": state})
    assert answer.headers["Location"] == "/login"


@pytest.mark.parametrize("place", ["nobody listens", "another issuer"])
def test_a_provider_that_does_not_answer_as_it_should(
    place: str, browser: httpx2.Client, configure: Callable[..., None], issuer: str
) -> None:
    there = f"{issuer}/.well-known/openid-configuration"  # whose document says another issuer
    configure(issuer=there if place == "another issuer" else f"http://127.0.0.1:{free_port()}")
    answer = browser.get("/login/oidc")
    assert answer.status_code == 502
    assert "Example ID cannot be reached just now." in answer.text


# -- New people -----------------------------------------------------------------------------------
def test_with_the_setting_a_new_person_gets_an_account_and_no_project(
    browser: httpx2.Client, ada: User, configure: Callable[..., None]
) -> None:
    configure(sign_up=True, domains=("example.org",))
    person = {"subject": "bo", "email": "Bo@example.org", "given_name": "Bo", "family_name": "Li"}
    assert sign_in(browser, **person).status_code == 302
    bo = User.objects.get(username="bo@example.org")
    assert (bo.first_name, bo.last_name) == ("Bo", "Li")
    assert [bo.is_staff, bo.is_superuser, bo.has_usable_password()] == [False] * 3
    assert not Membership.objects.exists()
    assert newest("account.signed_up").who == bo.username
    assert "Change the password" not in browser.get("/account").text


def test_a_name_that_is_taken_makes_no_account(
    browser: httpx2.Client, configure: Callable[..., None], transactional_db: None
) -> None:
    configure(sign_up=True)
    User.objects.create_user("Bo@example.org")
    answer = sign_in(browser, subject="bo", email="bo@example.org")
    refused(answer, browser, "There is no account for your e-mail address here.", "unknown")


# -- What else holds ------------------------------------------------------------------------------
def test_signing_out_everywhere_ends_such_a_session_too(
    browser: httpx2.Client, ada: User, live_server: LiveServer
) -> None:
    sign_in(browser)
    with httpx2.Client(base_url=live_server.url) as elsewhere:
        sign_in(elsewhere)
        token = browser.get("/account").text.partition('csrfmiddlewaretoken" value="')[2][:64]
        browser.post("/account/sign-out-everywhere", data={"csrfmiddlewaretoken": token})
        assert is_in(browser)
        assert not is_in(elsewhere)


def test_guessed_passwords_shut_the_password_and_not_the_provider(
    browser: httpx2.Client, ada: User
) -> None:
    for _ in range(5):
        Client(REMOTE_ADDR="127.0.0.1").post("/login", {"username": "ada", "password": "guess"})
    assert AccessAttempt.objects.filter(username="ada").exists()
    good = {"username": "ada", "password": PASSWORD}
    assert Client(REMOTE_ADDR="127.0.0.1").post("/login", good).status_code == 429
    assert sign_in(browser).status_code == 302
    assert is_in(browser)


def test_the_pages_keep_the_content_security_policy(browser: httpx2.Client, ada: User) -> None:
    for answer in (browser.get("/login"), sign_in(browser, subject="eve", email="eve@e.org")):
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
        assert " style=" not in answer.text


def test_without_a_provider_there_is_no_such_page(db: None, settings: Any) -> None:
    assert settings.OIDC is None, "the environment of tests names none"
    client = Client()
    assert client.get("/login/oidc").status_code == 404
    assert client.get("/login/oidc/callback").status_code == 404
    assert "/login/oidc" not in client.get("/login").content.decode()


@pytest.mark.parametrize(
    "name", ["account_signup", "account_login", "account_email", "account_reset_password"]
)
def test_no_page_of_allauth_has_an_address(name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(name)


# -- The environment ------------------------------------------------------------------------------
GIVEN: dict[str, Any] = {
    "issuer": "https://id.example.org/",
    "client_id": "srt",
    "client_secret": "s",
    "name": "",
    "domains": ["@Example.org"],
    "sign_up": False,
}


def test_the_settings_are_read() -> None:
    oidc = oidc_settings(**GIVEN)
    assert oidc is not None
    assert (oidc.issuer, oidc.name) == ("https://id.example.org", "id.example.org")
    assert oidc.domains == ("example.org",)
    assert "client_secret" not in repr(oidc)
    nothing = GIVEN | {"issuer": "", "client_id": "", "client_secret": ""}
    assert oidc_settings(**nothing) is None


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"client_secret": ""}, "needs SRT_OIDC_CLIENT_SECRET"),
        ({"issuer": "", "client_id": ""}, "needs SRT_OIDC_ISSUER and SRT_OIDC_CLIENT_ID"),
        ({"issuer": "http://id.example.org"}, "must begin with https://"),
        ({"issuer": "id.example.org"}, "must begin with https://"),
    ],
)
def test_settings_that_would_not_do_stop_the_start(changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=complaint):
        oidc_settings(**GIVEN | changed)
