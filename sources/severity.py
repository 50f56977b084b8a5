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


def severity_join(text: str) -> str:
    """A LEFT JOIN that gives `level` and `level_number` (the lowest OpenTelemetry number) of a text expression, NULL for unknown words.

    (A join, because CASE would evaluate its subject once for every word.)"""
    rows = ", ".join(f"('{word}', '{level}', {NUMBERS[level]})" for level, words in WORDS.items() for word in words)
    return f"LEFT JOIN (VALUES {rows}) AS severities(word, level, level_number) ON severities.word = upper({text})"
