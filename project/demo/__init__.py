"""Demo data: two organisations with a year of work behind them.

`words.py` and `places.py` hold the vocabulary, `titles.py` writes as technicians write, `lives.py` leads an entity from
state to state, `workflows.py` says which ways there are, `work.py` makes the entities, `history.py` the audit trail,
`tables.py` brings rows into the database, and `seeding.py` conducts.

Everything but passwords follows from the seed, the numbers asked for, and the moment that counts as now.
"""
