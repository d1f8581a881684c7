"""What the files of a model are: by their names (``layouts``), and by their bytes (everything else here)."""
