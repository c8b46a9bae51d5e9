"""Teaching a lesson: what it trains, the curves, and whether its sentence was seen to hold."""

from collections.abc import Sequence

from gridstorm.error import Problem, UserError, did_you_mean, say
from gridstorm.lesson.lessons import LESSONS, NotSeenError
from gridstorm.lesson.trained import Trained, trained
from gridstorm.library import sweep
from gridstorm.report import plot

FOLDER = "outputs/lessons"


def teach(names: Sequence[str], seed: int = 0, folder: str = FOLDER) -> int:
    """Teach lessons, all where none is named; return the exit status, 1 where a sentence was not seen to hold.

    Args:
        names: Of lessons.
        seed: Of the first weights and the order of the batches.
        folder: Where the runs are recorded; what was trained before is not trained again.

    Raises:
        UserError: There is no such lesson.
    """
    if unknown := [name for name in names if name not in LESSONS]:
        fact = "There is no such lesson."
        raise UserError([Problem(name, fact, did_you_mean(name, [*LESSONS])) for name in unknown])
    failed = [name for name in names or LESSONS if not _taught(name, seed, folder)]
    if failed:
        say(f"Not seen: {', '.join(failed)}.")
    return int(bool(failed))


def listed() -> str:
    """Return the names of the lessons with their sentences."""
    width = max(map(len, LESSONS))
    return "\n".join(f"{name:{width}}  {lesson.sentence}" for name, lesson in LESSONS.items())


def _taught(name: str, seed: int, folder: str) -> bool:
    lesson, runs = LESSONS[name], _runs(name, seed, folder)
    say(f"{name}: {lesson.sentence}\n")
    for run in runs:
        for finding in run.findings:
            say(f"  {run.label}: {finding}")
    which = "training" if lesson.part == "train" else "validation"
    say(f"\n{plot({run.label: getattr(run, lesson.part) for run in runs}, f'The {which} loss')}\n")
    try:
        say(f"Seen: {lesson.check(runs)}\n")
        return True
    except NotSeenError as error:
        say(f"Not seen: {error}\n")
        return False


def _runs(name: str, seed: int, folder: str) -> list[Trained]:
    """Train what a lesson looks at, and return it in the order of its preset."""
    given = f"experiment=lesson/{name}"
    place = (f"output_dir={folder}", f"sweep.name={name}-{seed}", "sweep.stale=retrain")
    done = sweep(given, f"seed={seed}", "launcher=in_process", "threads=1", *place)
    ordered = sorted(done.trials, key=lambda trial: trial.number or 0)
    records = [(trial.runs[0].record, trial.label) for trial in ordered]
    if (branch := LESSONS[name].branch) and (first := records[0][0]):
        epoch, change = branch
        begin = (
            f"branch={first.directory}@{epoch}",
            change,
            f"output_dir={folder}",
            f"sweep.name={name}-{seed}-branch",
        )
        branched = sweep(*begin, "launcher=in_process", "threads=1", "sweep.stale=retrain")
        label = f"{change.partition('.')[2]} from epoch {epoch + 1} on"
        records.append((branched.trials[0].runs[0].record, label))
    return [trained(record, label) for record, label in records if record]
