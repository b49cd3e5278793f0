"""Backledger: watches the backups of a managed service provider's clients and bills what they protect."""
