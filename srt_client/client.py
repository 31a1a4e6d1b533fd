"""The API as methods. What the server answers is plain JSON, as its OpenAPI description has it."""

from __future__ import annotations

from srt_client.acts import Acts
from srt_client.datasets import Datasets
from srt_client.exports import Exports
from srt_client.people import People
from srt_client.policies import Policies
from srt_client.projects import Projects
from srt_client.review import Review
from srt_client.runs import Runs
from srt_client.trials import Trials
from srt_client.wire import Problem

__all__ = ["Client", "Problem"]


class Client(Projects, Datasets, Trials, Runs, Review, People, Acts, Policies, Exports):
    """Acts for the person whose token it has. One request at a time; make one a thread."""
