"""Flagging: facts, rules, incidents, routes and tickets."""
