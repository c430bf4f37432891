"""State in Redis: one file per thing kept, Lua scripts beside them."""
