"""A run's TensorBoard event file: scalars, text, pictures, hyperparameters and charts, written without a thread.

Written with TensorBoard's own protocol messages; the records around them are framed here, because TensorBoard's writer
starts a thread for every file and takes 20 times as long for a checksum. No torch, no TensorFlow.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Collection, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import google_crc32c
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING

from gridstorm.config import RunConfig, brief, leaves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


AFTER = "· "  # stands before the name of what follows from a swept choice, and after all letters in the alphabet
FLUSH_SECONDS = 5.0
_BUFFER_BYTES = 1 << 16
OURS = ".gridstorm"  # ends the name of each file of ours: those of others are never taken away
OLD = re.compile(r"events\.out\.tfevents\.\d+\.\d{6}\..+\.\d+")  # ours before they had that ending


def written_by_us(directory: Path) -> list[Path]:
    """Return the event files in a directory that this class wrote."""
    files = directory.glob("events.out.tfevents.*")
    return [file for file in files if file.name.endswith(OURS) or OLD.fullmatch(file.name)]


class EventFile:
    """A run's TensorBoard event file, buffered: `flush()` shows what is written, which also happens every 5 seconds.

    A process that is killed leaves a file that TensorBoard reads up to its last whole record.
    """

    def __init__(self, directory: Path) -> None:
        """Open a new `events.out.tfevents.*` file in `directory`, which is made if it is missing."""
        directory.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads a directory's files in the order of their names; microseconds keep that the order of time.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}{OURS}"
        self._file = (directory / name).open("xb", buffering=_BUFFER_BYTES)
        self._flushed = time.monotonic()
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(Event(wall_time=time.time(), session_log=SessionLog(status=SessionLog.START)))
        self.flush()

    def scalars(self, step: int, values: Mapping[str, float], wall_time: float | None = None) -> None:
        """Write all of a step's values, tag by tag, as one event (`wall_time`: seconds since 1970, now if None).

        They are stored as float32. NaN and infinity are written as they are.
        """
        event = Event(step=step, wall_time=time.time() if wall_time is None else wall_time)
        add = event.summary.value.add
        for tag, value in values.items():
            add(tag=tag, simple_value=value)
        self._write(event)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write a block of Markdown for the Text page; `markdown()` makes one that shows a file as it is."""
        self._write_summary(_tensor(tag, "text", markdown.encode()), step)

    def image(self, tag: str, pixels: NDArray[np.uint8], step: int = 0) -> None:
        """Write a picture for the Images page: uint8, [height, width, 3]; a ValueError for anything else."""
        from PIL import Image

        if pixels.dtype != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"The picture {tag!r} is an array of {pixels.dtype} of shape {pixels.shape}. "
                "Give uint8 pixels of shape [height, width, 3]."
            )
        height, width, colours = pixels.shape
        png = BytesIO()
        Image.fromarray(pixels).save(png, format="PNG")
        image = Summary.Image(height=height, width=width, colorspace=colours, encoded_image_string=png.getvalue())
        self._write_summary(Summary.Value(tag=tag, image=image), step)

    def hparams(self, values: Mapping[str, bool | int | float | str], group: str, started: float) -> None:
        """Write the run's row of the HParams page: its hyperparameters with their types; `started`: seconds since 1970.

        Runs of one `group` are one row, which shows the mean of their metrics. A value that is no bool, number or text
        is a ValueError.
        """
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        start = SessionStartInfo(group_name=group, start_time_secs=started)
        for name, value in values.items():
            setattr(start.hparams[name], _value_field(name, value), value)
        self._write_session("start", HParamsPluginData(session_start_info=start))

    def session_end(self, status: Literal["success", "failure"]) -> None:
        """Write that the run is over, and how. Once, at the true end: TensorBoard believes the first one it reads.

        An interrupted run can go on, so it has no end; TensorBoard shows its status as unknown.
        """
        from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        end = SessionEndInfo(
            status={"success": STATUS_SUCCESS, "failure": STATUS_FAILURE}[status], end_time_secs=time.time()
        )
        self._write_session("end", HParamsPluginData(session_end_info=end))

    def charts(self, layout: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Write the Custom Scalars page: sections of charts, each drawing several tags together.

        For example `{"Training": {"loss: train against validation": ["train/loss", "val/loss"]}}`. Runs that write the
        same layout share its charts.
        """
        from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MultilineChartContent

        sections = [
            Category(
                title=title,
                # TensorBoard matches a tag's beginning: without the "$", train/loss would draw train/loss_l1 as well.
                chart=[
                    Chart(title=name, multiline=MultilineChartContent(tag=[f"{re.escape(tag)}$" for tag in tags]))
                    for name, tags in charts.items()
                ],
            )
            for title, charts in layout.items()
        ]
        content = Layout(category=sections).SerializeToString()
        self._write_summary(_tensor("custom_scalars__config__", "custom_scalars", content))

    def flush(self) -> None:
        """Hand everything written so far to the operating system, where TensorBoard and a crash find it."""
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close the file; closing twice does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_session(self, moment: Literal["start", "end"], content: Event) -> None:
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
        nothing = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)]))
        metadata = SummaryMetadata(plugin_data=plugin, data_class=DATA_CLASS_TENSOR)
        self._write_summary(Summary.Value(tag=f"_hparams_/session_{moment}_info", metadata=metadata, tensor=nothing))

    def _write_summary(self, value: Summary.Value, step: int = 0) -> None:
        self._write(Event(step=step, wall_time=time.time(), summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        self._file.write(_record(event.SerializeToString()))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()


def markdown(text: str, language: str = "") -> str:
    """`text` as a Markdown code block that the Text page shows as it is, line by line."""
    # A block ends at the first fence of its own length, so the fence is longer than any in the text.
    longest = max(map(len, re.findall(r"^`+", text, re.MULTILINE)), default=0)
    fence = "`" * max(3, longest + 1)
    # TensorBoard drops null bytes with a warning; the text of an untrained language model is full of them.
    return f"{fence}{language}\n{text.replace(chr(0), chr(0x2400))}\n{fence}"


def _value_field(name: str, value: object) -> str:
    """The field of a protobuf `Value` that holds `value`."""
    if isinstance(value, bool):
        return "bool_value"
    if isinstance(value, (int, float)):
        return "number_value"
    if isinstance(value, str):
        return "string_value"
    raise ValueError(
        f"The hyperparameter {name!r} is {value!r}, of type {type(value).__name__}, which TensorBoard cannot show. "
        "Give a bool, an int, a float or a str, or leave the key out."
    )


def _tensor(tag: str, plugin: str, content: bytes) -> Summary.Value:
    """A value that holds one string, for the page that `plugin` draws."""
    data = SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = SummaryMetadata(plugin_data=data, data_class=DATA_CLASS_TENSOR)
    # No dimension at all: TensorBoard would draw a list of one string as a table.
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=[content])
    return Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def _record(data: bytes) -> bytes:
    """`data` as a TFRecord: its length, the length's checksum, the data, the data's checksum, all little-endian."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated right by 15 bits plus a constant, as TFRecord's format wants it."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def hyperparameters(config: RunConfig, swept: Collection[str] = ()) -> dict[str, bool | int | float | str]:
    """Return a recipe as TensorBoard's table shows it: choices by name, single values by key, without the seeds.

    What merely follows from a swept choice, as `model.depth` does from `model`, is marked with `AFTER`: TensorBoard
    shows first what differs, by the alphabet.
    """
    shown = {key: value for key, value in config.recipe.items() if key not in ("seed", "monitor", "mode")}
    hidden = ("seed", "_target_", "_partial_")
    values = {key: value for key, value in leaves(shown) if key.rpartition(".")[2] not in hidden}
    single = {key: value for key, value in values.items() if isinstance(value, bool | int | float | str)}
    named = [group for group in shown if group in config.choices and group not in ("trainer", "callbacks")]
    groups = {group: config.choices[group] for group in named}
    texts = {key: ", ".join(map(brief, value)) for key, value in values.items() if isinstance(value, list)}
    return {AFTER * (key not in swept and key.partition(".")[0] in swept) + key: value
            for key, value in {**groups, **single, **texts}.items()}  # fmt: skip
