"""Moves data between tiers: settle (compact) and publish."""
