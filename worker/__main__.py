"""`python -m worker`: the command line, where the script `duestream` is not on PATH."""

from worker.cli import main

if __name__ == "__main__":
    main()
