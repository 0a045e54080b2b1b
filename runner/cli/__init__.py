"""The `runner` command, one small file per command: the only place that prints or reads the environment."""
