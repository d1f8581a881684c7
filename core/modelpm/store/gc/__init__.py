"""What may be freed and what may not: roots, leases, leftovers, crash recovery."""
