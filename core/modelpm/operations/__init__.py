"""The verbs, each built from the packages below; the library calls them and adds nothing but threads."""
