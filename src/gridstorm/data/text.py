"""A text file of the user's own."""

from pathlib import Path

from gridstorm.data import TextData


class Text(TextData):
    """The bytes of one file: its beginning to learn from, its end to validate and to test on."""

    def __init__(
        self,
        path: str,
        context: int = 64,
        batch_size: int = 16,
        seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
    ) -> None:
        super().__init__(context, batch_size, seed, 0, val_fraction, test_fraction)
        self.path = path

    def documents(self) -> list[bytes]:
        """The file, as one document. Raises ValueError where it cannot be read or is empty."""
        try:
            file = Path(self.path).expanduser()
            if file.exists() and not file.is_file():  # such as a pipe or a device, whose end would be waited for
                raise ValueError(f"data.path={self.path}: It is no regular file. Give the path of a text file.")
            text = file.read_bytes()
        except (OSError, RuntimeError) as error:  # the second where `~NAME` names nobody
            reason = getattr(error, "strerror", error)
            raise ValueError(
                f"data.path={self.path} cannot be read ({reason}). Give the path of a text file."
            ) from error
        if not text:
            raise ValueError(f"data.path={self.path} is empty. Give the path of a file with text in it.")
        return [text]
