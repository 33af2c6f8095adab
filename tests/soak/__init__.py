"""An hour under steady load, and whether anything grew meanwhile: `make soak MINUTES=60`."""
