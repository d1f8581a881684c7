"""What the API takes and answers, as OpenAPI describes it; the keys are those of ``--json``."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
JobId = Annotated[int, Field(ge=1, le=(1 << 63) - 1)]


class Items(BaseModel, Generic[T]):
    """A list."""

    items: list[T]


class Problem(BaseModel):
    """An error, as ``application/problem+json``."""

    type: str = "about:blank"
    title: str = Field(description="What failed, and why.")
    status: int
    code: str = Field(description="One of modelpm's error codes.")
    hints: list[str] = Field(description="What to do next.")
    retryable: bool
    job: int | None = Field(default=None, description="The job that wants the same already.")


class Model(BaseModel):
    """An installed model."""

    name: str
    model: str
    release: str
    variant: str
    format: str
    bytes: int
    digest: str
    source: str
    environment: str
    path: str
    entry_point: str


class Freed(BaseModel):
    """What a deletion came to."""

    name: str
    freed: int = Field(description="Bytes that left the disk.")
    note: str = Field(description="What stayed, and why.")


class Checked(BaseModel):
    """One file that was verified."""

    model_config = ConfigDict(extra="ignore")

    name: str
    file: str
    ok: bool
    problem: str
    repaired: bool = False


class Entry(BaseModel):
    """A model of a catalog."""

    id: str
    catalog: str
    title: str
    license: str
    tasks: list[str]
    variants: list["Variant"]


class Variant(BaseModel):
    """One variant of a catalog's model."""

    name: str
    format: str
    bytes: int | None
    recommended: bool
    fits: bool | None = Field(description="Whether it fits the memory of this machine; null if unknown.")
    installed: bool


class Wanted(BaseModel):
    """What to install."""

    model_config = ConfigDict(extra="forbid")

    spec: str = Field(min_length=1, max_length=2000, description="A full spec, as of `modelpm install`.")
    name: str | None = Field(default=None, max_length=64)
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    allow_pickle: bool = False
    allow_code: bool = False


class Job(BaseModel):
    """An install that waits, runs, or ended."""

    id: int
    spec: str
    name: str
    status: str = Field(description="queued, running, paused, completed, failed or cancelled")
    downloaded_bytes: int
    total_bytes: int | None
    error: str | None
    priority: int
    added_at: str
    changed_at: str


class Share(BaseModel):
    """One part of what the store holds."""

    kind: str
    name: str
    environment: str
    files: int
    bytes: int


class Disk(BaseModel):
    """What takes the space."""

    path: str
    bytes: int
    free: int
    items: list[Share]


class Health(BaseModel):
    """That the service is up."""

    status: str = "ok"
    version: str


Entry.model_rebuild()
