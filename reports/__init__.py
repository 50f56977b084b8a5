"""Turns marts into HTML, PDF, XLSX, Markdown, CSV and Parquet. Reads only.

Belongs here: which questions a report answers, its words, tables and charts, and the writers of each format.
Does not belong here: statistics (they stand in the marts), opening the lake (a connection is handed in).
"""

from reports.rendering import FORMATS, REPORTS, ReportError, render

__all__ = ["FORMATS", "REPORTS", "ReportError", "render"]
