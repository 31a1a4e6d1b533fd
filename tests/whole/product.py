"""The whole product as it runs in production: web, workers, broker and teacher, all processes."""

from __future__ import annotations

import sys

from refinement.embedded.ports import wait_for_port
from tests.environment import free_port
from tests.pipeline.processes import Cluster

KEY_VARIABLE = "HOUSE_TEACHER_KEY"  # in the environment of its processes
KEY = "sk-canary-5f1d0c9ab2e84763"


class Product(Cluster):
    """A cluster with its web process."""

    def start(self) -> None:
        """Everything but the teacher."""
        self.start_broker()
        for queue in ("teacher", "student", "default"):
            self.start_worker(queue)
        self.start_beat()
        self.start_web()

    def start_web(self) -> None:
        self.web_port = free_port()
        where = f"127.0.0.1:{self.web_port}"
        options = ["--bind", where, "--threads", "4", "--access-logfile", "-"]
        self._start("web", [sys.executable, "-m", "gunicorn", "srt_web.wsgi", *options])
        wait_for_port(self.web_port, process=self.running["web"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"
