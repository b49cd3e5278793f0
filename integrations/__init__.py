"""The outside world: log formats, ticket systems, payment services. No models, no ORM, no Django."""
