"""Chaos: a bank and a log of actions on several worker processes, every fault of the table, every invariant checked.

`python -m tests.faults.chaos` (Linux). A run is made of phases, each with a server of its own; what happens when
follows from the seed alone, and is kept as JSON lines that can be played again.
"""
