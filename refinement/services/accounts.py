"""The sign-ins of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from refinement.models import User as UserModel

if TYPE_CHECKING:
    from refinement.models import User


def end_sign_ins(*, user: User) -> None:
    """Every session of this person is worth nothing from now on, in every browser."""
    UserModel.objects.filter(pk=user.pk).update(sign_ins_ended=F("sign_ins_ended") + 1)
    user.refresh_from_db(fields=["sign_ins_ended"])
