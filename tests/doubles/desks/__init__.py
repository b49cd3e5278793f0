"""Doubles of ticket systems, one module for each native gateway, under the gateway's name."""
