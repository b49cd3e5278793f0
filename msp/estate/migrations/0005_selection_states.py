"""In which state a selection was on which day."""

import django.contrib.postgres.constraints
import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.manager
import msp.estate.models
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('estate', '0004_language'),
        ('tenants', '0004_language'),
    ]

    operations = [
        migrations.CreateModel(
            name='SelectionStateSpan',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False)),
                ('state', models.CharField(max_length=12)),
                ('since', models.DateField()),
                ('until', models.DateField(null=True)),
                ('selection', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='estate.selection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unwalled',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'uid'), name='selectionstate_uid'), models.CheckConstraint(condition=models.Q(('state__in', ['active', 'seeding', 'suspended', 'retired'])), name='selectionstate_state_known'), django.contrib.postgres.constraints.ExclusionConstraint(expressions=[('tenant', '='), ('selection', '='), (msp.estate.models.DateRange('since', 'until'), '&&')], name='selectionstate_once')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unwalled', django.db.models.manager.Manager()),
            ],
        ),
    ]
