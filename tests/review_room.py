"""A small run with every kind of pair that the review room has to show."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.test import Client

from refinement.method.pairs import Pair
from refinement.models import (
    Candidate,
    Dataset,
    Endpoint,
    Membership,
    Project,
    Run,
    RunSample,
    Sample,
    Score,
    Student,
    TeacherCall,
    User,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSWORD = "a long enough pass phrase"

TIPS = Pair(
    instruction="Give three tips for staying healthy.",
    response="1. Eat a balanced diet.\n2. Exercise regularly.\n3. Get enough sleep.",
)
TIPS_INSTRUCTION = Pair(
    instruction="Give three evidence-based tips for an office worker who wants to stay healthy, "
    "and say why each of them works.",
    response="1. Walk for ten minutes after lunch: it lowers blood sugar.\n2. Drink water instead "
    "of soft drinks: they add calories without making you full.\n3. Sleep seven hours or more.",
)
TIPS_RESPONSE = Pair(
    instruction=TIPS.instruction,
    response="Here are three tips:\n\n1. Eat a balanced diet with plenty of fruit, vegetables and "
    "whole grains.\n2. Exercise regularly, for 150 minutes a week, to keep your heart strong.\n"
    "3. Get enough sleep: seven to nine hours, on a consistent schedule.",
)


@dataclass
class Room:
    """A project with its people and one run; ``add`` puts pairs into it."""

    project: Project
    owner: User
    reviewer: User
    viewer: User
    run: Run
    pairs: list[RunSample] = field(default_factory=list)

    def add(
        self,
        original: Pair = TIPS,
        *,
        instruction: Pair | None = None,
        response: Pair | None = None,
        ifd: Sequence[float] = (0.62, 0.71),
        r_ifd: Sequence[float] = (0.70, 0.52),
        kept: bool | None = True,
        state: str = RunSample.State.DONE,
        error: str = "",
    ) -> RunSample:
        """A pair as the pipeline leaves it: ``ifd`` and ``r_ifd`` are before and after."""
        position = len(self.pairs)
        sample = Sample.objects.create(
            dataset=self.run.dataset,
            position=position,
            line=position + 1,
            instruction=original.instruction,
            input=original.input,
            response=original.response,
            context=[{"role": t.role, "content": t.content} for t in original.context],
            content_hash=hashlib.sha256(f"{position}".encode()).hexdigest(),
        )
        done = state == RunSample.State.DONE
        run_sample = RunSample.objects.create(
            run=self.run,
            sample=sample,
            position=position,
            stage=RunSample.Stage.DONE if done else RunSample.Stage.REFLECT_INSTRUCTION,
            state=state,
            error_reason="refusal" if error else "",
            error=error,
        )
        self.pairs.append(run_sample)
        self._score(run_sample, None, ifd[0], r_ifd[0])
        first = self._candidate(run_sample, "instruction", instruction, None)
        if first:
            self._score(run_sample, first, ifd[1], r_ifd[0])
        second = self._candidate(
            run_sample, "response", response, first if ifd[1] > ifd[0] else None
        )
        if second:
            self._score(run_sample, second, ifd[1], r_ifd[1])
        if done:
            self._judge(run_sample, first, second, ifd, r_ifd, kept)
        return run_sample

    def fill(self, count: int) -> list[RunSample]:
        """Ordinary pairs with different margins, the closest call last."""
        return [
            self.add(
                Pair(instruction=f"Question {n}: {TIPS.instruction}", response=TIPS.response),
                instruction=TIPS_INSTRUCTION,
                response=Pair(
                    instruction=TIPS_INSTRUCTION.instruction,
                    response=f"Answer {n}. {TIPS_RESPONSE.response}",
                ),
                r_ifd=(0.7, 0.7 - 0.3 / (n + 1)),
                ifd=(0.5, 0.9),
            )
            for n in range(count)
        ]

    def _candidate(
        self, run_sample: RunSample, kind: str, pair: Pair | None, parent: Candidate | None
    ) -> Candidate | None:
        if pair is None:
            return None
        steps = [f"criticise_{kind}", f"rewrite_{kind}"]
        calls = [
            TeacherCall.objects.create(
                run_sample=run_sample,
                step=step,
                request_hash=hashlib.sha256(step.encode()).hexdigest(),
                model="house-teacher",
                text=pair.response,
                finish_reason="stop",
                prompt_tokens=310,
                completion_tokens=96,
                cost="0.00042",
                latency_seconds=1.25,
            )
            for step in steps
        ]
        return Candidate.objects.create(
            run_sample=run_sample,
            kind=kind,
            parent=parent,
            instruction=pair.instruction,
            input=pair.input,
            response=pair.response,
            criticism=f"The {kind} is clear, but it asks for little knowledge and no reasoning. "
            "A more specific audience would call for a more helpful and detailed text.",
            teacher_call=calls[-1],
        )

    def _score(
        self, run_sample: RunSample, candidate: Candidate | None, ifd: float, r_ifd: float
    ) -> None:
        """Losses from which exactly these two ratios follow."""
        Score.objects.create(
            run_sample=run_sample,
            candidate=candidate,
            status="scored",
            loss_instruction=3.2,
            loss_response=2.4,
            loss_instruction_given_response=3.2 + math.log(r_ifd),
            loss_response_given_instruction=2.4 + math.log(ifd),
            ifd=ifd,
            r_ifd=r_ifd,
            instruction_tokens=9,
            response_tokens=64 if candidate else 24,
            template="vicuna",
            student_fingerprint="f" * 64,
        )

    def _judge(
        self,
        run_sample: RunSample,
        first: Candidate | None,
        second: Candidate | None,
        ifd: Sequence[float],
        r_ifd: Sequence[float],
        kept: bool | None,
    ) -> None:
        takes_first = first is not None and ifd[1] > ifd[0]
        takes_second = second is not None and r_ifd[1] < r_ifd[0]
        chosen = second if takes_second else first if takes_first else None
        Verdict.objects.create(
            run_sample=run_sample,
            policy="paper",
            instruction_winner="candidate" if takes_first else "original",
            instruction_code="higher_ifd",
            instruction_sentence=_why("instruction", "IFD", ifd, first, takes_first),
            instruction_before=ifd[0],
            instruction_after=ifd[1] if first else None,
            instruction_margin=abs(ifd[1] - ifd[0]) if first else None,
            response_winner="candidate" if takes_second else "original",
            response_code="lower_r_ifd",
            response_sentence=_why("response", "r-IFD", r_ifd, second, takes_second),
            response_before=r_ifd[0],
            response_after=r_ifd[1] if second else None,
            response_margin=abs(r_ifd[1] - r_ifd[0]) if second else None,
            chosen=chosen,
            kept=kept,
            code="kept" if kept else "response_not_accepted",
            sentence="Kept: the rewritten response was accepted and both ratios are below 1."
            if kept
            else "Not exported: the rewritten response was not accepted.",
        )


def _why(
    what: str, signal: str, values: Sequence[float], candidate: Candidate | None, took: bool
) -> str:
    if candidate is None:
        return f"kept the {what}: there was no rewrite to compare"
    did = "took" if took else "turned down"
    return f"{did} the rewritten {what}: {signal} went from {values[0]:.2f} to {values[1]:.2f}"


def make_room(name: str = "Cooking") -> Room:
    """An empty room: an owner, a reviewer, a viewer, and a run without pairs."""
    project = Project.objects.create(name=name)
    people = {}
    for role in ("owner", "reviewer", "viewer"):
        user = User.objects.create_user(f"{role}-{project.pk}", password=PASSWORD)
        Membership.objects.create(project=project, user=user, role=role)
        people[role] = user
    dataset = Dataset.objects.create(
        project=project, name="Tips", filename="tips.jsonl", status=Dataset.Status.READY
    )
    teacher, _ = Endpoint.objects.get_or_create(
        name="House teacher",
        defaults={"base_url": "http://127.0.0.1:9/v1", "model": "house-teacher"},
    )
    student, _ = Student.objects.get_or_create(
        name="House student", defaults={"path": "/models/house-student"}
    )
    run = Run.objects.create(
        project=project,
        dataset=dataset,
        teacher=teacher,
        student=student,
        name="First pass",
        config={"teacher": {"model": "house-teacher"}, "prompt_version": "1"},
    )
    return Room(project=project, run=run, **people)


def client_of(user: User) -> Client:
    """Signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
