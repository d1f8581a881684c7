"""The lock: models pinned to the byte, the one form they are written in, and how two locks become one again."""
