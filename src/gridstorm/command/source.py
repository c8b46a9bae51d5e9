"""Where Hydra finds choices that are named and never listed: a preset by its path, a class by its dotted path."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin


class Unlisted(ConfigSource):
    """A source whose choices are known to who names them."""

    def is_group(self, config_path: str) -> bool:
        """Return false: no choices are listed here."""
        return False

    def available(self) -> bool:
        """Return true: it is no folder that could be missing."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return nothing."""
        return []


def register(source: type[ConfigSource]) -> None:
    """Let Hydra look there, before it looks into its folders."""

    class Place(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            """Put the source into the search path."""
            search_path.prepend("gridstorm", f"{source.scheme()}://")

    for plugin in (source, Place):
        Plugins.instance().register(plugin)
