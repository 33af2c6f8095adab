"""Properties: the scripts against a model, driven by hypothesis."""
