"""Starts Backledger on a bare machine: make run, make test and what belongs to them.

Standard library only, because it runs before anything is installed. It makes the virtual environment, starts private
PostgreSQL and Redis servers where none are named, and watches over the processes it started.
"""
