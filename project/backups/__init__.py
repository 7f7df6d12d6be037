"""Backups of the database that are known to be good: each says what it holds, and is compared with that.

Redis is in none: what it holds (limits, results of searches, persisted queries, copies of sessions) may go at any time.
"""
