"""The manifest: what a project asks for, its rules, edits that keep comments, and what the lock lacks of it."""
