"""Git-reviewed WhatsApp campaigns as code: what was reviewed is what is sent, each person at most once."""

__version__ = "0.1.0"
