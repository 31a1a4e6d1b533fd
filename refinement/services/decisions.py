"""What people say of a pair: append-only rows, one of which counts.

Every action writes a new ``Decision``; ``RunSample.decision`` points at the one that counts now and
is moved under the row's lock, so two reviewers can never both believe that theirs stands. A
decision needs no finished pair: a person may keep the original, drop or edit a pair that the
teacher has not reached yet, or that failed. Only a verdict cannot be accepted before there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from refinement.models import Candidate, Comment, Decision, RunSample, User, Verdict
from refinement.services import audit, one_row, policies
from refinement.services.decision_rows import lock, point
from refinement.services.errors import ServiceError
from refinement.services.review_leases import release

if TYPE_CHECKING:
    from refinement.method.pairs import Pair

EDIT_LIMIT_CHARACTERS = 1_000_000
COMMENT_LIMIT_CHARACTERS = 5_000

_DID = {
    Decision.Action.ACCEPT: gettext_noop("accepted the verdict"),
    Decision.Action.ORIGINAL: gettext_noop("kept the original"),
    Decision.Action.CANDIDATE: gettext_noop("took a candidate"),
    Decision.Action.EDIT: gettext_noop("edited the pair"),
    Decision.Action.DROP: gettext_noop("dropped the pair"),
    Decision.Action.UNDO: gettext_noop("undid a decision"),
}


class DecisionConflict(ServiceError):  # noqa: N818 - an event among people, no fault
    """Somebody decided since the reviewer's page was drawn; nothing was written.

    ``latest`` is the row that came in between, ``current`` the decision that counts now (after an
    undo these differ; ``None``: the verdict counts again).
    """

    def __init__(self, *, latest: Decision, current: Decision | None, reader: User) -> None:
        mine = latest.user_id == reader.pk
        at = timezone.localtime(latest.created_at)
        super().__init__(
            gettext(
                "%(who)s %(did)s at %(time)s on %(day)s, after this page was opened; your decision "
                "was not saved. Look at both, then decide again."
            )
            % {
                "who": gettext("You") if mine else latest.user.get_username(),
                "did": gettext(_DID[Decision.Action(latest.action)]),
                "time": date_format(at, "H:i"),
                "day": date_format(at, gettext("j F")),
            }
        )
        self.latest = latest
        self.current = current


def record_decision(
    *,
    run_sample: RunSample,
    user: User,
    action: str,
    candidate: Candidate | None = None,
    edit: Pair | None = None,
    seen: int | None = None,
    basis: str = Decision.Basis.OWN,
) -> Decision:
    """Write what ``user`` says of a pair and let it count from now on.

    ``candidate`` is what ``candidate`` takes, and what ``edit`` started from (``None``: the
    original). ``seen`` is the id of the decision that the reviewer's page showed (0: none); pass
    ``None`` only where nobody looked. The same person repeating the same action on the same page
    (a double click) gets the first decision back.

    Raises ``DecisionConflict`` when a decision came in between, ``ServiceError`` when the action
    does not fit the pair.
    """
    check_action(action)
    with transaction.atomic():
        locked = lock(run_sample)
        if locked.decision and _repeats(locked.decision, user, action, candidate, edit, seen):
            return locked.decision
        _refuse_stale(locked, user, seen)
        decision = Decision(
            run_sample=locked,
            run_id=locked.run_id,
            user=user,
            action=action,
            candidate=target(locked, user, action, candidate, edit),
            previous=locked.decision,
            basis=basis,
        )
        one_row.insert(decision)
        point(locked, decision)
        release(run_sample=locked, user=user)
        audit.record("pair.decided", run_sample, user=user, action=action)
    return decision


def undo_decision(*, run_sample: RunSample, user: User, seen: int | None = None) -> Decision:
    """Take back the decision that counts; the one before it, or else the verdict, counts again.

    Returns the new row. ``seen`` as for ``record_decision``: the decision meant to be undone.
    """
    with transaction.atomic():
        locked = lock(run_sample)
        _refuse_stale(locked, user, seen)
        undone = locked.decision
        if undone is None:
            raise ServiceError(
                gettext("There is nothing to undo: no decision counts for this pair.")
            )
        decision = Decision.objects.create(
            run_sample=locked,
            run_id=locked.run_id,
            user=user,
            action=Decision.Action.UNDO,
            previous=undone,
            undoes=undone,
        )
        point(locked, undone.previous)
        audit.record("pair.undone", run_sample, user=user)
        if undone.action == Decision.Action.ACCEPT:
            policies.derive_after_undo(run_sample=locked)
    return decision


def add_comment(*, run_sample: RunSample, user: User, text: str) -> Comment:
    """Add a remark, which changes nothing that is exported."""
    text = text.strip()
    if not text:
        raise ServiceError(gettext("Write something before you save the comment."))
    if len(text) > COMMENT_LIMIT_CHARACTERS:
        raise ServiceError(
            gettext(
                "The comment has %(text)s characters; shorten it to "
                "%(comment_limit_characters)s at most."
            )
            % {
                "text": f"{len(text):,}",
                "comment_limit_characters": f"{COMMENT_LIMIT_CHARACTERS:,}",
            }
        )
    _refuse_unstorable(text, "comment")
    with transaction.atomic():
        comment = Comment.objects.create(run_sample=run_sample, user=user, text=text)
        audit.record("pair.commented", run_sample, user=user)
    return comment


def check_action(action: str) -> None:
    """Raises ServiceError for what is no action, or none that a person may send."""
    if action not in Decision.Action.values or action == Decision.Action.UNDO:
        raise ServiceError(gettext("Choose accept, original, candidate, edit or drop."))


def _repeats(
    current: Decision,
    user: User,
    action: str,
    candidate: Candidate | None,
    edit: Pair | None,
    seen: int | None,
) -> bool:
    """Whether the decision that counts is this very request, sent before."""
    if seen is None or seen != (current.previous_id or 0):
        return False
    if current.user_id != user.pk or current.action != action:
        return False
    if edit is not None:
        return current.candidate is not None and _same_texts(current.candidate, edit)
    return action != Decision.Action.CANDIDATE or (
        candidate is not None and current.candidate_id == candidate.pk
    )


def _refuse_stale(run_sample: RunSample, user: User, seen: int | None) -> None:
    if seen is None or seen == (run_sample.decision_id or 0):
        return
    latest = run_sample.decisions.select_related("user", "candidate").last()
    if latest is None:
        raise ServiceError(gettext("That decision does not belong to this pair. Reload the page."))
    raise DecisionConflict(latest=latest, current=run_sample.decision, reader=user)


def target(
    run_sample: RunSample,
    user: User,
    action: str,
    candidate: Candidate | None,
    edit: Pair | None,
) -> Candidate | None:
    """The candidate that the decision exports, made on the spot for an edit."""
    if candidate is not None and candidate.run_sample_id != run_sample.pk:
        raise ServiceError(gettext("That candidate belongs to another pair. Reload the page."))
    match action:
        case Decision.Action.ACCEPT:
            if not Verdict.objects.filter(run_sample=run_sample, kept__isnull=False).exists():
                _refuse_accept()
        case Decision.Action.CANDIDATE:
            if candidate is None:
                raise ServiceError(
                    gettext("There is no candidate to take. Keep the original, edit or drop.")
                )
            return candidate
        case Decision.Action.EDIT:
            return _make_edit(run_sample, user, candidate, edit)
    return None


def _refuse_accept() -> NoReturn:
    raise ServiceError(
        gettext(
            "The student has not finished judging this pair, so there is no verdict to accept yet. "
            "Keep the original, edit or drop it, or come back later."
        )
    )


def _make_edit(
    run_sample: RunSample, user: User, base: Candidate | None, edit: Pair | None
) -> Candidate:
    if edit is None:
        raise ServiceError(gettext("Send the edited instruction and response."))
    _refuse_bad_edit(edit)
    if _same_texts(base or run_sample.sample, edit):
        raise ServiceError(
            gettext(
                "Nothing was changed. Change a text, or leave the editor and take the pair "
                "as it is."
            )
        )
    return Candidate.objects.create(
        run_sample=run_sample,
        kind=Candidate.Kind.EDIT,
        parent=base,
        instruction=edit.instruction,
        input=edit.input,
        response=edit.response,
        created_by=user,
    )


def _refuse_bad_edit(edit: Pair) -> None:
    for name, text in (("instruction", edit.instruction), ("response", edit.response)):
        if not text.strip():
            raise ServiceError(
                gettext("The %(name)s is empty. Write one, or drop the pair.") % {"name": name}
            )
    for name in ("instruction", "input", "response"):
        _refuse_unstorable(getattr(edit, name), name)
    length = len(edit.instruction) + len(edit.input) + len(edit.response)
    if length > EDIT_LIMIT_CHARACTERS:
        raise ServiceError(
            gettext(
                "The pair has %(length)s characters; shorten it to %(edit_limit_characters)s "
                "at most."
            )
            % {"length": f"{length:,}", "edit_limit_characters": f"{EDIT_LIMIT_CHARACTERS:,}"}
        )


def _refuse_unstorable(text: str, name: str) -> None:
    """NUL and lone surrogates cannot be stored by every database; nobody types them."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ServiceError(
            gettext("The %(name)s has a character that is not text (NUL or half of a pair).")
            % {"name": name}
        )


def _same_texts(known: object, edit: Pair) -> bool:
    return all(
        getattr(known, name) == getattr(edit, name) for name in ("instruction", "input", "response")
    )
