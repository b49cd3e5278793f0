"""Who uses the service: tenants, resellers, people, keys; the wall between tenants; audit."""
