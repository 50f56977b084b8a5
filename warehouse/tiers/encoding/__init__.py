"""How settled days are stored: one module per table, each with its physical columns, its decoding SQL and its encoder."""
