"""A table of customers, with every kind of column and with gaps."""

import numpy as np
import polars as pl

ROWS = 300


def customers(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """Rows of every kind of column, with gaps."""
    draw = np.random.default_rng(seed)
    plan, use = draw.choice(["basic", "plus", "pro"], rows), draw.gamma(2, 10, rows)
    days = np.datetime64("2020-01-01") + draw.integers(0, 1500, rows).astype("timedelta64[D]")
    leaves = draw.random(rows) < 1 / (1 + np.exp(-(2 * (plan == "basic") - 0.1 * (use - 20))))
    frame = pl.DataFrame({
        "customer_id": np.arange(rows) + 1000, "plan": plan, "use": use.round(2), "since": days,
        "country": ["DE"] * rows, "letter": draw.choice(["yes", "no"], rows), "group": draw.integers(0, 40, rows),
        "price": (100 + 2 * use).round(2), "churned": np.where(leaves, "yes", "no"),
    })  # fmt: skip
    gap = pl.Series(draw.random(rows) < 0.1)
    return frame.with_columns(pl.when(gap).then(None).otherwise(pl.col(name)).alias(name) for name in ("plan", "use"))
