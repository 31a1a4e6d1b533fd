from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person who logs in. ``is_staff`` marks an admin, who may register models."""
