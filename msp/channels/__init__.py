"""Ways in besides HTTP: mail by our own listener, mailboxes and other systems that are asked now and then."""
