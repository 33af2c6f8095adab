"""What must hold, with no tolerance: each invariant says how much it looked at, and what it found wrong."""
