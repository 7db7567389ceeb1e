"""The registry's database: SQLite, or PostgreSQL at scale, through SQLAlchemy Core.

Reading order: database.py (engine, pool, units of work), tables/ (what each room keeps, one file
per room), schema.py (all of it as one), migrations/ (numbered steps), migrate.py (runs them).
"""
