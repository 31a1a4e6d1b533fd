"""A client for srt-web's API. Needs nothing but Python; ``docs/api.md`` shows it in use."""

from srt_client.client import Client, Problem

__all__ = ["Client", "Problem"]
