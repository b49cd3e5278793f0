"""The wrapper, as the file it is: run by the interpreters at hand, against a service that misbehaves."""
