"""What things cost in counts that no machine changes: round trips, calls, bytes, instructions. Seconds are the
benchmarks' (``tests/benchmarks``)."""
