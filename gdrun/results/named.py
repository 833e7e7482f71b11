"""The results of several runs, found by number or by the name of a run."""

from typing import Self, SupportsIndex, overload

from gdrun.config.explain import brief
from gdrun.errors import ConfigError, excerpt
from gdrun.results.run import RunResult


class Results(tuple[RunResult, ...]):
    """The results of several runs: a tuple, and `results["sgd"]` is that of the run `sgd`."""

    __slots__ = ()

    @overload
    def __getitem__(self, key: str | SupportsIndex, /) -> RunResult: ...
    @overload
    def __getitem__(self, key: slice, /) -> Self: ...
    def __getitem__(self, key: str | SupportsIndex | slice, /) -> RunResult | Self:
        """The result of a run, or some of them.

        Raises:
            ConfigError: no run has that name.
            IndexError: there are fewer.
        """
        if isinstance(key, str):
            return self._of(key)
        if isinstance(key, slice):
            return type(self)(super().__getitem__(key))
        return super().__getitem__(key)

    def __contains__(self, key: object, /) -> bool:
        """Whether there is a run of that name, or that result."""
        if isinstance(key, str):
            return any(result.series.name == key for result in self)
        return super().__contains__(key)

    def _of(self, name: str) -> RunResult:
        names = [result.series.name for result in self]
        if name not in names:
            raise ConfigError(
                f"results[{brief(name)}]: no run has that name",
                f"names: {excerpt(', '.join(names)) or 'none'}",
            )
        return self[names.index(name)]
