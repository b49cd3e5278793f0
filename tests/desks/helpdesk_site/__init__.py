"""The Django site in which django-helpdesk runs for the tests; served by the Python of its own environment."""
