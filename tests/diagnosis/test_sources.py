"""Where curves come from: our records, Lightning's own loggers, any CSV file; and what is said of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gridstorm
from conftest import Train, result
from gridstorm.diagnosis import curves_in
from tensorboard_server import tensorboard


class Plain(pl.LightningModule):
    """A module as anyone writes it, who uses nothing of ours."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
        self.lr = lr

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        logits = self.net(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(logits, batch[1]))
        self.log("val_acc", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)


def fitted(logger: Logger, lr: float, epochs: int = 20) -> Path:
    """Train it, and return the folder of its logger."""
    pl.seed_everything(0, verbose=False)
    x = torch.randn(512, 20)
    data = TensorDataset(x, (x[:, 0] + x[:, 1] > 0).long())
    trainer = pl.Trainer(
        max_epochs=epochs, logger=logger, accelerator="cpu", enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(Plain(lr), DataLoader(data, 32, shuffle=True), DataLoader(data, 512))
    return Path(str(logger.log_dir))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [CSVLogger, TensorBoardLogger])
def test_a_plain_lightning_project_is_told_what_its_curves_say(
    kind: type, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = fitted(kind(tmp_path, name="slow"), 1e-5)
    swinging = fitted(kind(tmp_path, name="swinging"), 3.0)
    [curves] = curves_in(slow)
    assert (len(curves.train), len(curves.val), curves.is_stepwise, curves.monitor) == (20, 20, True, "val_acc")
    assert curves.facts.lr_key == "lr"
    assert {one.name for one in gridstorm.diagnose(slow).popitem()[1]} & {"too_slow", "still_improving"}
    [found] = gridstorm.diagnose(swinging).values()
    assert {one.name for one in found} & {"oscillating", "noisy_end", "diverged"}
    capsys.readouterr()
    from gridstorm.cli import gridstorm as typed

    assert typed(["diagnose", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.count("version_0") == 2
    assert "Try lr=" in told


def test_any_csv_file_will_do(tmp_path: Path) -> None:
    rows = [f"{epoch},{2.3 * 0.99**epoch},{2.4 * 0.99**epoch}" for epoch in range(30)]
    keras = tmp_path / "history.csv"
    keras.write_text("\n".join(["epoch,loss,val_loss", *rows]))
    [[finding]] = gridstorm.diagnose(keras).values()
    assert (finding.name, finding.advice) == ("still_improving", " Train 8 times as long.")


def test_a_run_leaves_its_verdict_in_a_file_in_its_result_and_for_tensorboard(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("optimizer.lr=1e-6", "trainer.max_epochs=4")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("verdict")]
    content = json.loads((run / "findings.json").read_text())
    assert content["format"] == 1
    assert [f"verdict {one['name']}: {one['evidence']}{one['advice']}" for one in content["findings"]] == said
    assert result(run)["findings"] == [one["name"] for one in content["findings"]] != ["healthy"]
    assert content["findings"][0]["remedies"][0]["overrides"] == ["optimizer.lr=0.001"]
    with tensorboard(run.parent) as server:
        [text] = server.get("data/plugin/text/text", run=run.name, tag="verdict")
    assert content["findings"][0]["name"] in str(text)


def test_what_cannot_be_diagnosed_is_said_in_two_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gridstorm.cli import gridstorm as typed

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "letters.csv").write_bytes(b"\xff\xfe\x00train_loss")
    (tmp_path / "events.out.tfevents.1").write_bytes(b"no events at all")
    for path, words in {
        "nowhere": "nowhere: There is no such file or directory.",
        "empty": "empty: There is no training loss in it.",
        "table.csv": "table.csv: There is no training loss in it.",
        "letters.csv": "letters.csv: It cannot be read",
        "events.out.tfevents.1": "events.out.tfevents.1: ",
    }.items():
        with pytest.raises(SystemExit) as ended:
            typed(["diagnose", path])
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert words in told and "Traceback" not in told


def test_json_is_for_other_tools(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    from gridstorm.cli import gridstorm as typed

    run = train("trainer.max_epochs=2")
    capsys.readouterr()
    typed(["diagnose", "--json", str(run), str(run)])
    first, second = json.loads(capsys.readouterr().out)
    assert first == second and first["name"] == str(run)
    assert {"name", "evidence", "step", "confidence", "remedies", "advice"} <= first["findings"][0].keys()


def test_diagnosing_loads_no_torch(train: Train) -> None:
    run = train("trainer.max_epochs=1")
    code = f"import sys; from gridstorm.cli import gridstorm; gridstorm(['diagnose', {str(run)!r}]); "
    done = subprocess.run([sys.executable, "-c", f"{code}sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


LOSSES = [2.3 * 0.8**epoch + 0.1 for epoch in range(40)]


@pytest.mark.parametrize(
    "head",
    [
        "epoch,loss,val_loss",
        "Epoch,Train Loss,Val Loss",
        "epoch;train/loss;val/loss",
        "_step\trun - loss/train\trun - loss/val",
        "\ufefftrain_loss,epoch,val_loss",
        "step,train/total_loss,eval_loss",
    ],
)
def test_columns_are_found_by_the_names_that_people_give_to_them(head: str, tmp_path: Path) -> None:
    mark = next(letter for letter in ";\t," if letter in head)
    names = head.lstrip("\ufeff").split(mark)
    counters = ("epoch", "step", "_step")
    rows = [
        mark.join(str(number if name.lower() in counters else loss) for name in names)
        for number, loss in enumerate(LOSSES)
    ]
    file = tmp_path / "curves.csv"
    file.write_text("\n".join([head, *reversed(rows)]), encoding="utf-8")
    [curves] = curves_in(file)
    assert curves.val.tolist() == pytest.approx(LOSSES)
    assert [one.name for one in gridstorm.diagnose(file)[str(file)]] == ["healthy"]


@pytest.mark.parametrize(
    "losses",
    [
        [0.0] * 20,
        [0.0, *LOSSES],
        [-loss for loss in reversed(LOSSES)],
        [loss - 3 for loss in LOSSES],
        [1e30 * loss for loss in LOSSES],
        [loss if number != 7 else float("nan") for number, loss in enumerate(LOSSES * 4)],
        [1.0],
        [1.0, 0.5],
    ],
)
def test_no_numbers_break_a_rule(losses: list[float], tmp_path: Path) -> None:
    file = tmp_path / "curves.csv"
    file.write_text("\n".join(["epoch,train_loss,val_loss", *(f"{n},{loss},{loss}" for n, loss in enumerate(losses))]))
    [[first, *_]] = gridstorm.diagnose(file).values()
    assert first.name and "nan" not in str(first)


def test_a_likelihood_below_zero_that_falls_is_healthy(tmp_path: Path) -> None:
    file = tmp_path / "nll.csv"
    file.write_text("\n".join(["epoch,train_loss,val_loss", *(f"{n},{x - 3},{x - 2.9}" for n, x in enumerate(LOSSES))]))
    assert [one.name for one in gridstorm.diagnose(file)[str(file)]] == ["healthy"]


def test_a_bad_file_hides_no_other_and_links_lead_to_each_folder_once(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("\n".join(["loss", *map(str, LOSSES)]))
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "loop").symlink_to(tmp_path)
    (tmp_path / "inner" / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    assert [*gridstorm.diagnose(tmp_path)] == [str(tmp_path / "good.csv")]
    (tmp_path / "good.csv").unlink()
    with pytest.raises(gridstorm.UserError, match=r"bad\.csv: It cannot be read"):
        gridstorm.diagnose(tmp_path)


@pytest.mark.parametrize("text", ["lr: 0.0", "lr: .nan", "a: &x\n  b: *x", "[", "lr: fast"])
def test_hyperparameters_beside_a_file_may_be_anything(text: str, tmp_path: Path) -> None:
    (tmp_path / "hparams.yaml").write_text(text)
    (tmp_path / "metrics.csv").write_text("\n".join(["epoch,train_loss", *(f"{n},{9.0 * n}" for n in range(1, 20))]))
    [[first, *_]] = gridstorm.diagnose(tmp_path).values()
    assert first.advice == " Take a learning rate of 1/10."


def test_a_damaged_record_is_read_as_far_as_it_holds_numbers(train: Train) -> None:
    run = train("trainer.max_epochs=3")
    environment = json.loads((run / "environment.json").read_text())
    damaged = {**environment, "trivial": {"loss": "x"}, "val_samples": "many"}
    (run / "environment.json").write_text(json.dumps(damaged))
    points = ['{"layers": ["a"]}', '{"step": 1, "epoch": 1, "grad": ["x"], "update": [1], "dead": [null]}']
    (run / "layers.jsonl").write_text("\n".join(points))
    (run / "steps.jsonl").write_text('{"epoch": 1, "batch": 0, "losses": ["x", 1.0]}\n')
    [curves] = curves_in(run)
    assert len(curves.train) == 3 and not curves.is_known and not curves.layers.names
