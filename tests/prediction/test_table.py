"""A table of one's own: what its columns become, how it is split, what is refused, and that nothing leaks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from customers import ROWS, customers
from gridstorm.data._column import Column
from gridstorm.data.table import Table


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of customers."""
    path = tmp_path_factory.mktemp("table") / "customers.csv"
    customers().write_csv(path)
    return path


def made(path: Path, target: str | list[str] = "churned", **settings: Any) -> Table:
    data = Table(str(path), target, **settings)
    data.setup()
    return data


def kinds(data: Table) -> dict[str, str]:
    return {name: kind for name, kind, _ in data.told()}


def test_each_column_is_told_by_what_it_holds(file: Path) -> None:
    data = made(file, ignore=["group"])
    assert kinds(data) == {
        "customer_id": "left out", "plan": "category", "use": "number", "since": "date", "country": "left out",
        "letter": "boolean", "price": "number",
    }  # fmt: skip
    notes = {name: note for name, _, note in data.told()}
    assert notes["country"] == "constant: DE" and "identifier" in notes["customer_id"] and "missing" in notes["plan"]
    assert data.cardinalities == (4,)  # three plans, and that it is missing
    assert data.input_shape == (1 + 5 + 1 + 1 + 1 + 1,)  # use, since, letter, price, whether use is missing, plan
    assert (data.task, data.num_outputs, data.class_names) == ("classification", 2, ("no", "yes"))


@pytest.mark.parametrize("suffix", ["csv.gz", "tsv", "parquet", "jsonl"])
def test_a_table_is_the_same_in_every_format(file: Path, suffix: str, tmp_path: Path) -> None:
    frame, other = pl.read_csv(file, try_parse_dates=True), tmp_path / f"customers.{suffix}"
    match suffix:
        case "parquet":
            frame.write_parquet(other)
        case "jsonl":
            frame.write_ndjson(other)
        case "tsv":
            frame.write_csv(other, separator="\t")
        case _:
            import gzip

            other.write_bytes(gzip.compress(frame.write_csv().encode()))
    assert made(other).fingerprint() == made(file).fingerprint()


def test_semicolons_and_decimal_commas_are_read_as_a_spreadsheet_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("size;kind\n" + "".join(f"{n},5;{'ab'[n % 2]}\n" for n in range(40)))
    data = made(file, "kind")
    assert kinds(data) == {"size": "number"}
    x = torch.cat([data.parts[part][0] for part in ("train", "val", "test")])
    assert len({*x.flatten().tolist()}) == 40


def test_what_is_fitted_is_fitted_to_the_training_part_alone(tmp_path: Path) -> None:
    frame = customers()
    data = made(_written(frame, tmp_path / "a.csv"))
    rows = _parts(data, frame)
    # Were a validation or a test row looked at, these would change what the training rows become.
    outside = frame.with_row_index().with_columns(
        use=pl.when(pl.col("index").is_in(rows["train"])).then("use").otherwise(1e6),
        plan=pl.when(pl.col("index").is_in(rows["train"])).then("plan").otherwise(pl.lit("never seen")),
    )
    spoiled = made(_written(outside.drop("index"), tmp_path / "b.csv"))
    assert torch.equal(data.parts["train"][0], spoiled.parts["train"][0])
    assert data.cardinalities == spoiled.cardinalities
    assert (spoiled.parts["test"][0][:, -1] == -1).all()  # of a category that training did not see


def _written(frame: pl.DataFrame, file: Path) -> Path:
    frame.write_csv(file)
    return file


def _parts(data: Table, frame: pl.DataFrame) -> dict[str, list[int]]:
    assert data.target is not None
    y, _ = data.target.encode(frame)
    return {part: index.tolist() for part, index in data._parts(frame, y).items()}


def test_the_whole_of_a_group_is_in_one_part(file: Path) -> None:
    data, frame = made(file, split="group", by="group"), pl.read_csv(file)
    parts = {part: {*frame["group"][rows]} for part, rows in _parts(data, frame).items()}
    assert sum(map(len, parts.values())) == frame["group"].n_unique()
    assert "group" not in kinds(data)
    assert 0.1 < len(data.parts["test"][1]) / ROWS < 0.3


def test_the_last_rows_in_time_are_the_test_and_those_before_them_validate(file: Path) -> None:
    data, frame = made(file, split="time", by="since"), pl.read_csv(file, try_parse_dates=True)
    rows = _parts(data, frame)
    first, middle, last = (frame["since"][rows[part]] for part in ("train", "val", "test"))
    assert first.max() <= middle.min() and middle.max() <= last.min()  # type: ignore[operator]
    assert [len(rows[part]) for part in ("train", "val", "test")] == [210, 30, 60]


