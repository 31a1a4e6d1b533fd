"""An OpenID Connect provider as a process of its own, which can be told to misbehave.

``oidc-provider-mock`` does the protocol: discovery, keys, codes, signed tokens. ``PUT /lie/WHAT``
makes this wrapper spoil what it gives out from then on; ``PUT /lie/nothing`` ends it.

    python -m tests.oidc_provider PORT
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jwt
import oidc_provider_mock
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.serving import run_simple
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from refinement.embedded.ports import wait_for_port
from tests.environment import REPOSITORY, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

CLIENT_SECRET = "a secret that is long enough for an HMAC"
# Claims of a token that is spoilt, but signed with a key that the provider publishes.
CHANGED: dict[str, dict[str, Any]] = {
    "audience": {"aud": "another client"},
    "issuer": {"iss": "https://elsewhere.example"},
    "expired": {"exp": int(time.time()) - 3600},
    "no email": {"email": None},
    "userinfo": {"email": None},
}
OTHER_LIES = {"nothing", "strange key", "no signature", "shared secret"}


class Provider:
    """Passes everything to the honest provider, and changes some of its answers on the way back."""

    def __init__(self) -> None:
        self._honest = oidc_provider_mock.app()
        self._own_key, self._strange_key = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)
        )
        self._lie = "nothing"

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/lie/"):
            self._lie = path.removeprefix("/lie/")
            assert self._lie in {*CHANGED, *OTHER_LIES}
            return Response(status=204)(environ, start)
        changes = {"/jwks": self._keys, "/oauth2/token": self._token, "/userinfo": self._userinfo}
        if path not in changes:
            return self._honest(environ, start)
        body, status, _ = run_wsgi_app(self._honest, environ, buffered=True)
        said = json.loads(b"".join(body))
        if status.startswith("200"):
            said = changes[path](said)
        return Response(json.dumps(said), status, content_type="application/json")(environ, start)

    def _keys(self, said: dict[str, Any]) -> dict[str, Any]:
        if self._lie not in CHANGED:
            return said
        own = jwt.algorithms.RSAAlgorithm.to_jwk(self._own_key.public_key(), as_dict=True)
        return {"keys": [*said["keys"], own | {"kid": "own", "alg": "RS256"}]}

    def _userinfo(self, said: dict[str, Any]) -> dict[str, Any]:
        return said | ({"sub": "somebody else"} if self._lie == "userinfo" else {})

    def _token(self, said: dict[str, Any]) -> dict[str, Any]:
        if self._lie == "nothing":
            return said
        name = jwt.get_unverified_header(said["id_token"]).get("kid")
        claims = jwt.decode(said["id_token"], options={"verify_signature": False})
        key, algorithm = {
            "strange key": (self._strange_key, "RS256"),
            "no signature": (None, "none"),
            "shared secret": (CLIENT_SECRET, "HS256"),
        }.get(self._lie, (self._own_key, "RS256"))
        if self._lie in CHANGED:
            name = "own"
            claims |= CHANGED[self._lie]
            claims = {claim: value for claim, value in claims.items() if value is not None}
        return said | {
            "id_token": jwt.encode(claims, key, algorithm=algorithm, headers={"kid": name})
        }


@contextmanager
def running_provider() -> Iterator[str]:
    """The provider in a process of its own; its issuer."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.oidc_provider", str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process=process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), Provider(), threaded=True)
