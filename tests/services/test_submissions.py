from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from refinement.models import Submission, User
from refinement.services.submissions import AlreadySent, new_token, sent_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return User.objects.create_user("olga")


def test_the_second_is_told_where_the_first_one_went(user: User) -> None:
    token = new_token()
    with sent_once(token=token, user=user) as submission:
        submission.location = "/datasets/7"
    with pytest.raises(AlreadySent) as news, sent_once(token=token, user=user):
        pytest.fail("the work was done twice")
    assert news.value.location == "/datasets/7"


def test_the_second_comes_while_the_first_still_works(user: User) -> None:
    token = new_token()
    with sent_once(token=token, user=user) as submission:
        with pytest.raises(AlreadySent) as news, sent_once(token=token, user=user):
            pytest.fail("the work was done twice")
        assert news.value.location == ""
        submission.location = "/datasets/7"
    assert Submission.objects.get().location == "/datasets/7"


def test_a_refused_form_may_be_corrected_and_sent_again(user: User) -> None:
    token = new_token()
    with pytest.raises(ValueError, match="no"), sent_once(token=token, user=user):
        raise ValueError("no")
    with sent_once(token=token, user=user) as submission:
        submission.location = "/datasets/8"
    assert Submission.objects.get().location == "/datasets/8"


def test_a_token_of_somebody_else_tells_nothing(user: User) -> None:
    token = new_token()
    with sent_once(token=token, user=user) as submission:
        submission.location = "/datasets/7"
    other = User.objects.create_user("otto")
    with pytest.raises(AlreadySent) as news, sent_once(token=token, user=other):
        pytest.fail("the work was done twice")
    assert news.value.location == ""


def test_old_tokens_are_forgotten(user: User) -> None:
    with sent_once(token=new_token(), user=user):
        pass
    Submission.objects.update(created_at=timezone.now() - timedelta(days=2))
    with sent_once(token=new_token(), user=user):
        pass
    assert Submission.objects.count() == 1
