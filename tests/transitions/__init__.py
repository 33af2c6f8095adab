"""The scripts by table: state, call, reply and state."""
