"""The queue: jobs that install models, kept in a database until a process runs them."""
