"""The words of tickets: languages, the default letters, and the templates that a tenant writes itself."""
