"""Teachers and students: registered by staff, used by every project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods

from refinement.selectors import models_registry as selectors
from refinement.services import models_registry as services
from refinement.services.errors import ServiceError
from refinement.web.forms import EndpointForm, StudentForm, add_service_error
from refinement.web.http import Request, staff_only

if TYPE_CHECKING:
    from django.http import HttpResponse


@staff_only
@require_GET
def endpoints(request: Request) -> HttpResponse:
    services.embedded_teacher()
    return render(request, "models/endpoints.html", {"lines": selectors.endpoint_lines()})


@staff_only
@require_http_methods(["GET", "POST"])
def endpoint_new(request: Request) -> HttpResponse:
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint = services.create_endpoint(**form.cleaned_data)
        except ServiceError as error:
            add_service_error(form, error, _field_of(error, form))
        else:
            messages.success(
                request,
                gettext("“%(endpoint)s” can now be chosen for runs.") % {"endpoint": endpoint},
            )
            if warning := services.missing_key(endpoint):
                messages.warning(request, warning)
            return redirect("endpoints")
    status = 422 if form.errors else 200
    return render(request, "models/endpoint_new.html", {"form": form}, status=status)


@staff_only
@require_GET
def students(request: Request) -> HttpResponse:
    services.embedded_student()
    return render(request, "models/students.html", {"lines": selectors.student_lines()})


@staff_only
@require_http_methods(["GET", "POST"])
def student_new(request: Request) -> HttpResponse:
    form = StudentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            student = services.create_student(**form.cleaned_data)
        except ServiceError as error:
            add_service_error(form, error, _field_of(error, form))
        else:
            messages.success(
                request, gettext("“%(student)s” can now be chosen for runs.") % {"student": student}
            )
            return redirect("students")
    status = 422 if form.errors else 200
    return render(request, "models/student_new.html", {"form": form}, status=status)


def _field_of(error: ServiceError, form: EndpointForm | StudentForm) -> str | None:
    """The field that a refusal is about, where its sentence begins with the field's own name."""
    start = str(error).partition(":")[0].lower().replace(" ", "_")
    if start in form.fields:
        return start
    words = str(error).lower()
    for name, word in (
        ("base_url", "url"),
        ("api_key_variable", "variable"),
        ("api_key_variable", "secret"),
        ("path", "student"),
    ):
        if word in words and name in form.fields:
            return name
    return None


urlpatterns = [
    path("teachers", endpoints, name="endpoints"),
    path("teachers/new", endpoint_new, name="endpoint-new"),
    path("students", students, name="students"),
    path("students/new", student_new, name="student-new"),
]
