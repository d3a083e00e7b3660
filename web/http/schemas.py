"""What clients ask and are told: the JSON of the API, checked by pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

PAGE = 30
LARGEST_PAGE = 200
DEEPEST = 2000
"""No answer goes further than so many hits."""
MOST_PICTURES = 16
"""With which one can ask at once."""
ID = r"^[0-9a-f]{64}$"


class Part(BaseModel):
    """A picture to ask with: an indexed one, or one that was shown to /api/looks."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, pattern=ID, description="SHA-256 of an indexed picture")
    embedding: str | None = Field(None, max_length=64, description="what /api/looks called it")
    weight: float = Field(1.0, gt=0, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one(self) -> Part:
        if (self.id is None) == (self.embedding is None):
            raise ValueError("say either 'id' or 'look'")
        return self


class Filters(BaseModel):
    """Which answers are wanted, and how many."""

    model_config = ConfigDict(extra="forbid")

    folder: str | None = Field(None, max_length=4096, description="only what lies in it")
    filter: list[str] = Field(
        [], max_length=16, description="only paths that these patterns let through; `!` takes away"
    )
    min_score: float | None = Field(None, allow_inf_nan=False)
    limit: int = Field(PAGE, ge=1, le=LARGEST_PAGE)
    offset: int = Field(0, ge=0, le=DEEPEST)
    include_self: bool = Field(False, description="also the pictures that are asked with")

    @model_validator(mode="after")
    def _is_within_limits(self) -> Filters:
        if self.offset + self.limit > DEEPEST:
            raise ValueError(f"offset and limit go beyond the best {DEEPEST:,}")
        if not all(0 < len(one) <= 255 for one in self.filter):
            raise ValueError("only: a pattern has 1 to 255 characters")
        return self


class Question(Filters):
    """More like these, less like those."""

    like: list[Part] = []
    unlike: list[Part] = []
    text: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="also like this description, where the store keeps words",
    )

    @model_validator(mode="after")
    def _is_about_something(self) -> Question:
        pictures = len(self.like) + len(self.unlike)
        if not (0 if self.text else 1) <= pictures <= MOST_PICTURES:
            raise ValueError(f"name 1 to {MOST_PICTURES} pictures, like and unlike together")
        return self


class FoundPicture(BaseModel):
    """One answer."""

    id: str = Field(description="SHA-256 of its file's content, in hex")
    rank: int = Field(description="1 is the most alike")
    score: float
    name: str
    folder: str = Field(description="below the folders that were indexed")
    width: int
    height: int
    copies: int = Field(description="other paths that show the same picture")


class QueryResponse(BaseModel):
    """A page of answers."""

    hits: list[FoundPicture]
    total_pictures: int
    more: bool = Field(description="whether there is another page")
    took_ms: float


class UploadedQuery(BaseModel):
    """An uploaded picture, looked at."""

    embedding: str = Field(description="ask with it for as long as it is remembered")
    width: int
    height: int
    known: str | None = Field(description="its id, where it is indexed")


class Place(BaseModel):
    """Where a picture lies."""

    folder: str
    name: str


class PictureFacts(BaseModel):
    """What the store knows of a picture."""

    id: str
    name: str
    folder: str
    width: int
    height: int
    format: str
    file_bytes: int
    paths: list[Place]


class Sample(BaseModel):
    """Pictures to begin with."""

    pictures: list[PictureFacts]


class Folder(BaseModel):
    """A folder to filter by."""

    name: str
    pictures: int | None = Field(None, description="left out where there are too many to count")


class LimitsTold(BaseModel):
    """What clients should keep to."""

    upload_bytes: int
    page: int
    deepest: int
    pictures_a_query: int


class Info(BaseModel):
    """What is served."""

    version: str
    store: str
    pictures: int
    paths: int
    generation: int
    backbone: str
    lens: bool
    dimension: int
    text: bool
    why: bool
    folders: list[Folder]
    limits: LimitsTold


class Failure(BaseModel):
    """What went wrong."""

    error: str


def from_query(query: Any) -> Filters:
    """Filters out of a URL's query (Starlette's `QueryParams`).

    Raises:
        ValidationError: a value makes no sense.
    """
    values: dict[str, Any] = dict(query)
    values.pop("crop", None)
    if "only" in values:
        values["only"] = query.getlist("only")
    return Filters.model_validate(values)
