"""``/assignment-rules``, assigning from ``/inbox``, and proposed jobs: whose a log is that nobody decided yet.

For keys of the whole tenant: what is not assigned may be anybody's, so that a reseller's key finds nothing here.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.acting import CannotAct
from msp import tasks
from msp.api import queries
from msp.api.authentication import Caller
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found, only_given
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.backups.queries import jobs_within
from msp.estate.queries import clients_within
from msp.estate.spans import BadChange
from msp.ingest.assigning_many import MOST_TOGETHER, accept_suggestions, assign_each_to_new_job
from msp.ingest.inbox import CannotSettle, NotFound, assign_items
from msp.ingest.models import RULE_ACTIONS, AssignmentRule, InboxItem
from msp.ingest.previewing import preview_rule, read_waiting
from msp.ingest.proposing import accept_second_way, give_own_selection
from msp.ingest.rule_changing import delete_rule, rule_of, store_rule
from msp.ingest.suggesting import CONFIDENCES, suggest

PLAIN = ("name", "enabled", "format", "patterns", "action", "name_template")


class AssignmentRuleSerializer(serializers.Serializer[Any]):
    """A rule; rules are asked in the order of their positions, the first that fits decides."""

    uid = serializers.UUIDField()
    position = serializers.IntegerField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()
    server = NamedSerializer(allow_null=True, help_text="Null: any server, or none.")
    format = serializers.CharField(help_text="Empty: any.")
    patterns = serializers.DictField(
        child=serializers.CharField(), help_text="By host, account, job, item, sender, subject."
    )
    action = WordField(RULE_ACTIONS)
    client = NamedSerializer(allow_null=True, help_text="Of new jobs; null: the one whose code stands at {client}.")
    job = NamedSerializer(allow_null=True)
    make_on = NamedSerializer(allow_null=True, help_text="Server of new jobs of deliveries that came without one.")
    name_template = serializers.CharField()


class AssignmentRuleChange(StrictSerializer):
    name = serializers.CharField(required=False, max_length=120)
    enabled = serializers.BooleanField(required=False)
    server = serializers.UUIDField(required=False, allow_null=True)
    format = serializers.CharField(required=False, allow_blank=True, max_length=60)
    patterns = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=200), required=False, help_text="* ? and one {client}."
    )
    action = WordField(RULE_ACTIONS, required=False)
    client = serializers.UUIDField(required=False, allow_null=True)
    job = serializers.UUIDField(required=False, allow_null=True)
    make_on = serializers.UUIDField(required=False, allow_null=True)
    name_template = serializers.CharField(required=False, allow_blank=True, max_length=200)


class AssignmentRuleCreation(AssignmentRuleChange):
    name = serializers.CharField(max_length=120)
    action = WordField(RULE_ACTIONS)


class PreviewRowSerializer(serializers.Serializer[Any]):
    """A waiting log that falls under the rule."""

    uid = serializers.UUIDField(help_text="Of the inbox item.")
    server = serializers.CharField()
    source_job = serializers.CharField()
    item = serializers.CharField()
    host = serializers.CharField()
    does = serializers.CharField(help_text="What becomes of it.")
    because = serializers.CharField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What a rule would do."""

    waiting = serializers.IntegerField(help_text="Waiting logs that fall under it.")
    looked_at = serializers.IntegerField(help_text="Waiting logs that were looked at, the newest.")
    taken_earlier = serializers.IntegerField(help_text="That fit, and that a rule before it takes.")
    decided = serializers.IntegerField(help_text="Keys with runs in the last 30 days that fit and stay as they are.")
    decided_names = serializers.ListField(child=serializers.CharField())
    rows = PreviewRowSerializer(many=True, help_text="The first 50.")


class CountSerializer(serializers.Serializer[Any]):
    """How many were dealt with."""

    count = serializers.IntegerField()


class SuggestionSerializer(serializers.Serializer[Any]):
    """What a log may be about."""

    confidence = WordField(CONFIDENCES)
    kind = serializers.CharField(help_text="move, rename, host, item, name or client.")
    reason = serializers.CharField()
    job = serializers.UUIDField(source="job_uid", allow_null=True, help_text="Null: a new job of the client.")
    job_name = serializers.CharField(source="job")
    client = serializers.CharField()
    server = serializers.CharField()
    keeps_history = serializers.BooleanField()


class SuggestionsSerializer(serializers.Serializer[Any]):
    """The best first."""

    items = SuggestionSerializer(many=True)


