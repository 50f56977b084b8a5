"""The foundation: contracts, the lake, tiers, retention, archive, publishing and SQL access. Imports no other room."""
