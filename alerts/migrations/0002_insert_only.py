"""Incident events and ticket updates are only inserted."""

from django.db import migrations

from msp.insert_only import drop_insert_only, insert_only


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial"), ("tenants", "0002_insert_only")]

    operations = [
        migrations.RunSQL(insert_only("alerts_incidentevent"), drop_insert_only("alerts_incidentevent")),
        migrations.RunSQL(insert_only("alerts_ticketupdate"), drop_insert_only("alerts_ticketupdate")),
    ]