def test_a_column_says_the_part(tmp_path: Path) -> None:
    parts = ["train"] * 200 + ["validation"] * 40 + ["test"] * 60
    data = made(
        _written(customers().with_columns(part=pl.Series(parts)), tmp_path / "a.csv"), split="column", by="part"
    )
    assert [len(data.parts[part][1]) for part in ("train", "val", "test")] == [200, 40, 60]


@pytest.mark.parametrize(
    ("target", "task", "outputs"),
    [("price", "regression", 1), (["price", "use"], "regression", 2), ("churned", "classification", 2),
     ("group", "regression", 1), (["flag", "other"], "multilabel", 2)],
)  # fmt: skip
def test_the_target_tells_what_is_learned(tmp_path: Path, target: Any, task: str, outputs: int) -> None:
    draw = np.random.default_rng(0)
    more = customers().with_columns(flag=draw.integers(0, 2, ROWS), other=draw.choice(["yes", "no"], ROWS))
    data = made(_written(more, tmp_path / "a.csv"), target)
    assert (data.task, data.num_outputs) == (task, outputs)
    assert data.why
    if task == "regression":
        assert data.parts["train"][1].mean(0).abs().max() < 1e-5


def test_a_task_that_is_asked_for_is_taken_and_rows_without_a_target_are_counted(tmp_path: Path) -> None:
    frame = customers().with_columns(mark=pl.Series([n % 4 if n % 10 else None for n in range(ROWS)]))
    file = _written(frame, tmp_path / "a.csv")
    assert made(file, "mark").task == "classification" and made(file, "mark").class_names == ("0", "1", "2", "3")
    numbers = made(file, "mark", task="regression")
    assert numbers.task == "regression" and numbers.left_out == 30


def test_rows_count_by_their_weights_in_training_alone(tmp_path: Path) -> None:
    heavy = pl.Series([9.0 if number % 10 == 0 else 1.0 for number in range(ROWS)])
    file = _written(customers().with_columns(heavy=heavy, tenth=heavy > 5), tmp_path / "a.csv")
    data = made(file, weight="heavy")
    assert "heavy" not in kinds(data) and "tenth" in kinds(data)
    loader = data.train_dataloader()
    shares = []
    for epoch in range(20):
        loader.set_epoch(epoch)
        x = torch.cat([x for x, _ in loader])
        shares.append(float((x[:, _place(data, "tenth")] > 0).float().mean()))
    assert 0.4 < sum(shares) / 20 < 0.6  # a tenth of the rows, nine times as heavy
    assert sum(len(y) for _, y in data.val_dataloader()) == len(data.parts["val"][1])
    with pytest.raises(ValueError, match=r"data\.weight=plan"):
        made(file, weight="plan")


def _column(data: Table, name: str) -> Column:
    assert data.encoder is not None
    return next(one for one in data.encoder.columns if one.name == name)


def _place(data: Table, name: str) -> int:
    """Return at which place of x a column of numbers is."""
    assert data.encoder is not None
    before = [one for one in data.encoder.used if one.kind != "category"]
    names = [one.name for one in before]
    return sum(5 if one.kind == "date" else 1 for one in before[: names.index(name)])


