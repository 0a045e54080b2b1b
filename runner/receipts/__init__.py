"""Receipts from a file that a person exported at the provider: what became of messages after they were sent.

One straight line: text_file (bytes -> lines) -> csv_file (lines -> records, below their header) -> mapping
(which column says what) -> reading (records -> rows in DuckDB) -> matching (rows -> deliveries of the ledger)
-> importing (the accounts, and the receipts to record).
"""
