"""Gridstorm: compose, train, record and explain deep-learning experiments."""
