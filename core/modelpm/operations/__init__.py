"""The verbs, each made from the rooms below; the library calls them and adds nothing but threads."""
