"""Fifty reviewers deciding at once: how many decisions a second, and whether any went wrong.

    .venv/bin/python benchmarks/deciding.py [--samples 100000] [--seconds 15] [--http]
    .venv/bin/python benchmarks/deciding.py --threads 25    a thread and a connection for each

The reviewers are served by as many processes and threads as our image's web server has; each claims
the next pair of the same queue, decides it and goes on, without a moment's thought. First they do
so by the fewest statements that write the same rows, which look at nothing: a machine can do no
more. At the end the database is compared with what the reviewers were told: no decision lost, none
doubled, no pair given to two. With ``--http`` they are browsers without a screen, who fetch pages
and post forms to gunicorn, and read each page as long as ``--think`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from large_run import add_arguments, client_for, large_run, p95, reviewer
from review_keys import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refinement.models import Run, User

_FIND = (
    "SELECT id, position FROM refinement_runsample WHERE run_id = %s AND position > %s "
    "AND decision_id IS NULL ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_LEASE = (
    "INSERT INTO refinement_reviewlease (run_id, run_sample_id, user_id, expires_at, ahead) "
    "VALUES (%s, %s, %s, now() + interval '5 min', false)"
)
_DECIDE = (
    "INSERT INTO refinement_decision (run_id, run_sample_id, user_id, action, basis, created_at) "
    "VALUES (%s, %s, %s, 'original', 'own', now()) RETURNING id"
)
_POINT = "UPDATE refinement_runsample SET decision_id = %s WHERE id = %s"
_RELEASE = "DELETE FROM refinement_reviewlease WHERE run_sample_id = %s AND user_id = %s"
_RECORD = (
    "INSERT INTO refinement_auditevent (at, kind, action, user_id, who, via, project_id, "
    "subject_type, subject_id, subject, detail) VALUES (now(), 'changed', 'pair.decided', %s, %s, "
    "'command', %s, 'runsample', %s, '', '{}')"
)

Given = tuple[int, float]  # a run sample that was decided, and how long its reviewer waited, in s
Line = SimpleQueue[tuple[float, "Iterator[int]"]]  # since when who waits


def through_services(run: Run, user: User) -> Iterator[int]:
    """The ids of the pairs that ``user`` decides, one after the other."""
    from refinement.selectors.access import run_sample_for
    from refinement.selectors.queue import QueueFilter
    from refinement.services.decisions import record_decision
    from refinement.services.review_leases import claim_next

    queue, after = QueueFilter(), None
    while True:
        pk = claim_next(run=run, user=user, queue=queue, after=after)
        assert pk is not None, "the queue is empty: take more --samples"
        after = run_sample_for(user, pk, at_least="reviewer")
        record_decision(run_sample=after, user=user, action="original", seen=0)
        yield pk


def by_bare_statements(run: Run, user: User) -> Iterator[int]:
    """The least that a claim and a decision can be: no lease, role or plan is looked at."""
    from django.db import connection, transaction

    position = -1
    while True:
        with connection.cursor() as cursor:
            with transaction.atomic():
                cursor.execute(_FIND, [run.pk, position])
                pk, position = cursor.fetchone()
                cursor.execute(_LEASE, [run.pk, pk, user.pk])
            with transaction.atomic():
                cursor.execute(_DECIDE, [run.pk, pk, user.pk])
                cursor.execute(_POINT, [cursor.fetchone()[0], pk])
                cursor.execute(_RELEASE, [pk, user.pk])
                cursor.execute(_RECORD, [user.pk, user.username, run.project_id, pk])
        yield pk


def through_http(url: str, run_id: int, cookie: str, until: float, think: float) -> list[Given]:
    """As ahead.js does it: fetch the next pair, decide with it in sight."""
    import httpx2

    given = []
    token = "t" * 32
    cookies = {"sessionid": cookie, "csrftoken": token}
    htmx = {"HX-Request": "true", "X-CSRFToken": token}
    with httpx2.Client(base_url=url, cookies=cookies, headers=htmx, timeout=60) as http:
        at = http.get(f"/runs/{run_id}/review").headers["Location"]
        while time.time() < until:
            html = http.get(f"{at}/next").text
            ahead = html.partition('data-pair="')[2].partition('"')[0]
            time.sleep(think)
            began = time.perf_counter()
            said = {"action": "original", "seen": "0"}
            answer = http.post(f"{at}/decide", data=said, headers={"SRT-Ahead": ahead})
            assert answer.status_code in (200, 302), answer.text[:300]
            given.append((int(at.rsplit("/", 1)[1]), time.perf_counter() - began))
            at = answer.headers.get("HX-Push-Url") or answer.headers["Location"]
    return given


# -- What runs in processes of its own ------------------------------------------------------------
def work(options: argparse.Namespace) -> None:
    """The reviewers of one process; prints what they decided."""
    import django

    django.setup()
    from django.db import connection

    from refinement.models import Run, User

    run = Run.objects.select_related("project").get(pk=options.run)
    users = list(User.objects.filter(username__in=options.names))
    cookies = [client_for(user).cookies["sessionid"].value for user in users if options.url]
    print("ready", flush=True)
    until = float(sys.stdin.readline())
    if options.url:
        browse = partial(through_http, options.url, run.pk, until=until, think=options.think)
        given = _all_at_once([partial(browse, cookie) for cookie in cookies])
    else:
        ask = by_bare_statements if options.bare else through_services
        line: Line = SimpleQueue()
        for user in users:
            line.put((time.perf_counter(), ask(run, user)))
        threads = min(options.threads, len(users))
        given = _all_at_once([partial(serve, line, until) for _ in range(threads)])
    connection.close()
    print(json.dumps(given))


def serve(line: Line, until: float) -> list[Given]:
    """What a thread of the server does: one claim and decision of whoever has waited longest."""
    from django.db import connection

    given = []
    try:
        while time.time() < until:
            asked, reviewer = line.get()
            pk = next(reviewer)
            now = time.perf_counter()
            given.append((pk, now - asked))
            line.put((now, reviewer))
    finally:
        connection.close()
    return given


def _all_at_once(works: list[Callable[[], list[Given]]]) -> list[Given]:
    with ThreadPoolExecutor(max_workers=len(works)) as threads:
        futures = [threads.submit(one) for one in works]
    return [given for future in futures for given in future.result()]


# -- The run --------------------------------------------------------------------------------------
def measure(
    run: Run, options: argparse.Namespace, *, url: str = "", bare: bool = False
) -> list[Given]:
    users = [reviewer(run.project, f"bench-{number}") for number in range(options.reviewers)]
    common = ["--run", str(run.pk), "--think", str(options.think), "--url", url]
    common += ["--threads", str(options.threads)]
    common += ["--bare"] if bare else []
    processes = []
    for part in range(options.processes):
        names = [user.username for user in users[part :: options.processes]]
        command = [sys.executable, __file__, "--work", *common, "--names", *names]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    until = time.time() + options.seconds
    given: list[Given] = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{until}\n")
        process.stdin.flush()
    for process in processes:
        answer, _ = process.communicate()
        assert process.returncode == 0, "a reviewer met an error"
        given += [(pk, seconds) for pk, seconds in json.loads(answer)]
    return given


def check(run: Run, given: list[Given], before: int) -> None:
    from refinement.models import Decision

    decided = Counter(
        Decision.objects.filter(run_sample__run=run, pk__gt=before).values_list(
            "run_sample_id", flat=True
        )
    )
    told = Counter(pk for pk, _ in given)
    lost = sum((told - decided).values())
    doubled = sum(times - 1 for times in decided.values())
    twice = sum(times - 1 for times in told.values())
    print(f"lost {lost}, doubled {doubled}, given to two {twice}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, database="postgresql")
    parser.add_argument("--reviewers", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4, help="of a process, without --http")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--http", action="store_true", help="through pages and forms")
    parser.add_argument("--think", type=float, default=0.0, help="seconds for a page, with --http")
    for name in ("--run", "--url"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--names", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with large_run(options) as run:
        from refinement.models import Decision

        plain = tell("bare statements", measure(run, options, bare=True), options)
        last = Decision.objects.order_by("-pk").first()
        if options.http:
            with served() as url:
                given = measure(run, options, url=url)
        else:
            given = measure(run, options)
        rate = tell("ours", given, options)
        print(f"ours / bare statements: {rate / plain:.2f}")
        check(run, given, last.pk if last else 0)


def tell(name: str, given: list[Given], options: argparse.Namespace) -> float:
    waits = [1000 * seconds for _, seconds in given]
    rate: float = len(given) / options.seconds
    print(f"{options.reviewers} reviewers, {name}: {rate:.0f} decisions/s, p95 {p95(waits):.0f} ms")
    return rate


if __name__ == "__main__":
    main()
