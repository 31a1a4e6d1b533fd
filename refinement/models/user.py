from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac


class User(AbstractUser):
    """A person who logs in. ``is_staff`` marks an admin, who may register models.

    ``sign_ins_ended`` counts how often all sign-ins of the person were ended. It is part of what a
    session is checked against, so raising it ends every session, wherever it is stored.
    """

    sign_ins_ended = models.PositiveIntegerField(default=0)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        return salted_hmac(
            "refinement.models.User.get_session_auth_hash",
            f"{self.password}:{self.sign_ins_ended}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()
