"""What a client holds, and under which lease: docs/callers-memory.md in Python.

Nothing in here reads a clock, waits or sends: the time is given, and what is to be sent is returned. It is not thread-safe.
"""
