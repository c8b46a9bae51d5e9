"""What training makes small: one loss of ours a file; torch's own need none."""
