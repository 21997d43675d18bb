"""
The durable state in SQL: SQLAlchemy Core on one schema, SQLite embedded.

`tables` is the schema, `migrations` its history, `transaction` the administrator's reads and writes, `snapshot` the
policy in memory, `writer` the record that the hot path waits for. Database errors become ours in `engine.translated`.
"""
