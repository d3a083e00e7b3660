"""The JSON of the API, checked by pydantic: what clients send, and what they get."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

DEFAULT_PAGE = 30
LARGEST_PAGE = 200
DEEPEST_HIT = 2000
"""No page of hits goes further than the best so many."""
MOST_PICTURES = 16
"""Pictures in one query."""
ID_PATTERN = r"^[0-9a-f]{64}$"


class QueryPicture(BaseModel):
    """A picture to search with: an indexed one, or one that was sent to /api/uploads."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, pattern=ID_PATTERN, description="SHA-256 of an indexed picture")
    upload: str | None = Field(
        None,
        max_length=64,
        validation_alias=AliasChoices("upload", "look"),  # its name in 0.1
        description="the name that /api/uploads gave it",
    )
    weight: float = Field(1.0, gt=0, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one(self) -> QueryPicture:
        if (self.id is None) == (self.upload is None):
            raise ValueError("say either 'id' or 'upload'")
        return self


class Filters(BaseModel):
    """Which hits are wanted, and how many."""

    model_config = ConfigDict(extra="forbid")

    folder: str | None = Field(None, max_length=4096, description="only pictures in this folder")
    filter: list[str] = Field(
        [],
        max_length=16,
        validation_alias=AliasChoices("filter", "only"),  # its name in 0.1
        description="only paths that match these patterns; `!` takes away",
    )
    min_score: float | None = Field(None, allow_inf_nan=False)
    limit: int = Field(DEFAULT_PAGE, ge=1, le=LARGEST_PAGE)
    offset: int = Field(0, ge=0, le=DEEPEST_HIT)
    include_self: bool = Field(False, description="also the pictures of the query")

    @model_validator(mode="after")
    def _is_within_limits(self) -> Filters:
        if self.offset + self.limit > DEEPEST_HIT:
            raise ValueError(f"offset and limit go beyond the best {DEEPEST_HIT:,}")
        if not all(0 < len(one) <= 255 for one in self.filter):
            raise ValueError("filter: a pattern has 1 to 255 characters")
        return self


class QueryRequest(Filters):
    """A query: more like these, less like those."""

    like: list[QueryPicture] = []
    unlike: list[QueryPicture] = []
    text: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="also like this description, where the store has a text space",
    )

    @model_validator(mode="after")
    def _is_about_something(self) -> QueryRequest:
        pictures = len(self.like) + len(self.unlike)
        if not (0 if self.text else 1) <= pictures <= MOST_PICTURES:
            raise ValueError(f"name 1 to {MOST_PICTURES} pictures, like and unlike together")
        return self


class FoundPicture(BaseModel):
    """One hit."""

    id: str = Field(description="SHA-256 of its file's content, in hex")
    rank: int = Field(description="1 is the most alike")
    score: float
    name: str
    folder: str = Field(description="below the folders that were indexed")
    width: int
    height: int
    copies: int = Field(description="other paths that show the same picture")


class QueryResponse(BaseModel):
    """A page of hits."""

    hits: list[FoundPicture]
    total_pictures: int
    more: bool = Field(description="whether there is another page")
    took_ms: float


class UploadReceipt(BaseModel):
    """An uploaded picture, as the server remembers it."""

    upload: str = Field(description="search with this name for as long as it is remembered")
    width: int
    height: int
    known: str | None = Field(description="its id, where it is indexed")


class PublicPath(BaseModel):
    """A path of a picture, below the folders that were indexed."""

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
    paths: list[PublicPath]


class RandomPictures(BaseModel):
    """Pictures to begin with."""

    pictures: list[PictureFacts]


class TopFolder(BaseModel):
    """A folder to filter by."""

    name: str
    pictures: int | None = Field(None, description="left out where there are too many to count")


class ClientLimits(BaseModel):
    """What clients should keep to."""

    upload_bytes: int
    page: int
    deepest: int
    pictures_a_query: int


class ServiceInfo(BaseModel):
    """What is served."""

    version: str
    store: str
    pictures: int
    paths: int
    generation: int
    backbone: str
    lens: bool
    dimension: int
    text: bool = Field(description="whether it can be searched with a text")
    why: bool
    folders: list[TopFolder]
    limits: ClientLimits


class Failure(BaseModel):
    """What went wrong."""

    error: str


def filters_of(query: Any) -> Filters:
    """Filters out of a URL's query (Starlette's `QueryParams`).

    Raises:
        ValidationError: a value makes no sense.
    """
    values: dict[str, Any] = dict(query)
    values.pop("crop", None)
    values.update({name: query.getlist(name) for name in ("filter", "only") if name in values})
    return Filters.model_validate(values)
