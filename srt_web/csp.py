"""What a page may load and send: from this server alone, and nothing inline.

So a text of a dataset that reached a page as markup by some mistake of ours would still run nothing
and send nothing. ``tests/browser`` fails on every violation.
"""

from typing import Any


def content_security_policy(*, form_targets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The setting of django-csp. ``form_targets``: origins that a form may lead to, beside ours."""
    own = ["'self'"]
    return {
        "DIRECTIVES": {
            "default-src": ["'none'"],
            "script-src": own,
            "style-src": own,
            "img-src": own,
            "font-src": own,
            "connect-src": own,
            "manifest-src": own,
            "form-action": [*own, *form_targets],
            "frame-ancestors": ["'none'"],
            "base-uri": ["'none'"],
        }
    }
