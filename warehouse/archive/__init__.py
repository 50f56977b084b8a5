"""The archive: sealed bundles of full-resolution days. Write, verify, restore, erase, drill; readable without Lakebed."""
