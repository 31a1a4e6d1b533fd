"""Whose account a sign-in at the OpenID Connect provider opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from refinement.models import User as UserModel
from refinement.services import audit
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from refinement.models import User
    from srt_web.oidc import Oidc

NAME_LENGTH = 150  # of a user name


class SignInRefusedError(ServiceError):
    """``reason`` is the word that the audit log keeps."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """What the provider vouches for. ``email`` is empty unless it says that it verified it."""

    subject: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""


def person_of(identity: Identity, *, oidc: Oidc) -> User:
    """The account that the identity opens: the one that it opened before, the one with its verified
    e-mail address, or (with ``oidc.sign_up``) a new one, which belongs to no project.

    Raises:
        SignInRefusedError: there is none, or it may not come in.
    """
    _check_domain(identity, oidc)
    try:
        return _account_of(identity, oidc)
    except IntegrityError:  # the same person's first sign-in, in another window at the same moment
        return _account_of(identity, oidc)


@transaction.atomic
def _account_of(identity: Identity, oidc: Oidc) -> User:
    known = SocialAccount.objects.filter(provider=oidc.issuer, uid=identity.subject).first()
    user = known.user if known else _by_email(identity, oidc)
    if user is None:
        user = _sign_up(identity, oidc)
    if not user.is_active:
        raise SignInRefusedError(
            gettext("Your account here is shut. Ask whoever runs this server."), "shut"
        )
    if known is None:
        SocialAccount.objects.create(user=user, provider=oidc.issuer, uid=identity.subject)
        audit.record("account.connected", user, user=user)
    return user


def refused(identity: Identity | None, reason: str) -> None:
    """A refusal for the audit log, with the address only where it is that of an account."""
    email = identity.email if identity else ""
    known = bool(email) and UserModel.objects.filter(email__iexact=email).exists()
    audit.record("session.not_let_in", name=email if known else "(nobody's)", reason=reason)


def _check_domain(identity: Identity, oidc: Oidc) -> None:
    if not oidc.domains:
        return
    if identity.email.rpartition("@")[2].lower() not in oidc.domains:
        raise SignInRefusedError(
            gettext(
                "Only verified e-mail addresses at %(domains)s may sign in here. "
                "Choose another account at %(provider)s."
            )
            % {"domains": ", ".join(oidc.domains), "provider": oidc.name},
            "domain",
        )


def _by_email(identity: Identity, oidc: Oidc) -> User | None:
    """An address is set by whoever makes accounts, never by its owner, so it may be trusted."""
    if not identity.email:
        raise SignInRefusedError(
            gettext(
                "%(provider)s has not verified your e-mail address, so your account here "
                "cannot be found by it."
            )
            % {"provider": oidc.name},
            "unverified",
        )
    found = list(UserModel.objects.filter(email__iexact=identity.email)[:2])
    if len(found) > 1:
        raise SignInRefusedError(
            gettext(
                "Several accounts here have your e-mail address. Ask whoever runs this server."
            ),
            "ambiguous",
        )
    return found[0] if found else None


def _sign_up(identity: Identity, oidc: Oidc) -> User:
    """The verified address becomes the name: nobody can choose that of somebody else."""
    name = identity.email.lower()
    taken = len(name) > NAME_LENGTH or UserModel.objects.filter(username__iexact=name).exists()
    if taken and (meanwhile := _by_email(identity, oidc)):
        return meanwhile  # signed up in another window since we looked
    if not oidc.sign_up or taken:
        raise SignInRefusedError(
            gettext(
                "There is no account for your e-mail address here. "
                "Ask whoever runs this server for one."
            ),
            "unknown",
        )
    user = UserModel.objects.create_user(
        name,
        email=identity.email,
        first_name=identity.first_name[:NAME_LENGTH],
        last_name=identity.last_name[:NAME_LENGTH],
    )
    audit.record("account.signed_up", user, user=user)
    return user
