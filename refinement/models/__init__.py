"""The nouns, one file each."""

from refinement.models.api_request import ApiRequest
from refinement.models.api_token import ApiToken
from refinement.models.assignment import Assignment
from refinement.models.audit_event import AuditEvent
from refinement.models.bulk_act import BulkAct, BulkItem, Flag
from refinement.models.candidate import Candidate
from refinement.models.comment import Comment
from refinement.models.dataset import Dataset, RejectedRow
from refinement.models.decision import Decision
from refinement.models.embedding import Embedding
from refinement.models.endpoint import Endpoint
from refinement.models.export import Export, Push
from refinement.models.opinion import Opinion
from refinement.models.policy_change import PolicyChange
from refinement.models.project import Membership, Project
from refinement.models.queue_entry import QueueEntry, RunCount
from refinement.models.review_lease import ReviewLease
from refinement.models.review_plan import ReviewPlan
from refinement.models.run import Run, RunSample
from refinement.models.sample import GivenRewrite, KeptRecord, Sample
from refinement.models.saved_view import SavedView
from refinement.models.score import Score
from refinement.models.student import Student
from refinement.models.submission import Submission
from refinement.models.teacher_call import TeacherCall
from refinement.models.token_wish import TokenWish
from refinement.models.trial import Trial, TrialCall
from refinement.models.upload import Upload
from refinement.models.user import User
from refinement.models.verdict import Verdict
from refinement.models.webhook import Webhook, WebhookDelivery
from refinement.models.worker import Worker

__all__ = [
    "ApiRequest",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "BulkAct",
    "BulkItem",
    "Candidate",
    "Comment",
    "Dataset",
    "Decision",
    "Embedding",
    "Endpoint",
    "Export",
    "Flag",
    "GivenRewrite",
    "KeptRecord",
    "Membership",
    "Opinion",
    "PolicyChange",
    "Project",
    "Push",
    "QueueEntry",
    "RejectedRow",
    "ReviewLease",
    "ReviewPlan",
    "Run",
    "RunCount",
    "RunSample",
    "Sample",
    "SavedView",
    "Score",
    "Student",
    "Submission",
    "TeacherCall",
    "TokenWish",
    "Trial",
    "TrialCall",
    "Upload",
    "User",
    "Verdict",
    "Webhook",
    "WebhookDelivery",
    "Worker",
]
