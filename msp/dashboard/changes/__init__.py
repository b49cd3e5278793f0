"""Changes that people make on the pages of money and settings and that no other part has a function for.

Each is one transaction with its audit entry; what was is told beside what is, and never a secret.
"""
