"""Attempts are only inserted."""

from django.db import migrations

from msp.insert_only import drop_insert_only, insert_only


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial"), ("tenants", "0002_insert_only")]

    operations = [
        migrations.RunSQL(insert_only("outbox_laneattempt"), drop_insert_only("outbox_laneattempt")),
    ]
