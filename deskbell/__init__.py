"""The program: command line, configuration, and the one place where all parts are put together."""
