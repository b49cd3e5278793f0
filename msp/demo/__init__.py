"""Demonstration data: two invented providers whose logs run through the real line; see ``msp.demo.filling``."""
