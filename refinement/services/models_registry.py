"""Teachers and students that runs may use, registered by an admin or found in the house."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext

from refinement.method import student_files
from refinement.method.errors import StudentError
from refinement.method.specs import StudentSpec, TeacherSpec
from refinement.models import Endpoint, Student
from refinement.services import audit
from refinement.services.errors import ServiceError
from refinement.services.teacher_addresses import refuse_private

if TYPE_CHECKING:
    from decimal import Decimal

VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,119}")
AZURE_VERSION = "api-version"  # the one parameter that an address may have
OUR_SECRETS = {"SRT_SECRET_KEY", "DATABASE_URL", "SRT_BROKER_URL"}


# -- The embedded ones ----------------------------------------------------------------------------
def embedded_teacher() -> Endpoint:
    """The small teacher that comes with the product, as the settings have it now."""
    endpoint, _ = Endpoint.objects.update_or_create(
        embedded=True,
        defaults={
            "base_url": settings.EMBEDDED_TEACHER_URL,
            "model": str(settings.EMBEDDED_MODEL_DIR),
        },
        create_defaults={
            "name": "SmolLM2-135M (embedded)",
            "base_url": settings.EMBEDDED_TEACHER_URL,
            "model": str(settings.EMBEDDED_MODEL_DIR),
            "protocol": Endpoint.Protocol.STAGED,
            "max_concurrency": 8,  # more would only make every pair wait for the others
            "max_tokens": 320,  # a model this small that is not done by then runs in a loop
            "temperature": 0.6,
            "timeout_seconds": 300.0,
        },
    )
    return endpoint


def given_teacher() -> Endpoint:
    """Whoever wrote the rewrites that came with the data. It has no address: nobody is asked."""
    endpoint, _ = Endpoint.objects.get_or_create(
        base_url="", defaults={"name": "Rewrites that came with the data", "model": "unknown"}
    )
    return endpoint


def embedded_student() -> Student:
    """The small student that comes with the product: the same model as the embedded teacher."""
    student, _ = Student.objects.update_or_create(
        embedded=True,
        defaults={"path": str(settings.EMBEDDED_MODEL_DIR)},
        create_defaults={
            "name": "SmolLM2-135M (embedded)",
            "path": str(settings.EMBEDDED_MODEL_DIR),
        },
    )
    return student


# -- Registering ----------------------------------------------------------------------------------
def create_endpoint(
    *,
    name: str,
    base_url: str,
    model: str,
    api_key_variable: str = "",
    protocol: str = Endpoint.Protocol.TAGGED,
    max_concurrency: int = 16,
    max_tokens: int = 2048,
    temperature: float = 0.7,
    timeout_seconds: float = 120.0,
    price_prompt: Decimal | float = 0,
    price_completion: Decimal | float = 0,
) -> Endpoint:
    """Register a teacher. Raises ServiceError, with a sentence, for anything it cannot be."""
    endpoint = Endpoint(
        name=name.strip(),
        base_url=_checked_url(base_url),
        model=model.strip(),
        api_key_variable=_checked_variable(api_key_variable),
        protocol=protocol,
        max_concurrency=max_concurrency,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout_seconds=timeout_seconds,
        price_prompt=price_prompt,
        price_completion=price_completion,
    )
    _check_limits(endpoint)
    # Django's URL check refuses names without a dot, such as that of a neighbouring container.
    _validate(endpoint, exclude={"base_url"})
    with transaction.atomic():
        endpoint.save()
        audit.record("endpoint.registered", endpoint, address=endpoint.base_url)
    return endpoint


def create_student(
    *,
    name: str,
    path: str,
    revision: str = "",
    template: str = Student.Template.VICUNA,
    dtype: str = Student.Dtype.AUTO,
    max_length: int = 2048,
) -> Student:
    """Register a student. Raises ServiceError where no student can be loaded from ``path``."""
    student = Student(
        name=name.strip(),
        path=path.strip(),
        revision=revision.strip(),
        template=template,
        dtype=dtype,
        max_length=max_length,
    )
    if max_length < 16:
        raise ServiceError(gettext("A student needs a max length of 16 tokens or more."))
    _validate(student)
    try:
        student_files.check_student_path(student.path, student.revision)
        _check_template(student, student.template)
    except StudentError as error:
        raise ServiceError(str(error)) from error
    with transaction.atomic():
        student.save()
        audit.record("student.registered", student, path=student.path)
    return student


# -- What a run freezes ---------------------------------------------------------------------------
def teacher_spec(endpoint: Endpoint, *, protocol: str = "") -> TeacherSpec:
    """The endpoint as a plain value; ``protocol`` replaces its own. Raises ServiceError."""
    if protocol and protocol not in Endpoint.Protocol.values:
        known = ", ".join(Endpoint.Protocol.values)
        raise ServiceError(
            gettext("“%(protocol)s” is no protocol: choose one of %(known)s.")
            % {"protocol": protocol, "known": known}
        )
    return TeacherSpec(
        base_url=endpoint.base_url,
        model=endpoint.model,
        api_key_variable=endpoint.api_key_variable,
        protocol=protocol or endpoint.protocol,
        max_concurrency=endpoint.max_concurrency,
        max_tokens=endpoint.max_tokens,
        temperature=endpoint.temperature,
        timeout_seconds=endpoint.timeout_seconds,
        price_prompt=float(endpoint.price_prompt),
        price_completion=float(endpoint.price_completion),
    )


def student_spec(student: Student, *, template: str = "") -> StudentSpec:
    """The student as a plain value; ``template`` replaces its own. Raises ServiceError."""
    if template and template not in Student.Template.values:
        known = ", ".join(Student.Template.values)
        raise ServiceError(
            gettext("“%(template)s” is no template: choose one of %(known)s.")
            % {"template": template, "known": known}
        )
    if template and template != student.template:
        try:
            _check_template(student, template)
        except StudentError as error:
            raise ServiceError(str(error)) from error
    return StudentSpec(
        path=student.path,
        revision=student.revision,
        template=template or student.template,
        dtype=student.dtype,
        max_length=student.max_length,
    )


def missing_key(endpoint: Endpoint) -> str:
    """A warning where the endpoint's key is not set in this process; else an empty string.

    No more than a warning: the key is needed by the teacher's workers, which may be elsewhere.
    """
    variable = endpoint.api_key_variable
    if not variable or os.environ.get(variable):
        return ""
    return gettext(
        "The environment variable %(variable)s, which holds this teacher's key, is not set "
        "here: make sure that the teacher workers have it."
    ) % {"variable": variable}


# -- Checks ---------------------------------------------------------------------------------------
def _checked_url(base_url: str) -> str:
    base_url = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, an unfinished IPv6 address
        valid = False
    if not valid or any(character.isspace() for character in base_url):
        raise ServiceError(
            gettext("Give the teacher's address as a URL, for example http://localhost:8000/v1.")
        )
    version_alone = {name for name, _ in parse_qsl(parts.query)} <= {AZURE_VERSION}
    if parts.username or parts.password or parts.fragment or not version_alone:
        raise ServiceError(
            gettext(
                "Give the URL without user, password or parameters (but Azure's "
                "api-version): a key "
                "goes into an environment variable, which you name here."
            )
        )
    if parts.path.endswith("/chat/completions"):
        raise ServiceError(
            gettext("Give the URL without /chat/completions at its end: we add that.")
        )
    if len(base_url) > 500:
        raise ServiceError(gettext("A teacher's URL may have 500 characters at most."))
    refuse_private(base_url)
    return base_url


def _checked_variable(name: str) -> str:
    name = name.strip()
    if name and not VARIABLE_NAME.fullmatch(name):
        # Not repeated in the message: it may be the key itself.
        raise ServiceError(
            gettext(
                "Give the name of the environment variable that holds the key, such as "
                "TEACHER_API_KEY, and never the key itself."
            )
        )
    if name in OUR_SECRETS:
        raise ServiceError(
            gettext("%(name)s is a secret of this service, not the key of a teacher.")
            % {"name": name}
        )
    return name


def _check_template(student: Student, template: str) -> None:
    if template == Student.Template.CHAT:
        student_files.check_chat_template(student.path, student.revision)


def _check_limits(endpoint: Endpoint) -> None:
    if not 1 <= endpoint.max_concurrency <= 1000:
        raise ServiceError(gettext("A teacher's concurrency must be from 1 to 1000 requests."))
    if endpoint.max_tokens < 16:
        raise ServiceError(gettext("A reply needs at least 16 tokens: raise the limit."))
    if not 0 <= endpoint.temperature <= 2:
        raise ServiceError(gettext("The temperature must be from 0 to 2."))
    if not 1 <= endpoint.timeout_seconds <= 3600:
        raise ServiceError(gettext("The timeout must be from 1 to 3600 seconds."))
    if endpoint.price_prompt < 0 or endpoint.price_completion < 0:
        raise ServiceError(gettext("A price cannot be below zero."))


def _validate(record: Any, *, exclude: set[str] | None = None) -> None:
    """The model's own rules, of which the first that is broken becomes one sentence."""
    try:
        record.full_clean(exclude=exclude)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        name = "" if field == "__all__" else f"{field.replace('_', ' ').capitalize()}: "
        raise ServiceError(f"{name}{messages[0]}") from error
