"""Where the truth about deliveries is kept: one file per database, found by the ledger URL's scheme."""
