"""Turn tables of ids into int32 codes, and check input."""
