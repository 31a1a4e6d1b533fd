"""Tokens for programs: made once, shown once, kept as a hash, ended when they should end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from refinement.models import ApiToken
from refinement.services import audit
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refinement.models import Project, User

PREFIX = "srt_"  # so that scanners for leaked secrets know it
LONGEST_DAYS = 366
USED_EVERY = timedelta(minutes=1)  # how exactly the last use is kept


def make_token(
    *,
    user: User,
    name: str,
    scopes: Iterable[str],
    days: int = 90,
    project: Project | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its text, which nobody can get again. Raises ServiceError."""
    chosen = [scope for scope in ApiToken.Scope.values if scope in set(scopes)]
    name = name.strip()
    if not name or len(name) > 120:
        raise ServiceError(
            gettext("Give the token a name of 120 characters at most, for what it is for.")
        )
    if not chosen:
        raise ServiceError(gettext("Choose at least one thing that the token may do."))
    if ApiToken.Scope.ADMIN in chosen and not user.is_staff:
        raise ServiceError(gettext("Only an admin can make a token that administers."))
    if not 1 <= days <= LONGEST_DAYS:
        raise ServiceError(
            gettext("A token may live from 1 to %(longest_days)s days.")
            % {"longest_days": LONGEST_DAYS}
        )
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            start=text[:12],
            digest=_digest(text),
            scopes=chosen,
            project=project,
            expires_at=timezone.now() + timedelta(days=days),
        )
        audit.record("token.made", token, user=user, scopes=chosen, days=days)
    return token, text


def revoke_token(*, token: ApiToken) -> None:
    """End it now. Twice does no harm."""
    with transaction.atomic():
        ended = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if ended:
            audit.record("token.revoked", token)


def find_token(text: str) -> ApiToken | None:
    """The token of this text, if it lives and its person may still sign in."""
    token = (
        ApiToken.objects.select_related("user")
        .filter(digest=_digest(text), revoked_at=None, expires_at__gt=timezone.now())
        .first()
    )
    if token is None or not token.user.is_active:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def _digest(text: str) -> str:
    """The text has 256 random bits, so a quick hash is as good as a slow one."""
    return hashlib.sha256(text.encode()).hexdigest()
