"""The `seats` commands: thin faces on the other rooms, and the supervisor that runs several of them as one."""
