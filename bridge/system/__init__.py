"""The machine underneath: disk, threads, addresses, small databases, walls around child processes."""
