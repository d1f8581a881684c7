"""The lock: models pinned to the byte, the canonical form of the file, and the merge of two locks."""
