"""Cases of the POSIX suite, one module a subject; harness.py has what they share."""
