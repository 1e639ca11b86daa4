"""Who may call what: the guard before every route, and the connection under it."""
