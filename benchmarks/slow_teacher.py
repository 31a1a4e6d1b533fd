"""A teacher that answers everything after a fixed time, cheaply: thousands of requests at once.

    python benchmarks/slow_teacher.py --latency 1.0

prints ``listening on URL`` and serves until it is ended. What it answers follows the staged labels,
so that the whole teaching loop can be run against it. ``GET /stats`` tells how many questions were
answered and how many were under way at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

TEXT = "Describe in a few sentences how the tides follow the moon, and name one place to see it."


class Server(asyncio.Protocol):
    """HTTP/1.1 with keep-alive: reads whole requests, answers each after ``latency`` seconds."""

    latency = 1.0
    in_flight = most = answered = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            _, _, rest = head.partition(b"content-length:")
            length = int(rest.split(b"\r\n")[0]) if rest else 0
            if len(self.received) < end + 4 + length:
                return
            body = self.received[end + 4 : end + 4 + length]
            self.received = self.received[end + 4 + length :]
            if head.startswith(b"get /stats"):
                self._send({"answered": Server.answered, "most_in_flight": Server.most})
            else:
                self._begin(body)

    def _begin(self, body: bytes) -> None:
        Server.in_flight += 1
        Server.most = max(Server.most, Server.in_flight)
        asyncio.get_running_loop().call_later(self.latency, self._answer, body)

    def _answer(self, body: bytes) -> None:
        Server.in_flight -= 1
        Server.answered += 1
        label = "Better instruction: " if b"Better instruction: " in body else ""
        # No two answers alike: else all samples would ask the same question next.
        text = f"{label}{TEXT} This is answer {Server.answered}."
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 220}
        self._send(
            {"object": "chat.completion", "model": "slow", "choices": [choice], "usage": usage}
        )

    def _send(self, reply: dict[str, Any]) -> None:
        body = json.dumps(reply).encode()
        head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=1.0, help="seconds")
    Server.latency = parser.parse_args().latency
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=2048)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
