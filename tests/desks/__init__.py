"""Real ticket systems, started for the tests from environments that ``launch.desks`` makes."""
