"""Which job measures a selection from when on; longer names of sources; plans that meter each selection by itself."""

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.manager
import uuid
from django.db import migrations, models

from msp.insert_only import drop_insert_only, insert_only


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0002_insert_only'),
        ('estate', '0001_initial'),
        ('tenants', '0002_insert_only'),
    ]

    operations = [
        migrations.CreateModel(
            name='MeasuringChoice',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), default=uuid.uuid4, editable=False)),
                ('job_id', models.BigIntegerField()),
                ('basis', models.CharField(blank=True, max_length=16)),
                ('since', models.DateField()),
                ('decided_at', models.DateTimeField()),
                ('actor', models.CharField(blank=True, max_length=200)),
                ('reason', models.TextField(blank=True)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unwalled',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unwalled', django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name='plan',
            name='pool',
            field=models.CharField(default='subscription', max_length=12),
        ),
        migrations.AlterField(
            model_name='usageentry',
            name='source',
            field=models.CharField(max_length=240),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.CheckConstraint(condition=models.Q(('pool__in', ['subscription', 'selection'])), name='plan_pool_known'),
        ),
        migrations.AddField(
            model_name='measuringchoice',
            name='selection',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='estate.selection'),
        ),
        migrations.AddField(
            model_name='measuringchoice',
            name='tenant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant'),
        ),
        migrations.AddIndex(
            model_name='measuringchoice',
            index=models.Index(fields=['tenant', 'selection', 'since'], name='measuringchoice_since'),
        ),
        migrations.AddConstraint(
            model_name='measuringchoice',
            constraint=models.UniqueConstraint(fields=('tenant', 'uid'), name='measuringchoice_uid'),
        ),
        migrations.RunSQL(insert_only("billing_measuringchoice"), drop_insert_only("billing_measuringchoice")),
    ]
