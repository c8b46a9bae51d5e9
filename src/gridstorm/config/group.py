"""The groups of choices: which sections a run has, and what the run itself gives them."""

SECTIONS = ("data", "model", "loss", "optimizer", "scheduler", "trainer", "sampler", "pruner", "launcher")
PARTIAL = ("model", "optimizer", "scheduler", "sampler")  # the run builds these when it has the arguments that it gives

# What the run gives, so that it is neither missing nor to be set, and what to do instead.
GIVEN = {
    "model": dict.fromkeys(("input_shape", "num_outputs"), "Leave it out: it follows from the data."),
    "optimizer": {"params": "Leave it out: they are the model's."},
    "scheduler": {"optimizer": "Leave it out, and choose optimizer=NAME."},
    "sampler": dict.fromkeys(("seed", "sweep_seed", "space"), "Leave it out, and set sweep.seed."),
    "trainer": {
        "logger": "Leave it out, and set logger beside trainer.",
        "callbacks": "Leave it out, and choose callbacks=NAME.",
        "default_root_dir": "Leave it out, and set output_dir=DIRECTORY.",
    },
}
COUNTED = ("total_steps", "T_max")
NOT_A_SWEEP = "This key only applies to a sweep (-m)."
OF_SWEEPS = ("sweep", "sampler", "pruner", "launcher")
GROUPS = (*SECTIONS, "callbacks", "sweep", "experiment")
LISTS = ("callbacks", "experiment")  # the groups of which a run can have several choices
