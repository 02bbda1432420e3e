"""A benchmark card: what `evals/*.toml` says of a dataset."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tts.verify.extract import DEFAULT


class Card(BaseModel):
    """A benchmark card; `evals/*.toml` holds one a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    size: int | None = Field(default=None, gt=0)
    """Problems, as far as it is known."""

    hub: str | None = None
    """Hub dataset id. Without one, `file` names a JSONL next to the card."""
    config: str | None = None
    data_files: str | None = None
    revision: str | None = None
    """The commit; without one, that of the hub's main branch when the data are loaded."""
    split: str = "test"
    columns: tuple[str, ...] = ()
    """Load these columns alone, streamed: for datasets with gigabytes of others."""
    gated: bool = False
    """Whether the hub asks for an account that has accepted the dataset's terms."""
    file: str | None = None

    question: str | None = None
    target: str | None = None
    target_in: Literal["value", "solution", "list"] = "value"
    """How the target column says it: as itself (`####` and \\boxed are understood), in the last box of a worked
    solution and nowhere else, or as a list of answers that are all asked for."""
    tolerance: str | None = None
    """Column with the absolute error that a numeric answer may have; several are parted by commas."""
    context: str | None = None
    choices: str | tuple[str, ...] | None = None
    """Column with a list of options, or the columns of the options; the target may then be an option's content."""
    permute: bool = False
    """Show the options in an order drawn from a hash of the problem's id."""
    id: str | None = None
    level: str | None = None
    subject: str | None = None
    cluster: str | None = None
    """Column that is equal for problems which are not independent, such as those of one template."""
    where: dict[str, tuple[float, float]] = {}
    """Column to least and greatest value: other rows are left out."""
    holdout: int | None = Field(default=None, gt=1)
    """Keep one row in this many, chosen by a hash of the question, whatever the order of rows."""

    prompt: str = "cot"
    extract: tuple[str, ...] = DEFAULT
    checker: Literal["symbolic"] = "symbolic"
    max_tokens: int | None = Field(default=None, gt=0)
    citation: str = ""
    license: str = ""
    homepage: str = ""

    @property
    def source(self) -> str:
        """Where the problems come from: the hub's id with the configuration, or the file."""
        return f"{self.hub}/{self.config}" if self.hub and self.config else self.hub or self.file or ""
