"""How the learning rate changes in a run: one scheduler of ours a file; torch's own need none.

A scheduler that takes `total_steps` or `T_max`, and whose configuration leaves it out, is given the run's number of
optimizer steps and moves every step; every other one moves every epoch.
"""
