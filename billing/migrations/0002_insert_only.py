"""The ledger is only inserted; a plan version never changes; a final invoice and its lines stay as they were numbered."""

from django.db import migrations

from msp.insert_only import drop_insert_only, insert_only

FINAL_INVOICE = """
CREATE OR REPLACE FUNCTION billing_keep_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'draft' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' AND current_setting('backledger.retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'final' AND NEW.state = 'void' THEN
        NEW.voided_at := coalesce(NEW.voided_at, now());
        OLD.state := NEW.state; OLD.voided_at := NEW.voided_at; OLD.void_reason := NEW.void_reason;
        IF OLD IS NOT DISTINCT FROM NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'invoice % is final: it can only be voided', OLD.number USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER billing_invoice_keep_final BEFORE UPDATE OR DELETE ON billing_invoice
    FOR EACH ROW EXECUTE FUNCTION billing_keep_final();
CREATE OR REPLACE FUNCTION billing_keep_final_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    line billing_invoiceline := CASE WHEN TG_OP = 'INSERT' THEN NEW ELSE OLD END;
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('backledger.retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    IF EXISTS (SELECT 1 FROM billing_invoice i WHERE i.id = line.invoice_id AND i.state <> 'draft') THEN
        RAISE EXCEPTION 'lines of a final invoice do not change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER billing_invoiceline_keep_final BEFORE INSERT OR UPDATE OR DELETE ON billing_invoiceline
    FOR EACH ROW EXECUTE FUNCTION billing_keep_final_lines();
"""
UNDO_FINAL_INVOICE = """
DROP TRIGGER IF EXISTS billing_invoice_keep_final ON billing_invoice;
DROP TRIGGER IF EXISTS billing_invoiceline_keep_final ON billing_invoiceline;
DROP FUNCTION IF EXISTS billing_keep_final();
DROP FUNCTION IF EXISTS billing_keep_final_lines();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial"), ("tenants", "0002_insert_only")]

    operations = [
        migrations.RunSQL(insert_only("billing_usageentry"), drop_insert_only("billing_usageentry")),
        migrations.RunSQL(insert_only("billing_plan"), drop_insert_only("billing_plan")),
        migrations.RunSQL(FINAL_INVOICE, UNDO_FINAL_INVOICE),
    ]
