"""HTTP: one module a contract, one list of routes, one table of errors."""
