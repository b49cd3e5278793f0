"""What is told at the end of a night and of a month: verdicts, the morning list, reviews, clients' reports."""
