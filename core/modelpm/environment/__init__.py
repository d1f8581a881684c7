"""An environment: a set of locked models, the folder in which they appear, and what counts on their blobs."""
