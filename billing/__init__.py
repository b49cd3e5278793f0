"""Billing by protected size: ledger, meters, prices, plans, invoices, collecting."""
