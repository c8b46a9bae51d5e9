"""Hands Hydra's -m to gridstorm.sweep."""
