"""The tests tested: sabotaged scripts, and scripts that fail midway."""
