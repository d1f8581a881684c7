"""An application with a model service of its own: its users, its database, modelpm's API under /api/v1.

Run it with ``uvicorn service:app`` in this folder; needs ``pip install 'modelpm[serve]' sqlalchemy``.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sql
from fastapi import Depends, FastAPI, Header, HTTPException

import modelpm
from modelpm.serve import router

USERS = {"key-of-ada": "ada", "key-of-bob": "bob"}  # an application has its own way
META = sql.MetaData()
INSTALLS = sql.Table(
    "installs",
    META,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("digest", sql.String(80), nullable=False),
    sql.Column("installed_at", sql.DateTime(timezone=True), nullable=False),
)
engine = sql.create_engine(os.environ.get("DATABASE", "sqlite:///installs.db"))


def user(x_key: Annotated[str, Header()] = "") -> str:
    """Return who asks; modelpm writes it into its audit log."""
    if x_key not in USERS:
        raise HTTPException(401, "unknown key")
    return USERS[x_key]


def keep(event: modelpm.Event) -> None:
    """Write what was installed into the application's own database."""
    if event.action != "install.end" or not event.fields["success"]:
        return
    details = event.fields["details"]
    row = {"name": details["name"], "digest": details["digest"], "installed_at": event.time}
    with engine.begin() as connection:
        connection.execute(sql.delete(INSTALLS).where(INSTALLS.c.name == row["name"]))
        connection.execute(sql.insert(INSTALLS).values(row))


manager = modelpm.Manager(on_event=keep)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the table; the router runs the queue by itself."""
    META.create_all(engine)
    yield
    manager.close()


app = FastAPI(lifespan=lifespan)
app.include_router(router(manager, user=user))


@dataclass(frozen=True)
class Summary:
    """What this application shows of a model."""

    name: str
    path: str
    gib: float


@app.get("/models/{name}")
def summary(name: str, _who: Annotated[str, Depends(user)]) -> Summary:
    """Show an installed model as a dataclass of this application."""
    found = next((model for model in manager.installed() if model.name == name), None)
    if found is None:
        raise HTTPException(404, f"{name} is not installed")
    return Summary(found.name, str(found.path), found.bytes / (1 << 30))


@app.get("/history")
def history(_who: Annotated[str, Depends(user)]) -> list[dict[str, str]]:
    """List what was installed, from the application's database."""
    with engine.connect() as connection:
        rows = connection.execute(sql.select(INSTALLS)).mappings()
        return [{key: str(value) for key, value in row.items()} for row in rows]
