"""The resources of the API, one file each: its shapes, its filters, its views and how they are documented."""