class InboxAssignment(StrictSerializer):
    """One of ``job``, ``new_jobs_of`` and ``accept_suggestions``."""

    items = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_TOGETHER)
    job = serializers.UUIDField(required=False)
    moved = serializers.BooleanField(default=False, help_text="The job moved to their server.")
    new_jobs_of = serializers.UUIDField(required=False, help_text="A client: each name becomes a new job of it.")
    accept_suggestions = serializers.BooleanField(default=False, help_text="Those of high confidence.")


class Decision(StrictSerializer):
    second_way = serializers.BooleanField(help_text="True: a copy of that selection; false: a selection of its own.")


RULE: dict[str, Any] = {
    "uid": "9d1f7a34-51c2-4b8e-93d7-0c2b1a9e8f76", "position": 1, "name": "Guests by code", "enabled": True,
    "server": None, "format": "", "patterns": {"item": "{client}-*"}, "action": "new_job", "client": None, "job": None,
    "make_on": None, "name_template": "{item}",
}  # fmt: skip
SENT = {"name": "Guests by code", "patterns": {"item": "{client}-*"}, "action": "new_job", "name_template": "{item}"}
PREVIEW = {"waiting": 0, "looked_at": 12, "taken_earlier": 0, "decided": 0, "decided_names": [], "rows": []}


