"""What the list of projects and the page of one project show, in a constant number of queries."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from refinement.models import Dataset, Membership, Project, Run, RunSample
from refinement.selectors.access import NoAccess
from refinement.selectors.queue.counts import counts_of_runs

if TYPE_CHECKING:
    from refinement.models import User


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """One project in the list, as one member sees it."""

    project: Project
    role: str
    dataset_count: int
    sample_count: int
    run_count: int
    running_count: int
    member_count: int


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a project's list. Counts are of samples."""

    run: Run
    total: int
    done: int
    failed: int
    kept: int


def projects_of(user: "User") -> list[ProjectLine]:
    """The projects of a person, newest first."""
    roles = dict(Membership.objects.filter(user=user).values_list("project_id", "role"))
    projects = Project.objects.filter(pk__in=roles)
    members = Counter(
        Membership.objects.filter(project_id__in=roles).values_list("project_id", flat=True)
    )
    statuses = list(Run.objects.filter(project_id__in=roles).values_list("project_id", "status"))
    runs = Counter(project_id for project_id, _ in statuses)
    running = Counter(project_id for project_id, s in statuses if s == Run.Status.RUNNING)
    datasets = Dataset.objects.filter(project_id__in=roles, status=Dataset.Status.READY)
    sizes: dict[int, tuple[int, int]] = {}
    for project_id, samples in datasets.values_list("project_id", "sample_count"):
        files, pairs = sizes.get(project_id, (0, 0))
        sizes[project_id] = (files + 1, pairs + samples)
    return [
        ProjectLine(
            project=project,
            role=roles[project.pk],
            dataset_count=sizes.get(project.pk, (0, 0))[0],
            sample_count=sizes.get(project.pk, (0, 0))[1],
            run_count=runs[project.pk],
            running_count=running[project.pk],
            member_count=members[project.pk],
        )
        for project in projects
    ]


def membership_in(project: Project, membership_id: int) -> Membership:
    """Raises NoAccess if it is not of this project."""
    membership = project.memberships.select_related("user").filter(pk=membership_id).first()
    if membership is None:
        raise NoAccess(gettext("No such member."))
    return membership


def memberships_of(project: Project) -> list[Membership]:
    """Owners first, then reviewers, then viewers; each by name."""
    order = {role: place for place, role in enumerate(Membership.Role.values)}
    memberships = project.memberships.select_related("user")
    return sorted(memberships, key=lambda m: (order[m.role], m.user.username.lower()))


def run_lines(project: Project) -> list[RunLine]:
    """The runs of a project, newest first, with how far each one is."""
    runs = list(project.runs.select_related("dataset", "teacher", "student"))
    counts = counts_of_runs(run.pk for run in runs)
    return [
        RunLine(
            run=run,
            total=counts[run.pk].total,
            done=counts[run.pk].in_state(RunSample.State.DONE),
            failed=counts[run.pk].in_state(RunSample.State.FAILED),
            kept=sum(found.n for found in counts[run.pk].judged if found.kept),
        )
        for run in runs
    ]
