"""Turns marts into HTML, Markdown, CSV and Parquet. Reads only."""
