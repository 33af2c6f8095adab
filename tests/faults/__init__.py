"""What breaks from outside: faults and bad input."""
