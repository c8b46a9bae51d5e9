"""Hands Hydra's -m to gridstorm.sweeper."""
