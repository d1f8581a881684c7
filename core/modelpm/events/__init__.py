"""Who is told what happens: progress and audit."""
