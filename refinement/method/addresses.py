"""Which addresses a teacher may have, checked when a connection is made.

A check of the URL alone would not do: a server may redirect to another one, and a name may mean
another address by the time that it is used. So the check sits where a name has become an address
and a socket is about to be opened to exactly that address.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address in IPv6 clothes, for whoever translates


class AddressRefusedError(Exception):
    """The address is not one that a teacher may have. ``str(error)`` says so in a sentence."""

    def __init__(self, host: str, address: Address) -> None:
        where = f"{address}" if host == str(address) else f"{host} ({address})"
        super().__init__(
            f"{where} is an address of this machine or of a private network, and is not asked. "
            f"Whoever runs this service allows it with SRT_TEACHER_NETWORKS={address}."
        )


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Public addresses, those of ``networks``, and the very hosts and ports of ``exact``."""

    networks: tuple[Network, ...] = ()
    exact: frozenset[tuple[str, int]] = frozenset()

    def allows(self, host: str, port: int, address: Address) -> bool:
        if (host, port) in self.exact:
            return True
        address = _plain(address)
        if any(address.version == net.version and address in net for net in self.networks):
            return True
        return address.is_global and not address.is_multicast

    def refuse(self, host: str, port: int) -> None:
        """Raise AddressRefusedError where every address of ``host`` is refused.

        A name that means nothing here passes: it may mean something where it is used, and is
        checked there.
        """
        try:
            found = addresses_of(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            return
        self.choose(host, port, found)

    def choose(self, host: str, port: int, found: Iterable[Address]) -> list[Address]:
        """The allowed ones of the addresses that were found. Raises AddressRefusedError if none."""
        found = list(found)
        allowed = [address for address in found if self.allows(host, port, address)]
        if found and not allowed:
            raise AddressRefusedError(host, found[0])
        return allowed


class GuardedBackend:
    """Opens the sockets of an HTTP client: the name is looked up here, checked, and not again."""

    def __init__(self, backend: Any, rule: AddressRule) -> None:
        self._backend = backend
        self._rule = rule

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        found = addresses_of(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        allowed = self._rule.choose(host, port, found)
        for address in allowed[:-1]:
            try:
                return await self._backend.connect_tcp(str(address), port, *args, **options)
            except OSError:
                continue
            except Exception as error:  # the client library's own class for a failed connection
                if type(error).__name__ not in {"ConnectError", "ConnectTimeout"}:
                    raise
        return await self._backend.connect_tcp(str(allowed[-1]), port, *args, **options)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> Any:
        raise OSError("A teacher is not asked over a socket of this machine.")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


def guard(client: Any, rule: AddressRule) -> None:
    """Let an ``httpx`` client open connections by ``rule`` alone.

    What goes through a proxy that the environment names is left to that proxy. The library has no
    public place for a network backend, so this sets it inside; a test holds that it is used.
    """
    transport = client._transport  # noqa: SLF001
    if not hasattr(transport, "_pool"):  # that of aiohttp, which takes a session of ours
        transport.client = lambda: _guarded_session(transport, rule)
        return
    pool = client._transport._pool  # noqa: SLF001
    pool._network_backend = GuardedBackend(pool._network_backend, rule)  # noqa: SLF001


def _guarded_session(transport: Any, rule: AddressRule) -> Any:
    """A session of aiohttp whose sockets go to the allowed addresses of a name alone."""
    import aiohttp

    class GuardedConnector(aiohttp.TCPConnector):
        async def _resolve_host(self, host: str, port: int, traces: Any = None) -> list[Any]:
            found: list[Any] = await super()._resolve_host(host, port, traces)
            addresses = [ip_address(entry["host"].partition("%")[0]) for entry in found]
            allowed = rule.choose(host, port, addresses)
            return [
                entry for entry, address in zip(found, addresses, strict=True) if address in allowed
            ]

    connector = GuardedConnector(
        limit=transport.limits.max_connections or 0,
        keepalive_timeout=transport.limits.keepalive_expiry,
        ssl=transport.ssl_context,
    )
    return aiohttp.ClientSession(connector=connector)


def addresses_of(found: Iterable[tuple[Any, ...]]) -> list[Address]:
    """The addresses in an answer of ``getaddrinfo``, each once."""
    return list(dict.fromkeys(ip_address(entry[4][0].partition("%")[0]) for entry in found))


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError, with the text, for what is neither an address nor a network."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts if text.strip())


def _plain(address: Address) -> Address:
    """IPv4 where an IPv6 address only wraps one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
