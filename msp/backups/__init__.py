"""What ran: backup jobs, their state, their runs; recording, schedules and queries."""
