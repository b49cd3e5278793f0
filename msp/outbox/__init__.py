"""Calls still to be made to other systems: one lane a ticket or other outside object; and what came back."""
