"""Severities as log formats write them, as one of OpenTelemetry's six or UNKNOWN, in SQL."""

from __future__ import annotations

WORDS = {
    "TRACE": ("TRACE", "FINEST", "FINER", "VERBOSE", "T"),
    "DEBUG": ("DEBUG", "FINE", "DBG", "D"),
    "INFO": ("INFO", "INFORMATION", "INFORMATIONAL", "NOTICE", "CONFIG", "I"),
    "WARN": ("WARN", "WARNING", "W"),
    "ERROR": ("ERROR", "ERR", "SEVERE", "E"),
    "FATAL": ("FATAL", "CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "F"),
}
NUMBERS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


def severity_sql(text: str) -> str:
    """SQL for the severity of a text expression; UNKNOWN for NULL and for words that none of the levels has."""
    whens = " ".join(f"WHEN upper({text}) IN ({', '.join(repr(w) for w in words)}) THEN '{level}'" for level, words in WORDS.items())
    return f"CASE {whens} ELSE 'UNKNOWN' END"


def severity_number_sql(severity: str) -> str:
    """SQL for the lowest OpenTelemetry number of a severity; NULL for UNKNOWN."""
    return f"CASE {severity} {' '.join(f'WHEN {level!r} THEN {number}' for level, number in NUMBERS.items())} END"
