"""What keeps the embedded services from starting."""


class EmbeddedError(Exception):
    """``str(error)`` is one sentence that says what is wrong and what to do."""
