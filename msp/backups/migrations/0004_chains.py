"""JobRun: the log's words for its sizes, the chain a restore needs, and what a verification found out."""

from django.db import migrations

COLUMNS = """
ALTER TABLE backups_jobrun
    ADD COLUMN sources jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN chain_length integer,
    ADD COLUMN last_full_at timestamptz,
    ADD COLUMN checksum_ok boolean
"""
WITHOUT = """
ALTER TABLE backups_jobrun
    DROP COLUMN sources, DROP COLUMN chain_length, DROP COLUMN last_full_at, DROP COLUMN checksum_ok
"""


class Migration(migrations.Migration):
    dependencies = [("backups", "0003_state_outcomes")]

    operations = [migrations.RunSQL(COLUMNS, WITHOUT)]
