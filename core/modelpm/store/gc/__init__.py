"""Garbage collection: roots, leases, leftovers, and the check after a crash."""
