"""``/rules``: what is checked, with which parameters, and what is set at which level; derived from the rules."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.configuring import RuleScope, RuleValues, put_setting, remove_setting
from alerts.facts import SEVERITIES
from alerts.models import SCOPES, TELLS
from alerts.params import BadParams
from alerts.rules import RULES, Rule
from msp.api import queries
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.schema import WordField, described, page_example, page_of


class ParameterSerializer(serializers.Serializer[Any]):
    """One parameter of a rule."""

    name = serializers.CharField()
    type = WordField(("integer", "boolean", "choice"))
    label = serializers.CharField()  # type: ignore[assignment]  # a field here, not the label of a field
    help = serializers.CharField()
    unit = serializers.CharField()
    default = serializers.JSONField()
    at_least = serializers.IntegerField(allow_null=True)
    at_most = serializers.IntegerField(allow_null=True)
    options = serializers.ListField(
        child=serializers.CharField(), help_text="The words of a choice; empty for a number or a switch."
    )


class RuleSerializer(serializers.Serializer[Any]):
    """A rule: what it checks and what can be set."""

    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field here, not the label of a field
    subject = serializers.CharField(help_text="What it is about: job, client or tenant.")
    enabled = serializers.BooleanField(help_text="Unless a setting says otherwise.")
    severity = WordField(SEVERITIES)
    parameters = ParameterSerializer(many=True)


class RuleSettingSerializer(serializers.Serializer[Any]):
    """What one level says of a rule; what it leaves out comes from the next farther level."""

    kind = serializers.CharField(source="row.kind")
    scope = WordField(SCOPES, source="row.scope_kind")
    scope_uid = serializers.UUIDField(allow_null=True)
    scope_name = serializers.CharField()
    parameters = serializers.DictField(source="row.parameters")
    enabled = serializers.BooleanField(source="row.enabled", allow_null=True)
    severity = serializers.CharField(source="row.severity")
    hold_minutes = serializers.IntegerField(source="row.hold_minutes", allow_null=True)
    escalate_hours = serializers.IntegerField(source="row.escalate_hours", allow_null=True)
    tells = serializers.CharField(source="row.tells")
    updated_at = serializers.DateTimeField(source="row.updated_at")


class SettingFilters(StrictSerializer):
    kind = WordField(tuple(RULES), required=False)
    scope = WordField(SCOPES, required=False)


class SettingValues(StrictSerializer):
    parameters = serializers.DictField(
        default=dict, help_text="By name; see /rules. Those left out come from the next farther level."
    )
    enabled = serializers.BooleanField(default=None, allow_null=True, help_text="null: as farther levels say.")
    severity = WordField(("", *SEVERITIES), default="", help_text="Empty: as farther levels or the rule say.")
    hold_minutes = serializers.IntegerField(
        default=None,
        allow_null=True,
        min_value=0,
        max_value=10_080,
        help_text="Before anybody is told; null: inherited.",
    )
    escalate_hours = serializers.IntegerField(
        default=None,
        allow_null=True,
        min_value=0,
        max_value=8_784,
        help_text="The severity rises a step each time it is open for so long; 0 never, null: inherited.",
    )
    tells = WordField(
        ("", *TELLS), default="", help_text="ticket, or report: lists and reports only. Empty: inherited."
    )


RULE = {
    "kind": "no_recent_backup",
    "label": "No recent backup",
    "subject": "job",
    "enabled": True,
    "severity": "critical",
    "parameters": [
        {
            "name": "grace_minutes",
            "type": "integer",
            "label": "Grace",
            "help": "Extra time before a missing backup counts.",
            "unit": "minutes",
            "default": 60,
            "at_least": 0,
            "at_most": 10080,
            "options": [],
        }
    ],
}
SETTING = {
    "kind": "no_recent_backup",
    "scope": "client",
    "scope_uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d",
    "scope_name": "Acme Dental",
    "parameters": {"grace_minutes": 120},
    "enabled": None,
    "severity": "",
    "hold_minutes": None,
    "escalate_hours": None,
    "tells": "",
    "updated_at": "2026-11-20T09:00:00Z",
}
KIND_PATH = OpenApiParameter(
    "kind", str, OpenApiParameter.PATH, enum=list(RULES), description="The rule's kind; see /rules."
)
SCOPE_PATH = OpenApiParameter("scope", str, OpenApiParameter.PATH, enum=list(SCOPES), description="The kind of level.")


def describe_rule(rule: Rule) -> dict[str, Any]:
    """A rule as /rules shows it."""
    return {
        "kind": rule.KIND,
        "label": rule.LABEL,
        "subject": rule.SUBJECT,
        "enabled": rule.ENABLED,
        "severity": rule.SEVERITY,
        "parameters": [_describe_parameter(field) for field in dataclasses.fields(rule.Params)],
    }


def _describe_parameter(field: dataclasses.Field[Any]) -> dict[str, Any]:
    told = field.metadata
    options = [word for word, _ in told.get("options", ())]
    return {
        "name": field.name,
        "type": "choice" if options else "boolean" if isinstance(field.default, bool) else "integer",
        "default": field.default,
        "at_least": told.get("at_least"),
        "at_most": told.get("at_most"),
        "options": options,
        **{name: told.get(name, "") for name in ("label", "help", "unit")},
    }


class RulesView(ApiView):
    @described(
        "List the rules",
        "Every rule with its parameters, their limits and defaults.",
        name="rules_list",
        tag="Rules",
        answer=page_of(RuleSerializer),
        shows=page_example(RULE),
    )
    def get(self, request: Request) -> Response:
        self.query()
        rules = [describe_rule(rule) for rule in RULES.values()]
        return Response({"items": RuleSerializer(rules, many=True).data, "next": None})


class RuleSettingsView(ApiView):
    @described(
        "List settings of rules",
        "What is set at which level. The nearest wins for each parameter: job, selection, client, reseller, tenant.",
        name="rule_settings_list",
        tag="Rules",
        answer=page_of(RuleSettingSerializer),
        shows=page_example(SETTING),
        query=SettingFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        reach = self.caller.reach
        rows = queries.rule_settings(reach, self.query(SettingFilters, paged=True))
        return self.page(
            rows, BY_ID, RuleSettingSerializer, dressed=lambda settings: queries.show_settings(reach, settings)
        )


class RuleSettingView(ApiView):
    @described(
        "Set a rule at a level",
        "Replaces what this level says of the rule; everything in its reach is evaluated anew.",
        name="rule_settings_put",
        tag="Rules",
        answer=RuleSettingSerializer,
        shows=SETTING,
        sends=SettingValues,
        sent={"parameters": {"grace_minutes": 120}},
        path=(KIND_PATH, SCOPE_PATH),
        refuses=(404,),
    )
    def put(self, request: Request, kind: str, scope: str, uid: UUID) -> Response:
        self.query()
        level = self.find_level(kind, scope, uid)
        values = RuleValues(**self.body(SettingValues))
        try:
            row = put_setting(self.caller.tenant, kind, level, values, actor=self.caller.actor, now=self.now)
        except BadParams as refused:
            raise serializers.ValidationError({"parameters": {refused.field: [refused.reason]}}) from refused
        return Response(RuleSettingSerializer(queries.SettingShown(row, uid, level.name)).data)

    @described(
        "Remove a rule's setting from a level",
        "The next farther level holds again. Removing what is not set is no error.",
        name="rule_settings_delete",
        tag="Rules",
        answer=None,
        status=204,
        path=(KIND_PATH, SCOPE_PATH),
        refuses=(404,),
    )
    def delete(self, request: Request, kind: str, scope: str, uid: UUID) -> Response:
        self.query()
        level = self.find_level(kind, scope, uid)
        remove_setting(self.caller.tenant, kind, level, actor=self.caller.actor, now=self.now)
        return Response(status=204)

    def find_level(self, kind: str, scope: str, uid: UUID) -> RuleScope:
        """The level in the address, or 404 for an unknown rule, kind of level or row."""
        known = kind in RULES and scope in SCOPES
        row = found(queries.scope_rows(self.caller.reach, scope).filter(uid=uid).first() if known else None)
        return RuleScope(scope, row.pk, str(row))