class AssignmentRulesView(ApiView):
    @described(
        "List assignment rules", "In the order of their making; `position` is the order they are asked in.",
        name="assignment_rules_list", tag="Assignment", answer=page_of(AssignmentRuleSerializer),
        shows=page_example(RULE), paged=True,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        self.query(paged=True)
        return self.page(rules(self.caller), BY_ID, AssignmentRuleSerializer)

    @described(
        "Add an assignment rule", "At the end. Logs that wait are not read again by it: ask for that.",
        name="assignment_rules_create", tag="Assignment", answer=AssignmentRuleSerializer, shows=RULE, status=201,
        sends=AssignmentRuleCreation, sent=SENT,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.query()
        refuse_reseller(self.caller)
        values = stored(self.caller, self.body(AssignmentRuleCreation))
        row = store_rule(self.caller.tenant, None, values, actor=self.actor())
        return Response(AssignmentRuleSerializer(row).data, status=201)


class AssignmentRulePreviewView(ApiView):
    @described(
        "Try an assignment rule", "What it would do to waiting logs, were it added at the end; nothing is stored.",
        name="assignment_rules_preview", tag="Assignment", answer=PreviewSerializer, shows=PREVIEW,
        sends=AssignmentRuleCreation, sent=SENT,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.query()
        refuse_reseller(self.caller)
        rule = rule_of(self.caller.tenant, None, stored(self.caller, self.body(AssignmentRuleCreation)))
        return Response(PreviewSerializer(preview_rule(self.caller.tenant, rule, now=self.now)).data)


class AssignmentRuleView(ApiView):
    @described(
        "Get an assignment rule", "One rule.", name="assignment_rules_get", tag="Assignment",
        answer=AssignmentRuleSerializer, shows=RULE, refuses=(404,),
    )  # fmt: skip
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return Response(AssignmentRuleSerializer(rule_at(self.caller, uid)).data)

    @described(
        "Change an assignment rule", "What is not given stays; what it decided so far stays, too.",
        name="assignment_rules_change", tag="Assignment", answer=AssignmentRuleSerializer,
        shows=changed(RULE, enabled=False), sends=AssignmentRuleChange, sent={"enabled": False}, refuses=(404,),
    )  # fmt: skip
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        values = stored(self.caller, self.body(AssignmentRuleChange))
        row = store_rule(self.caller.tenant, rule_at(self.caller, uid), values, actor=self.actor())
        return Response(AssignmentRuleSerializer(row).data)

    @described(
        "Delete an assignment rule", "What it decided stays.", name="assignment_rules_delete", tag="Assignment",
        answer=None, status=204, refuses=(404,),
    )  # fmt: skip
    def delete(self, request: Request, uid: UUID) -> Response:
        self.query()
        delete_rule(self.caller.tenant, rule_at(self.caller, uid), actor=self.actor())
        return Response(status=204)


class AssignmentRuleReadView(ApiView):
    @described(
        "Read waiting logs again", "Those that fall under this rule; answers how many logs.",
        name="assignment_rules_read_waiting", tag="Assignment", answer=CountSerializer, shows={"count": 3},
        refuses=(404, 409),
    )  # fmt: skip
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        count = refused(lambda: read_waiting(self.caller.tenant, rule_at(self.caller, uid), actor=self.actor()))
        tasks.wake_processing()
        return Response(CountSerializer({"count": count}).data)


class InboxSuggestionsView(ApiView):
    @described(
        "Suggestions for an inbox item", "Which job, or whose new job, its log may be about.",
        name="inbox_suggestions", tag="Assignment", answer=SuggestionsSerializer, shows={"items": []}, refuses=(404,),
    )  # fmt: skip
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        refuse_reseller(self.caller)
        item = found(InboxItem.objects.of(self.caller.tenant).filter(uid=uid).first())
        suggested = suggest(self.caller.tenant.pk, [item]).get(item.pk, ())
        return Response(SuggestionsSerializer({"items": suggested}).data)


class InboxAssignView(ApiView):
    @described(
        "Assign inbox items", "To one job, each name to a new job of a client, or as suggested with high confidence.",
        name="inbox_assign", tag="Assignment", answer=CountSerializer, shows={"count": 1}, sends=InboxAssignment,
        sent={"items": ["51d3b0a7-90ef-4c56-8a0b-12f3a4b5c6d7"], "accept_suggestions": True}, refuses=(404, 409),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.query()
        refuse_reseller(self.caller)
        values = self.body(InboxAssignment)
        wanted = set(values["items"])
        ids = list(InboxItem.objects.of(self.caller.tenant).filter(uid__in=wanted).values_list("pk", flat=True))
        if len(ids) < len(wanted):
            raise Http404
        count = refused(lambda: self.assign(ids, values))
        tasks.wake_processing()
        return Response(CountSerializer({"count": count}).data)

    def assign(self, ids: list[int], values: dict[str, Any]) -> int:
        """Raises NotFound, CannotSettle, ValidationError."""
        tenant, actor = self.caller.tenant, self.actor()
        if sum(("job" in values, "new_jobs_of" in values, values["accept_suggestions"])) != 1:
            raise serializers.ValidationError({"job": ["Give one of job, new_jobs_of and accept_suggestions."]})
        if "job" in values:
            job = found(jobs_within(self.caller.reach).filter(uid=values["job"]).first())
            return assign_items(tenant, ids, job_id=job.pk, moved=values["moved"], actor=actor)
        if "new_jobs_of" in values:
            client = found(clients_within(self.caller.reach).filter(uid=values["new_jobs_of"]).first())
            return assign_each_to_new_job(tenant, ids, client_id=client.pk, actor=actor)
        return accept_suggestions(tenant, ids, actor=actor).assigned


class JobDecisionView(ApiView):
    @described(
        "Decide a proposed job", "A second way to the selection it was proposed for, or one of its own.",
        name="jobs_decide", tag="Assignment", answer=CountSerializer, shows={"count": 1}, sends=Decision,
        sent={"second_way": True}, refuses=(404,),
    )  # fmt: skip
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        refuse_reseller(self.caller)
        job = found(queries.find_job(self.caller.reach, uid))
        decide = accept_second_way if self.body(Decision)["second_way"] else give_own_selection
        decide(self.caller.tenant, job.pk, actor=self.actor())
        tasks.wake_processing()
        return Response(CountSerializer({"count": 1}).data)


def refuse_reseller(caller: Caller) -> None:
    """Raises Http404 for a reseller's key."""
    if not caller.reach.whole_tenant:
        raise Http404


def rules(caller: Caller) -> Any:
    rows = AssignmentRule.objects.of(caller.tenant).select_related("server", "client", "job", "make_on")
    return rows if caller.reach.whole_tenant else rows.none()


def rule_at(caller: Caller, uid: UUID) -> AssignmentRule:
    row: AssignmentRule = found(rules(caller).filter(uid=uid).first())
    return row


def stored(caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    """What was sent as the rule keeps it. Raises BadChange for a row that is not there."""
    values = only_given(given, *PLAIN)
    sources = {
        "server": queries.servers(caller.reach, {}),
        "make_on": queries.servers(caller.reach, {}),
        "client": clients_within(caller.reach),
        "job": jobs_within(caller.reach),
    }
    for name, rows in sources.items():
        if name in given:
            values[name] = None if given[name] is None else rows.filter(uid=given[name]).first()
            if given[name] is not None and values[name] is None:
                raise BadChange(name, f"There is no such {name.replace('make_on', 'server')}.")
    return values


def refused(act: Any) -> int:
    """Do it; what the inbox turns down is the API's 409 or 404."""
    try:
        count: int = act()
    except NotFound as error:
        raise Http404 from error
    except CannotSettle as error:
        raise CannotAct(error.reason) from error
    return count
