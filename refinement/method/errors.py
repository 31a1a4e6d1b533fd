"""What can go wrong in the method: the class says if trying again helps, the text what to do."""


class MethodError(Exception):
    """Base of all. ``str(error)`` is one sentence fit for a user."""


class TransientTeacherError(MethodError):
    """The teacher may answer later: unreachable, overloaded, timed out, rate limited."""


class PermanentTeacherError(MethodError):
    """Asking again cannot help: wrong key, unknown model, refused request."""


class ReplyError(MethodError):
    """The teacher answered, but not with something we may use.

    ``reason`` is one of ``empty``, ``truncated``, ``refusal``, ``unparsable``, ``filtered``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StudentError(MethodError):
    """The student cannot be loaded or run as configured."""
