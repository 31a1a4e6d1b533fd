"""No teacher on this machine or in the private network, unless it is allowed: whatever the way."""

from __future__ import annotations

import asyncio
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from refinement.method.addresses import AddressRefusedError, AddressRule, parse_networks
from refinement.method.errors import PermanentTeacherError
from refinement.method.specs import TeacherSpec
from refinement.method.teacher import check
from tests.fake_teacher import FakeTeacher

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = AddressRule()


@pytest.fixture
def server() -> Iterator[FakeTeacher]:
    with FakeTeacher() as server:
        yield server


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.5.5",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "fe80::1",
        "fc00::1",
        "224.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_private_and_metadata_addresses_are_refused(address: str) -> None:
    assert not NOBODY.allows("teacher", 443, ip_address(address))


def test_public_ones_and_what_is_allowed_are_not() -> None:
    rule = AddressRule(
        parse_networks(["10.1.0.0/16", "fd00::/8"]), frozenset({("127.0.0.1", 8791)})
    )
    assert rule.allows("api", 443, ip_address("93.184.216.34"))
    assert rule.allows("gpu", 8000, ip_address("10.1.2.3"))
    assert not rule.allows("gpu", 8000, ip_address("10.2.2.3"))
    assert rule.allows("gpu", 8000, ip_address("fd12::1"))
    assert rule.allows("127.0.0.1", 8791, ip_address("127.0.0.1"))
    assert not rule.allows("127.0.0.1", 6390, ip_address("127.0.0.1"))
    with pytest.raises(ValueError, match="nonsense"):
        parse_networks(["nonsense"])


def test_a_name_is_refused_by_what_it_means() -> None:
    with pytest.raises(AddressRefusedError, match="SRT_TEACHER_NETWORKS="):
        NOBODY.refuse("localhost", 80)
    NOBODY.refuse("no-such-name.invalid", 80)


def ask(url: str, rule: AddressRule) -> None:
    asyncio.run(check(TeacherSpec(base_url=url, model="fake-teacher"), rule=rule))


def test_a_teacher_on_this_machine_is_asked_only_where_allowed(server: FakeTeacher) -> None:
    port = server.server_address[1]
    with pytest.raises(PermanentTeacherError, match=r"127\.0\.0\.1 is an address of this machine"):
        ask(server.base_url, NOBODY)
    assert server.state.requests == []
    ask(server.base_url, AddressRule(parse_networks(["127.0.0.0/8"])))
    ask(server.base_url, AddressRule(exact=frozenset({("127.0.0.1", port)})))
    assert len(server.state.requests) == 2


def test_a_redirect_leads_to_no_other_place(server: FakeTeacher) -> None:
    """The first server is allowed; it sends on to one that is not."""
    hidden = server.base_url + "/chat/completions"

    class Redirect(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(307)
            self.send_header("Location", hidden)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirect) as front:
        Thread(target=front.serve_forever, daemon=True).start()
        rule = AddressRule(exact=frozenset({("127.0.0.1", front.server_port)}))
        with pytest.raises(PermanentTeacherError, match="address of this machine"):
            ask(f"http://127.0.0.1:{front.server_port}/v1", rule)
        front.shutdown()
    assert server.state.requests == []


def test_a_name_that_changes_its_meaning_is_checked_when_it_is_used(
    server: FakeTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At registration the name meant a public address; when the socket is opened, this machine."""
    meanings = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1", "127.0.0.1"])

    def lookup(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        address = next(meanings) if host == "rebind.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    port = server.server_address[1]
    NOBODY.refuse("rebind.example", port)
    with pytest.raises(PermanentTeacherError, match=r"rebind\.example \(127\.0\.0\.1\)"):
        ask(f"http://rebind.example:{port}/v1", NOBODY)
    assert server.state.requests == []
