"""What a selection is defined to hold, and how large it was measured to be: both only inserted."""

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.manager
import uuid
from django.db import migrations, models

from msp.insert_only import drop_insert_only, insert_only


class Migration(migrations.Migration):

    dependencies = [
        ('backups', '0005_volumes_and_proposals'),
        ('estate', '0001_initial'),
        ('tenants', '0002_insert_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='SelectionDefinition',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False)),
                ('version', models.IntegerField()),
                ('kind', models.CharField(max_length=16)),
                ('content', models.TextField()),
                ('variables', models.JSONField(default=dict)),
                ('digest', models.CharField(max_length=64)),
                ('set_at', models.DateTimeField()),
                ('set_by', models.CharField(max_length=200)),
                ('selection', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='estate.selection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unwalled',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'uid'), name='selectiondefinition_uid'), models.UniqueConstraint(fields=('tenant', 'selection', 'version'), name='selectiondefinition_version'), models.CheckConstraint(condition=models.Q(('kind__in', ['sel', 'restic', 'restic-i', 'borg', 'borg-exclude', 'paths'])), name='selectiondefinition_kind_known')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unwalled', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SelectionMeasurement',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False)),
                ('measured_at', models.DateTimeField()),
                ('received_at', models.DateTimeField()),
                ('source', models.CharField(max_length=8)),
                ('form', models.CharField(blank=True, max_length=16)),
                ('origin', models.CharField(max_length=100)),
                ('definition_digest', models.CharField(max_length=64)),
                ('definition_version', models.IntegerField(null=True)),
                ('bytes_once', models.BigIntegerField(null=True)),
                ('bytes_each', models.BigIntegerField(null=True)),
                ('files', models.BigIntegerField(null=True)),
                ('links', models.BigIntegerField(default=0)),
                ('unreadable', models.BigIntegerField(default=0)),
                ('elsewhere', models.BigIntegerField(default=0)),
                ('whole', models.BooleanField(default=False)),
                ('details', models.JSONField(default=dict)),
                ('error', models.CharField(blank=True, max_length=500)),
                ('receipt_id', models.BigIntegerField(null=True)),
                ('reported_job_id', models.BigIntegerField(null=True)),
                ('reported_bytes', models.BigIntegerField(null=True)),
                ('reported_at', models.DateTimeField(null=True)),
                ('selection', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='estate.selection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unwalled',
                'indexes': [models.Index(fields=['tenant', 'selection', '-measured_at'], name='selectionmeasurement_newest')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'uid'), name='selectionmeasurement_uid'), models.UniqueConstraint(fields=('tenant', 'selection', 'origin', 'definition_digest'), name='selectionmeasurement_once'), models.CheckConstraint(condition=models.Q(('source__in', ['wrapper', 'upload', 'api', 'command'])), name='selectionmeasurement_source_known'), models.CheckConstraint(condition=models.Q(('bytes_each__isnull', False), models.Q(('error', ''), _negated=True), _connector='OR'), name='selectionmeasurement_told')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unwalled', django.db.models.manager.Manager()),
            ],
        ),
        migrations.RunSQL(insert_only('backups_selectiondefinition'), drop_insert_only('backups_selectiondefinition')),
        migrations.RunSQL(insert_only('backups_selectionmeasurement'), drop_insert_only('backups_selectionmeasurement')),
    ]
