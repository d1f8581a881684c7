"""Records in a database, and beside them what is installed now: for applications that keep model metadata themselves.

Two tables, ``modelpm_audit`` and ``modelpm_models``, are made with the first record.
"""

from typing import Any

from modelpm.api import Context, Event, Secret, StoreError, UsageError
from modelpm_audit.record import record_of

_MOST_NAME = 512


class Sql:
    """Writes through SQLAlchemy, which knows the user's database."""

    def __init__(self, context: Context) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise UsageError(
                "the audit sink `sql` needs SQLAlchemy, which is not installed", hints=["pip install 'modelpm[sql]'"]
            ) from error
        self._sql = sqlalchemy
        try:
            url = sqlalchemy.make_url(str(context.settings["url"]))
            if url.password:
                Secret(str(url.password))  # so that no message holds it
            self._engine = sqlalchemy.create_engine(url, pool_pre_ping=True)
        except (sqlalchemy.exc.ArgumentError, ImportError) as error:
            raise UsageError(
                f"the audit sink `sql` cannot use its database: {type(error).__name__}",
                hints=["modelpm config set audit.sql.url sqlite:////path/of/the.db"],
            ) from error
        self._prefix = str(context.settings["prefix"])
        self._tables: tuple[Any, Any] | None = None

    def write(self, event: Event) -> None:
        """Write one record, and what it changes, in one transaction.

        Raises:
            StoreError: The database refuses.
        """
        row = record_of(event)
        try:
            records, models = self._made()
            with self._engine.begin() as connection:
                cut = {key: row[key][:_MOST_NAME] for key in ("user_id", "resource_id")}
                connection.execute(self._sql.insert(records).values({**row, **cut}))
                self._follow(connection, models, {**row, **cut})
        except self._sql.exc.SQLAlchemyError as error:
            raise StoreError(f"the audit database cannot be written: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _made(self) -> tuple[Any, Any]:
        if self._tables is None:
            sql, known = self._sql, self._sql.MetaData()
            name = sql.String(_MOST_NAME)
            records = sql.Table(
                f"{self._prefix}audit",
                known,
                sql.Column("id", sql.Integer, primary_key=True),
                *(
                    sql.Column(key, sql.String(64))
                    for key in ("timestamp", "run", "event_type", "resource_type", "action")
                ),
                *(sql.Column(key, name) for key in ("user_id", "resource_id")),
                sql.Column("success", sql.Boolean, nullable=True),
                sql.Column("details", sql.JSON),
            )
            models = sql.Table(
                f"{self._prefix}models",
                known,
                sql.Column("name", name, primary_key=True),
                *(sql.Column(key, sql.String(64)) for key in ("timestamp", "action")),
                sql.Column("user_id", name),
                sql.Column("details", sql.JSON),
            )
            known.create_all(self._engine)
            self._tables = records, models
        return self._tables

    def _follow(self, connection: Any, models: Any, row: dict[str, Any]) -> None:
        """Keep the table of models as the end of an act leaves them."""
        if row["resource_type"] != "model" or not row["success"] or not row["event_type"].endswith(".end"):
            return
        if row["action"] not in {"install", "upgrade", "uninstall", "add", "sync"}:
            return
        connection.execute(self._sql.delete(models).where(models.c.name == row["resource_id"]))
        if row["action"] != "uninstall":
            kept = {key: row[key] for key in ("timestamp", "action", "user_id", "details")}
            connection.execute(self._sql.insert(models).values(name=row["resource_id"], **kept))
