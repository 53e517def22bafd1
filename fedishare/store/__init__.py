"""Store: rows in, values out. SQLite and PostgreSQL behind the same plain-function transactions.

`db` says what a transaction and a database are, `dialect` holds the differences of the two SQLs, `sqlite` and
`postgres` are the engines, `migrate` brings a database to the schema of this version; the other modules
are queries, one module per noun.
"""
