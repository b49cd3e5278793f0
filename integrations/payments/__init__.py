"""Payment services: they collect what our own final invoices say; they never calculate an amount."""
