"""How a run is watched: one Lightning callback a file."""
