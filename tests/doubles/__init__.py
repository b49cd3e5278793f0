"""Real servers that stand in for other systems: a ticket system, a mail server and Stripe, each able to fail."""
