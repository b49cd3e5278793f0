"""SQL for migrations: triggers that keep ledger, events, audit and final documents as they were written.

Rows may be deleted only by retention, which says so in its transaction: ``SET LOCAL backledger.retention = 'on'``.
"""

from __future__ import annotations

FUNCTION = """
CREATE OR REPLACE FUNCTION backledger_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('backledger.retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'rows of % are only inserted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""


def insert_only(table: str) -> str:
    """The statement that protects ``table`` against UPDATE and DELETE."""
    return (
        f"CREATE TRIGGER {table}_insert_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION backledger_insert_only();"
    )


def drop_insert_only(table: str) -> str:
    return f"DROP TRIGGER IF EXISTS {table}_insert_only ON {table};"
