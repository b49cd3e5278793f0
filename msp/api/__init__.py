"""The REST API for resellers' and tenants' programs."""
