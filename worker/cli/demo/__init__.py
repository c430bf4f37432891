"""`seats demo`: a scenario played on real processes, shown as it happens, and checked at the end."""
