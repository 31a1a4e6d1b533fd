import email.utils
import time

import pytest

from refinement.method.rate_limits import LONGEST_PAUSE_SECONDS, RateLimits, duration, server_wait


def headers(kind="requests", **values):
    return {f"x-ratelimit-{name}-{kind}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        (headers(remaining=0, reset="1m30s"), 90.0),
        (headers(remaining=3, reset="1m30s"), None),
        (headers(remaining=0, reset="2s") | headers("tokens", remaining=0, reset="5s"), 5.0),
        (headers(remaining=0, reset="9s") | {"retry-after": "2"}, 2.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_the_wait_a_server_asks_for(headers, seconds):
    assert server_wait(headers) == seconds


def test_a_date_in_the_future_is_a_wait():
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < server_wait({"retry-after": date}) <= 100


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1h2m3.5s", 3723.5),
        ("17", 17.0),
        ("", None),
        ("soon", None),
        ("1s later", None),
        ("-4s", None),
        ("1000000001", 0.0),
    ],
)
def test_durations(text, seconds):
    assert duration(text) == seconds


def test_without_headers_nothing_waits():
    limits = RateLimits()
    limits.heed({}, tokens=500)
    assert [limits.pause() for _ in range(100)] == [0.0] * 100


def test_what_is_left_may_be_sent_and_the_next_waits_for_its_share():
    limits = RateLimits()
    limits.heed(headers(limit=100, remaining=3, reset="97s"))
    assert [limits.pause() for _ in range(3)] == [0.0] * 3
    assert 0.9 < limits.pause() <= 1.0, "one request comes back a second"


def test_without_a_limit_the_reset_is_waited_for():
    limits = RateLimits()
    limits.heed(headers(remaining=0, reset="20s"))
    assert 19 < limits.pause() <= 20


def test_a_long_reset_is_not_believed_for_ever():
    limits = RateLimits()
    limits.heed(headers(remaining=0, reset="1h"))
    assert limits.pause() == LONGEST_PAUSE_SECONDS


def test_a_later_answer_corrects_the_earlier():
    limits = RateLimits()
    limits.heed(headers(remaining=0, reset="1h"))
    limits.heed(headers(remaining=5, reset="1h"))
    assert limits.pause() == 0.0


def test_what_was_promised_is_due_once_its_time_has_come():
    limits = RateLimits()
    limits.heed(headers(limit=10, remaining=0, reset="0s"))
    assert limits.pause() == 0.0


def test_tokens_are_counted_as_requests_use_them():
    limits = RateLimits()
    limits.heed(headers("tokens", limit=10_000, remaining=1000, reset="90s"), tokens=400)
    assert [limits.pause(), limits.pause()] == [0.0, 0.0]
    assert 1.9 < limits.pause() <= 2.0, "200 tokens are missing, and 100 come back a second"


def test_a_request_larger_than_the_whole_limit_is_still_sent():
    limits = RateLimits()
    limits.heed(headers("tokens", limit=100, remaining=100, reset="0s"), tokens=4000)
    assert limits.pause() == 0.0


@pytest.mark.parametrize("value", ["", "many", "-1", "nan", "inf"])
def test_headers_that_are_no_numbers_are_ignored(value):
    limits = RateLimits()
    limits.heed(headers(limit=value, remaining=value, reset=value))
    assert limits.pause() == 0.0
