"""Whose account a sign-in at a provider opens, where two come at once."""

from __future__ import annotations

import threading

import pytest
from allauth.socialaccount.models import SocialAccount
from django.db import connection

from refinement.models import User
from refinement.services.oidc import Identity, person_of
from srt_web.oidc import Oidc

OIDC = Oidc("https://id.example.org", "srt", "secret", "Example", sign_up=True)


@pytest.mark.parametrize("_time", range(4))
def test_the_same_person_from_several_windows_at_once_gets_one_account(
    transactional_db: None, _time: int
) -> None:
    identity = Identity("ada-1", email="ada@example.org")
    barrier = threading.Barrier(5)
    opened: list[int] = []

    def sign_in() -> None:
        try:
            barrier.wait()
            opened.append(person_of(identity, oidc=OIDC).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=sign_in) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [User.objects.get().pk] * 5
    assert SocialAccount.objects.get().user_id == opened[0]
