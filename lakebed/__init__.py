"""The front door: the command line, and the simulated company it can show."""