def test_rare_values_of_a_category_count_as_one(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = customers().with_columns(city=pl.Series([f"city{int(n)}" for n in draw.gamma(1, 10, ROWS)]))
    assert made(_written(frame, tmp_path / "a.csv"), max_categories=10).cardinalities == (4, 10)


def test_cells_that_are_no_numbers_are_missing_and_said(tmp_path: Path) -> None:
    text = customers().with_columns(pl.col("price").cast(pl.String))
    text[7, "price"] = "12 Euro"
    data = made(_written(text, tmp_path / "a.csv"))
    assert "12 Euro" in next(note for name, _, note in data.told() if name == "price")
    assert kinds(data)["price"] == "number"


@pytest.mark.parametrize(
    ("form", "read", "swappable"),
    [("%d/%m/%Y", "%d/%m/%Y", False), ("%m/%d/%Y", "%m/%d/%Y", False), ("%d.%m.%y", "%d.%m.%y", False),
     ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%.fZ", False), ("%m/1/%Y", "%d/%m/%Y", True)],
)  # fmt: skip
def test_dates_are_read_by_the_one_format_that_reads_them_and_the_card_names_it(
    tmp_path: Path, form: str, read: str, swappable: bool
) -> None:
    days = [datetime(2024, 1, 1, 9) + timedelta(days=number) for number in range(ROWS)]
    frame = customers().with_columns(since=pl.Series([day.strftime(form) for day in days]))
    note = next(note for name, _, note in made(_written(frame, tmp_path / "a.csv")).told() if name == "since")
    assert f"read as {read}" in note and ("another order of day and month" in note) is swappable


def test_the_format_of_dates_can_be_given(tmp_path: Path) -> None:
    frame = customers().with_columns(since=pl.Series([f"{n % 12 + 1:02}/{n % 7 + 1:02}/2024" for n in range(ROWS)]))
    file = _written(frame, tmp_path / "a.csv")
    told, given = made(file), made(file, date_format="%m/%d/%Y")
    assert [_column(data, "since").form for data in (told, given)] == ["%d/%m/%Y", "%m/%d/%Y"]
    assert told.fingerprint() != given.fingerprint()


def test_rows_come_in_the_order_of_their_dates_and_not_of_their_letters(tmp_path: Path) -> None:
    days = [datetime(2023, 1, 1) + timedelta(days=number) for number in range(ROWS)]
    frame = customers().with_columns(since=pl.Series([day.strftime("%d.%m.%Y") for day in days]))
    data = made(_written(frame, tmp_path / "a.csv"), split="time", by="since", ignore=["group"])
    letters = made(_written(frame.with_columns(since=pl.Series(days)), tmp_path / "b.csv"), split="time", by="since",
                   ignore=["group"])  # fmt: skip
    assert data.fingerprint() == letters.fingerprint()
    frame[3, "since"] = "yesterday"
    with pytest.raises(ValueError, match=r"'yesterday' is no date in the format %d\.%m\.%Y"):
        made(_written(frame, tmp_path / "c.csv"), split="time", by="since")


def test_dates_that_cannot_be_read_are_counted_and_tell_no_time_of_the_day(tmp_path: Path) -> None:
    texts = [(datetime(2024, 1, 1) + timedelta(days=number)).strftime("%Y-%m-%d") for number in range(ROWS)]
    texts[5] = texts[6] = "yesterday 12:30"
    since = _column(made(_written(customers().with_columns(since=pl.Series(texts)), tmp_path / "a.csv")), "since")
    assert "that are no date (such as 'yesterday 12:30')" in since.note and not since.has_hours


def test_what_new_rows_hold_that_training_did_not_is_told_column_by_column(file: Path) -> None:
    data = made(file, ignore=["group"])
    rows = pl.DataFrame({"plan": ["gold", None], "use": ["much", "2"], "since": ["soon", "2024-05-01"],
                         "letter": ["a", None], "price": [None, "3"]})  # fmt: skip
    assert data.unseen(rows) == {
        "plan: training did not see": ["gold"], "use: no number, read as missing:": ["much"],
        "since: no date, read as missing:": ["soon"], "letter: no boolean, read as missing:": ["a"],
        "letter: training had it in all rows, and here it is": ["missing in some"],
        "price: training had it in all rows, and here it is": ["missing in some"],
    }  # fmt: skip


def test_names_that_meet_those_of_made_columns_are_as_good_as_others(tmp_path: Path) -> None:
    frame = customers().rename({"price": "since:days"}).with_columns(
        missingindicator_use=pl.Series([number / 7 for number in range(ROWS)]),
        rare=pl.Series(["(rare)" if number % 3 else f"r{number % 40}" for number in range(ROWS)]),
    )  # fmt: skip
    data = made(_written(frame, tmp_path / "a.csv"), max_categories=5)
    assert kinds(data)["since:days"] == kinds(data)["missingindicator_use"] == "number"
    assert data.cardinalities[-1] == 4  # the value that is named so is one of the rare ones


def test_a_header_in_quotes_does_not_tell_the_separator(tmp_path: Path) -> None:
    rows = "".join(f"{n}.5;{n % 2}\n" for n in range(40))
    (tmp_path / "a.csv").write_text(f'"a, b, and c";churned\n{rows}')
    assert kinds(made(tmp_path / "a.csv")) == {"a, b, and c": "number"}


def test_numbers_as_people_write_them_are_left_out_with_the_way_to_write_them(tmp_path: Path) -> None:
    rows = "".join(f'"${n},234.50",{n % 5},{n % 2},0{n}\n' for n in range(1, 90))
    (tmp_path / "a.csv").write_text(f"pay,other,churned,code\n{rows}")
    data = made(tmp_path / "a.csv")
    note = next(note for name, _, note in data.told() if name == "pay")
    assert "numbers such as '$" in note and "write them as 1234.5" in note
    assert kinds(data)["code"] == "left out"  # 01 to 089 are names, and another one in each row


def test_a_target_of_classes_with_spaces_around_them_is_counted_without(tmp_path: Path) -> None:
    rows = "".join(f"{n}.5,{' ' * (n % 3)}{'ab'[n % 2]}\n" for n in range(40))
    (tmp_path / "a.csv").write_text(f"x,churned\n{rows}")
    assert made(tmp_path / "a.csv").why == "churned has 2 values"


WRONG: list[tuple[dict[str, Any], Sequence[str]]] = [
    ({"path": "nowhere.csv"}, ["data.path=nowhere.csv", "No such file"]),
    ({"target": "chrned"}, ["data.target=chrned", "Did you mean churned?"]),
    ({"target": "country"}, ["data.target=country", "constant: DE"]),
    ({"ignore": ["nothing"]}, ["data.ignore=nothing", "It has customer_id, plan"]),
    ({"split": "group"}, ["data.split=group", "data.by=COLUMN"]),
    ({"by": "group"}, ["data.split=random", "Leave data.by out"]),
    ({"split": "column", "by": "letter"}, ["data.by=letter", "train, val or test"]),
    ({"split": "time", "by": "use"}, ["data.by=use", "missing in"]),
    (
        {"target": "plan", "task": "regression"},
        ["takes finite numbers", "'plus' is the first, in row"],
    ),
    ({"target": ["plan", "letter"], "task": "classification"}, ["takes one column"]),
    ({"target": "price", "task": "multilabel"}, ["takes 0 and 1", "is the first, in row"]),
    ({"task": "segmentation"}, ["task=segmentation", "A table has none"]),
    ({"target": "customer_id", "task": "classification"}, ["fewer than 3 samples", "task=regression"]),
]


@pytest.mark.parametrize(("settings", "words"), WRONG, ids=[" ".join(map(str, given)) for given, _ in WRONG])
def test_what_is_wrong_is_said_in_words(file: Path, settings: dict[str, Any], words: Sequence[str]) -> None:
    with pytest.raises(ValueError) as raised:
        made(**{"path": file, "target": "churned", **settings})
    assert all(word in str(raised.value) for word in words), str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no rows"),
        (b"a,b\n", "has no rows"),
        (b"a,churned\n1,x\n2,y,3\n4,x,5,6\n", "line 3 has 3, line 4 has 4"),
        (b"a,churned\n1,\xe9\n", "UTF-8"),
        (b"PAR1 nonsense", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_lines(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / ("a.parquet" if content.startswith(b"PAR1") else "a.csv")
    file.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        made(file)


def test_a_table_of_names_alone_leaves_nothing_to_learn_from(tmp_path: Path) -> None:
    rows = "".join(f"person {n},{n % 2}\n" for n in range(60))
    (tmp_path / "a.csv").write_text(f"name,churned\n{rows}")
    with pytest.raises(ValueError, match="No column is left"):
        made(tmp_path / "a.csv")


def test_columns_of_every_type_of_parquet_are_told_and_kept_apart(tmp_path: Path) -> None:
    count = range(60)
    thirds = pl.Series([number / 3 for number in count])
    frame = pl.DataFrame({
        "nothing": pl.Series([None] * 60, dtype=pl.Null), "bytes": [bytes([number]) for number in count],
        "kind": pl.Series([str(number % 3) for number in count]).cast(pl.Categorical),
        "list": [[number] for number in count],
        "zone": pl.Series([*count]).cast(pl.Datetime("us", "Europe/Berlin")), "price": thirds.cast(pl.Decimal(10, 2)),
        "lasted": pl.Series([7 * number % 50 for number in count]).cast(pl.Duration("us")),
        "at": pl.Series([7 * number % 50 for number in count]).cast(pl.Time),
        "churned": [number % 2 for number in count],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "a.parquet")
    data = made(tmp_path / "a.parquet")
    assert kinds(data) == {
        "nothing": "left out", "bytes": "left out", "list": "left out", "kind": "category", "zone": "date",
        "price": "number", "lasted": "number", "at": "number",
    }  # fmt: skip
    assert torch.isfinite(data.parts["train"][0]).all()


def test_a_file_is_read_in_pieces_as_it_was_in_training(tmp_path: Path) -> None:
    rows = [f"{number % 2}.0,{'01067' if number % 3 else '04109'},{number % 4}.0,{number % 2}" for number in range(80)]
    (tmp_path / "a.csv").write_text("flag,zip,level,y\n" + "\n".join(rows) + "\n")
    data = made(tmp_path / "a.csv", "y", categories=["zip", "level"])
    whole, _ = data.labelled_in(str(tmp_path / "a.csv"))
    [piece] = data.samples_in(str(tmp_path / "a.csv"), 100)
    assert torch.equal(whole, data.encode(piece)) and not data.unseen(piece)
