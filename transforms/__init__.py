"""SQL that turns raw into core into mart: one SELECT per file, plus the few frame functions that SQL says badly."""
