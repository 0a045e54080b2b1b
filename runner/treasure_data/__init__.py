"""Treasure Data: whose account, and the way to its APIs; used by segments and logs."""
