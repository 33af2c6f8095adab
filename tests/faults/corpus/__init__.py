"""The corpus of bad input: at least 300 cases as data, each through every way by which it can come.

None of them may kill a worker or leave a job stuck; what is refused stores nothing.
"""
