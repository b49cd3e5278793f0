"""The views of the staff pages: they read request and clock, ask queries, call the domain, choose a template."""
