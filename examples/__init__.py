"""Examples: an app, orders for it, and a demo that breaks things."""
