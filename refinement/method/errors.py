"""What can go wrong in the method: the class says if trying again helps, the text what to do."""


class MethodError(Exception):
    """Base of all. ``str(error)`` is one sentence fit for a user."""


class TransientTeacherError(MethodError):
    """The teacher may answer later: unreachable, overloaded, timed out, rate limited.

    ``retry_after`` is how many seconds the server asked for, where it said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TeacherTimeoutError(TransientTeacherError):
    """No answer in time. The server may still be working on it, and may charge for it."""


class PermanentTeacherError(MethodError):
    """Asking again cannot help: wrong key, unknown model, refused request."""


class SchemaRefusedError(PermanentTeacherError):
    """The server knows no ``response_format``; the same question without one may be answered."""


class ReplyError(MethodError):
    """The teacher answered, but not with something we may use.

    ``reason`` is one of ``empty``, ``truncated``, ``refusal``, ``unparsable``, ``filtered``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PolicyError(MethodError):
    """A policy that makes no sense.

    ``template`` and ``values`` are the sentence before it is filled, for who translates it.
    ``field`` is the setting of ``PolicySpec`` that it is about, empty for several at once.
    """

    def __init__(self, template: str, *, field: str = "", **values: object) -> None:
        super().__init__(template % values)
        self.template = template
        self.field = field
        self.values = values


class StudentError(MethodError):
    """The student cannot be loaded or run as configured."""
