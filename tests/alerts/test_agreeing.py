"""Values that contradict each other are refused with a sentence, also where one of them stands at another level."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.configuring import RuleScope, RuleValues, put_setting
from alerts.models import RuleSetting
from alerts.params import BadParams
from msp.estate.models import Client
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db


def put(world: World, kind: str, scope: RuleScope, **parameters: Any) -> None:
    put_setting(world.tenant, kind, scope, RuleValues(parameters=parameters), actor="Olga", now=START)


def of_tenant(world: World) -> RuleScope:
    return RuleScope("tenant", world.tenant.pk, world.tenant.name)


def of_client(world: World) -> RuleScope:
    return RuleScope("client", world.client.pk, world.client.name)


def of_job(world: World) -> RuleScope:
    return RuleScope("job", world.job.pk, world.job.name)


def refusal(world: World, kind: str, scope: RuleScope, **parameters: Any) -> BadParams:
    with pytest.raises(BadParams) as refused:
        put(world, kind, scope, **parameters)
    return refused.value


def test_a_contradiction_at_one_level_is_refused(world: World) -> None:
    refused = refusal(world, "quota_overrun", of_tenant(world), warn_percent=80, second_warn_percent=70)
    assert refused.field == "second_warn_percent"
    assert refused.reason == "The steps of the warning must rise: 70 percent comes after 80."
    refused = refusal(world, "errors", of_tenant(world), failures=5, critical_failures=2)
    assert refused.reason == "Critical failures cannot be: 2 comes before the 5 that make an incident."
    assert not RuleSetting.objects.of(world.tenant).exists()


def test_the_rules_own_defaults_yield(world: World) -> None:
    """The second warning is at 95 percent unless it is set: nobody who sets only the first has to know of it."""
    put(world, "quota_overrun", of_tenant(world), warn_percent=97)
    assert refusal(world, "quota_overrun", of_client(world), third_warn_percent=96).field == "third_warn_percent"


def test_a_contradiction_with_an_inherited_value_is_refused(world: World) -> None:
    put(world, "errors", of_tenant(world), failures=3)
    assert refusal(world, "errors", of_job(world), critical_failures=2).field == "critical_failures"
    put(world, "errors", of_job(world), critical_failures=2, failures=1)
    put(world, "errors", of_client(world), critical_failures=0)


def test_a_contradiction_with_a_value_further_below_is_refused_and_names_the_level(world: World) -> None:
    put(world, "errors", of_job(world), critical_failures=2)
    refused = refusal(world, "errors", of_client(world), failures=5)
    assert refused.reason.startswith(f"It contradicts what is set for job {world.job.name}: Critical failures")
    put(world, "errors", of_client(world), failures=2)


def test_what_is_set_for_others_is_no_matter(world: World) -> None:
    elsewhere = make_job(world.tenant, world.server, world.resold_client, "elsewhere")
    put(world, "errors", RuleScope("job", elsewhere.pk, "elsewhere"), critical_failures=2)
    put(world, "errors", of_client(world), failures=5, critical_failures=9)
    reseller = RuleScope("reseller", world.reseller.pk, "Harbour IT")
    assert "job elsewhere" in refusal(world, "errors", reseller, failures=5).reason


def test_what_contradicted_itself_before_hinders_no_other_change(world: World) -> None:
    """The client has moved to the reseller since: that cannot be undone by refusing other changes."""
    put(world, "errors", RuleScope("reseller", world.reseller.pk, "Harbour IT"), failures=5, critical_failures=9)
    put(world, "errors", of_client(world), critical_failures=2)
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(reseller=world.reseller)
    put(world, "errors", RuleScope("client", world.resold_client.pk, "Bay Bakery"), failures=4)
    assert refusal(world, "errors", of_client(world), critical_failures=3).field == "critical_failures"


def test_the_statements_do_not_grow_with_the_settings(world: World, django_assert_max_num_queries: Any) -> None:
    from alerts.agreeing import check_agreement
    from alerts.inheritance import Setting

    for number in range(20):
        job = make_job(world.tenant, world.server, world.client, f"j{number}")
        put(world, "errors", RuleScope("job", job.pk, job.name), failures=2)
    with django_assert_max_num_queries(6):
        check_agreement(world.tenant, Setting(kind="errors", scope="tenant", scope_id=world.tenant.pk))
