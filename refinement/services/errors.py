"""What a service refuses to do."""


class ServiceError(Exception):
    """``str(error)`` is one sentence for the user: what is wrong and what to do."""
