"""Side-by-side measurements. Each module prints a table, and as its last line one JSON object."""
