"""The node's SQLite file: one process, one writer thread, one unit of work per change.

Reading order: database (Db: rows, write, unit), migrate (the schema files, once and in order),
thread (Store: units of work on a thread of their own).
"""
