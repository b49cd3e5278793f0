"""Files of usage that no log tells, and the names behind what is counted."""

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.manager
import uuid
from django.db import migrations, models

from msp.insert_only import drop_insert_only, insert_only


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0007_plan_limits_and_percentages'),
        ('tenants', '0004_language'),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageImport',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False)),
                ('name', models.CharField(max_length=200)),
                ('content', models.BinaryField()),
                ('digest', models.CharField(max_length=64)),
                ('rows', models.IntegerField()),
                ('state', models.CharField(default='checked', max_length=8)),
                ('written', models.IntegerField(default=0)),
                ('uploaded_by', models.CharField(max_length=200)),
                ('uploaded_at', models.DateTimeField()),
                ('settled_by', models.CharField(blank=True, max_length=200)),
                ('settled_at', models.DateTimeField(null=True)),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unwalled',
                'indexes': [models.Index(fields=['tenant', '-uploaded_at'], name='usageimport_newest')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'uid'), name='usageimport_uid'), models.CheckConstraint(condition=models.Q(('state__in', ['checked', 'applied', 'dropped'])), name='usageimport_state_known')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unwalled', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='UsageNames',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False)),
                ('source', models.CharField(max_length=240)),
                ('metric', models.CharField(max_length=20)),
                ('revision', models.IntegerField()),
                ('names', models.JSONField()),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unwalled',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'uid'), name='usagenames_uid'), models.UniqueConstraint(fields=('tenant', 'source', 'metric', 'revision'), name='usagenames_entry')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unwalled', django.db.models.manager.Manager()),
            ],
        ),
        migrations.RunSQL(insert_only("billing_usagenames"), drop_insert_only("billing_usagenames")),
    ]
