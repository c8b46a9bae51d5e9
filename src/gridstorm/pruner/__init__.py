"""Which runs are cut short: one rule a file; most are Optuna's own and have no file here."""
