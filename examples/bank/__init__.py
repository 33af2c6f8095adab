"""Money that is moved while workers are killed: `python -m examples.bank.run`."""
