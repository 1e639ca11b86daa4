"""Making sounds from Python and from the command line, through a running server or without one."""
