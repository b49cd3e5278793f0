"""The doors in: bodies and receipts, channels, assignment of runs to jobs, the inbox, replay."""
