"""Adapters, one small file for each system."""
