"""The audit trail is only inserted."""

from django.db import migrations

from msp.insert_only import FUNCTION, drop_insert_only, insert_only


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION IF EXISTS backledger_insert_only()"),
        migrations.RunSQL(insert_only("tenants_auditentry"), drop_insert_only("tenants_auditentry")),
    ]
