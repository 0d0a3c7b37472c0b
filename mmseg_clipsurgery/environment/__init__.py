"""Whether the package can work here: what must be installed, what is broken, and the command that mends it."""
