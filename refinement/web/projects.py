"""The list of projects, one project, and its people."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from refinement.models import Dataset, Membership
from refinement.selectors import access
from refinement.selectors import projects as selectors
from refinement.services import projects as services
from refinement.services.errors import ServiceError
from refinement.web.forms import MemberForm, ProjectForm, RoleForm, add_service_error
from refinement.web.http import Request


@require_GET
def home(request: Request) -> HttpResponse:
    return render(request, "projects/list.html", {"lines": selectors.projects_of(request.user)})


@require_http_methods(["GET", "POST"])
def new(request: Request) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = services.create_project(name=form.cleaned_data["name"], owner=request.user)
        except ServiceError as error:
            add_service_error(form, error, "name")
        else:
            return redirect("project", project.pk)
    status = 422 if form.errors else 200
    return render(request, "projects/new.html", {"form": form}, status=status)


@require_GET
def show(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id)
    datasets = list(project.datasets.all())
    context = {
        "project": project,
        "role": access.role_of(request.user, project),
        "datasets": datasets,
        "can_run": any(dataset.status == Dataset.Status.READY for dataset in datasets),
        "runs": selectors.run_lines(project),
        "memberships": selectors.memberships_of(project),
    }
    return render(request, "projects/page.html", context)


@require_http_methods(["GET", "POST"])
def rename(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    form = ProjectForm(request.POST or None, initial={"name": project.name})
    if request.method == "POST" and form.is_valid():
        try:
            services.rename_project(project=project, name=form.cleaned_data["name"])
        except ServiceError as error:
            add_service_error(form, error, "name")
        else:
            return redirect("project", project.pk)
    context = {"form": form, "project": project}
    return render(request, "projects/rename.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def members(request: Request, project_id: int) -> HttpResponse:
    """Everybody in the project sees its people; owners also add them."""
    if request.method == "POST":
        return _add_member(request, project_id)
    return _members_page(request, project_id, MemberForm())


def _add_member(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    form = MemberForm(request.POST)
    if form.is_valid():
        user, role = form.cleaned_data["username"], form.cleaned_data["role"]
        try:
            services.add_member(project=project, user=user, role=role)
        except ServiceError as error:
            add_service_error(form, error, "username")
        else:
            messages.success(
                request,
                gettext("%(user)s is now %(role)s of this project.") % {"user": user, "role": role},
            )
            return redirect("project-members", project.pk)
    return _members_page(request, project_id, form, status=422)


def _members_page(
    request: Request, project_id: int, form: MemberForm, status: int = 200
) -> HttpResponse:
    project = access.project_for(request.user, project_id)
    context = {
        "project": project,
        "role": access.role_of(request.user, project),
        "memberships": selectors.memberships_of(project),
        "roles": Membership.Role.choices,
        "form": form,
    }
    return render(request, "projects/members.html", context, status=status)


@require_POST
def change_role(request: Request, project_id: int, membership_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    membership = selectors.membership_in(project, membership_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, gettext("Choose one of the roles: owner, reviewer or viewer."))
        return redirect("project-members", project.pk)
    try:
        services.change_role(membership=membership, role=form.cleaned_data["role"])
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request,
            gettext("%(user)s is now %(role)s.")
            % {"user": membership.user, "role": form.cleaned_data["role"]},
        )
    return redirect("project-members", project.pk)


@require_POST
def remove_member(request: Request, project_id: int, membership_id: int) -> HttpResponse:
    """An owner removes anybody; everybody may remove themselves."""
    project = access.project_for(request.user, project_id)
    membership = selectors.membership_in(project, membership_id)
    leaving = membership.user_id == request.user.pk
    if not leaving:
        access.project_for(request.user, project_id, at_least="owner")
    try:
        services.remove_member(membership=membership)
    except ServiceError as error:
        messages.error(request, str(error))
        return redirect("project-members", project.pk)
    if leaving:
        messages.success(request, gettext("You have left “%(name)s”.") % {"name": project.name})
        return redirect("home")
    messages.success(
        request, gettext("%(user)s is no longer a member.") % {"user": membership.user}
    )
    return redirect("project-members", project.pk)


urlpatterns = [
    path("", home, name="home"),
    path("projects/new", new, name="project-new"),
    path("projects/<int:project_id>", show, name="project"),
    path("projects/<int:project_id>/rename", rename, name="project-rename"),
    path("projects/<int:project_id>/members", members, name="project-members"),
    path(
        "projects/<int:project_id>/members/<int:membership_id>/role",
        change_role,
        name="member-role",
    ),
    path(
        "projects/<int:project_id>/members/<int:membership_id>/remove",
        remove_member,
        name="member-remove",
    ),
]
