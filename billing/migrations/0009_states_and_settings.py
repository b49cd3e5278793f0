"""Whether a plan charges what is suspended or seeding; since when a selection is what it is, as far as that is known."""

from django.db import migrations, models


#: What is known of when a selection that is not active became so: the day after its last figure, else its first day.
FILL = """
INSERT INTO estate_selectionstatespan (uid, tenant_id, selection_id, state, since, until)
SELECT gen_random_uuid(), s.tenant_id, s.id, span.state, span.since, span.until
FROM estate_selection s
JOIN tenants_tenant t ON t.id = s.tenant_id
CROSS JOIN LATERAL (SELECT least(
    (s.registered_at AT TIME ZONE t.timezone)::date,
    (SELECT min(o.since) FROM estate_selectionclientspan o WHERE o.tenant_id = s.tenant_id AND o.selection_id = s.id),
    (SELECT min(e.local_day) FROM billing_usageentry e WHERE e.tenant_id = s.tenant_id AND e.selection_id = s.id)
) AS day) began
CROSS JOIN LATERAL (SELECT CASE WHEN s.state = 'seeding' THEN began.day ELSE coalesce((
    SELECT max(e.local_day) + 1 FROM billing_usageentry e WHERE e.tenant_id = s.tenant_id AND e.selection_id = s.id
), began.day) END AS day) turned
CROSS JOIN LATERAL (VALUES ('active', began.day, turned.day), (s.state::text, turned.day, NULL::date))
    AS span(state, since, until)
WHERE s.state <> 'active' AND (span.until IS NULL OR span.until > span.since)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0008_usage_files'),
        ('tenants', '0004_language'),
        ('estate', '0005_selection_states'),
    ]

    operations = [
        migrations.AddField(
            model_name='plan',
            name='charge_seeding',
            field=models.CharField(db_default='first_figure', default='first_figure', max_length=12),
        ),
        migrations.AddField(
            model_name='plan',
            name='charge_suspended',
            field=models.CharField(db_default='no', default='no', max_length=12),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.CheckConstraint(condition=models.Q(('charge_suspended__in', ['no', 'yes'])), name='plan_charge_suspended_known'),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.CheckConstraint(condition=models.Q(('charge_seeding__in', ['first_figure', 'never', 'always'])), name='plan_charge_seeding_known'),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
