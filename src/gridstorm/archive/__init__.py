"""What is kept: listed, compared, confirmed, renamed, thrown away, opened on TensorBoard."""

from gridstorm.archive.command_line import add_commands

__all__ = ["add_commands"]
