"""What all share and nothing heavy is needed for: errors, arguments, paths, the ledger, statistics."""

__version__ = "0.1.0"
