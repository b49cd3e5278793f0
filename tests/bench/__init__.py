"""Measures the running product: ``make bench``. Never part of the tests, because a figure depends on the machine.

It starts the same web server and worker as ``make run``, posts logs over HTTP, and lets them be carried through the
line to incidents. Database, load and product share the machine's cores. Ratios within one run are what counts.
"""
