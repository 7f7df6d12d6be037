"""Imports work orders from CSV: `table.py` reads lines, `rows.py` judges them, `batches.py` writes them.

Whatever the size of the file, a batch of a few thousand rows is all that is held in memory. Each batch is a transaction
of its own, so that an import that was stopped is completed by running it again.
"""
