"""The sign-ins of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import F

from refinement.models import User as UserModel
from refinement.services import audit

if TYPE_CHECKING:
    from refinement.models import User


def end_sign_ins(*, user: User) -> None:
    """Every session of this person is worth nothing from now on, in every browser."""
    audit.record("account.signed_out_everywhere", user)
    UserModel.objects.filter(pk=user.pk).update(sign_ins_ended=F("sign_ins_ended") + 1)
    user.refresh_from_db(fields=["sign_ins_ended"])


# -- What Django says of signing in and out -------------------------------------------------------
def _signed_in(user: User, **_: object) -> None:
    audit.record("session.begun", user=user)


def _signed_out(user: User | None, **_: object) -> None:
    if user is not None:
        audit.record("session.ended", user=user)


def _refused(credentials: dict[str, object], **_: object) -> None:
    """The name is kept where it is somebody's: what is typed there by mistake may be a password."""
    name = str(credentials.get("username", ""))[:150]
    known = UserModel.objects.filter(username=name).exists()
    audit.record("session.refused", name=name if known else "(nobody's)")


def listen() -> None:
    """Called once, when the application is ready."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit")
    user_logged_out.connect(_signed_out, dispatch_uid="audit")
    user_login_failed.connect(_refused, dispatch_uid="audit")
