"""Audit sinks beside the log of JSON Lines: ``syslog``, ``webhook``, and ``sql`` for an application's own database."""

from collections.abc import Sequence

from modelpm.api import AuditSink, Context, Setting, hookimpl

SETTINGS = {
    "syslog": (
        Setting("address", "/dev/log", "socket of the local syslog, or HOST:PORT for UDP"),
        Setting("facility", "local0", "facility of the records"),
    ),
    "webhook": (
        Setting("url", "", "where each record is posted as JSON"),
        Setting("queue", 1000, "records that may wait; more are dropped, with a warning"),
    ),
    "sql": (
        Setting("url", "", "database, as SQLAlchemy writes it: postgresql+psycopg://user:password@host/name"),
        Setting("prefix", "modelpm_", "what the names of the tables begin with"),
    ),
}


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare ``[audit.syslog]``, ``[audit.webhook]`` and ``[audit.sql]``."""
    return SETTINGS.get(name) if kind == "audit" else None


@hookimpl
def modelpm_audit(name: str, context: Context) -> AuditSink | None:
    """Open one of the sinks; each is imported when it is asked for."""
    match name:
        case "syslog":
            from modelpm_audit.syslog import Syslog

            return Syslog(context)
        case "webhook":
            from modelpm_audit.webhook import Webhook

            return Webhook(context)
        case "sql":
            from modelpm_audit.sql import Sql

            return Sql(context)
        case _:
            return None
