"""An experiment file from a stranger chooses values and runs no code, wherever in a configuration the code is named."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest
from builders import Run
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.types import RunMode
from omegaconf import OmegaConf
from pictures import save

from gfpup.core.errors import GfpupError
from gfpup.running import composition, hydra_app

LOG = "version: 1, root: {handlers: [a]}, handlers: {a: "


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran").absolute(),)


@pytest.fixture
def words(portrait: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run of one aligned face, in a folder with `evil.pkl`, which makes the file `ran`, and a file `precious`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "precious").write_text("data")
    save(tmp_path / "faces" / "one.png", portrait)
    return ["-i", "faces", "-o", "out", "--aligned", "--backend", "identity", "-q", "--tracking", "none"]


def experiment(folder: Path, text: str) -> list[str]:
    path = folder / "own" / "experiment" / "t.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# @package _global_\n{text}\n")
    return ["--experiment", "t", "--config-dir", str(folder / "own")]


def refused(err: str) -> bool:
    return (
        err.startswith("gfpup: ")
        and err.count("\n") == 1
        and not Path("ran").exists()
        and Path("precious").read_text() == "data"
    )


ATTACKS = [
    "hydra: {callbacks: {e: {_target_: joblib.load, filename: evil.pkl}}}",
    "hydra: {callbacks: {e: {_target_: pandas.read_pickle, filepath_or_buffer: evil.pkl}}}",
    "hydra: {callbacks: {e: {_target_: numpy.load, file: evil.pkl, allow_pickle: true}}}",
    "hydra: {callbacks: {e: {_target_: builtins.open, file: precious, mode: w}}}",
    "hydra: {callbacks: {sweep: {_target_: builtins.open, file: precious, mode: w}}}",
    "hydra: {callbacks: {sweep: {e: {_target_: builtins.open, file: precious, mode: w}}}}",
    "hydra: {callbacks: {e: '${restore.evil}'}}\nrestore: {evil: {_target_: builtins.open, file: precious, mode: w}}",
    "hydra: {callbacks: {e: {_target_: '${restore.name}', file: precious, mode: w}}}\nrestore: {name: builtins.open}",
    "hydra: {callbacks: {e: '${oc.create:\"{_target_: builtins.open, file: precious, mode: w}\"}'}}",
    "hydra: {callbacks: {e: '${oc.${restore.a}:x}'}}\nrestore: {a: create}",
    "hydra: {launcher: {_target_: builtins.open}}",
    "hydra: {sweeper: {params: {x: {_target_: builtins.open, file: precious, mode: w}}}}",
    "hydra: {job_logging: {" + LOG + "{(): builtins.open, file: precious, mode: w}}}}",
    "hydra: {job_logging: {" + LOG + "{class: builtins.open, file: precious, mode: w}}}}",
    "hydra: {job_logging: {" + LOG + "{class: logging.FileHandler, filename: precious, mode: w}}}}",
    "hydra: {hydra_logging: {" + LOG + "{class: logging.FileHandler, filename: precious, mode: w}}}}",
    "hydra: {job_logging: {formatters: {plain: {format: 'ext://antigravity.x'}}}}",
    "hydra: {job: {env_set: {LD_PRELOAD: evil.so}}}",
]


@pytest.mark.parametrize(
    ("verb", "attack"), [*(("run", attack) for attack in ATTACKS), ("sweep", ATTACKS[0]), ("sweep", ATTACKS[-1])]
)
def test_an_experiment_runs_no_code(
    gfpup: Run, words: list[str], tmp_path: Path, attack: str, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert gfpup(verb, *words, *experiment(tmp_path, attack)) == 2
    assert refused(err := capfd.readouterr().err) and "is not allowed in a configuration" in err, err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "override",
    [
        "+hydra.callbacks.e={_target_:joblib.load,filename:evil.pkl}",
        "hydra.callbacks.sweep._target_=builtins.exit",
        "+hydra.job_logging.handlers.x={(): builtins.open,file:precious,mode:w}",
        "+hydra.job.env_set.PATH=evil",
        "hydra.searchpath=[pkg://antigravity]",
        "hydra/launcher=basic hydra.launcher._target_=builtins.exit",
        "--experimental-rerun evil.pkl",
    ],
)
def test_nor_does_an_override(
    gfpup: Run, words: list[str], override: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", "builtins.exit:joblib.load:builtins.open")
    monkeypatch.setenv("HYDRA_MAIN_MODULE", "antigravity")
    given = [override] if override.startswith("+") else override.split(" ")
    assert gfpup("run", *words, *given) == 2
    assert refused(err := capfd.readouterr().err), err


def test_nor_do_the_jobs_that_a_study_makes(
    gfpup: Run, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    params = "hydra.job_logging.handlers.console.class: builtins.open, hydra.job_logging.handlers.console.stream: precious"
    assert gfpup("sweep", *words, *experiment(tmp_path, "hydra: {sweeper: {params: {" + params + "}}}")) == 2
    assert refused(err := capfd.readouterr().err), err


def test_shell_commands_of_a_launcher_come_from_the_command_line(
    gfpup: Run, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    study = experiment(
        tmp_path, "defaults: [{override /hydra/launcher: submitit_slurm}]\nhydra: {launcher: {setup: ['touch ran']}}"
    )
    assert gfpup("sweep", *words, *study) == 2
    assert "hydra.launcher.setup" in (err := capfd.readouterr().err) and refused(err)
    assert gfpup("run", *words, *study, "hydra.launcher.setup=[module load python]") == 0


def test_what_a_study_may_say_about_hydra(gfpup: Run, words: list[str], tmp_path: Path) -> None:
    study = """
defaults: [{override /hydra/job_logging: default}]
write: {suffix: '${oc.env:SUFFIX,_new}'}
hydra:
  job: {env_set: {OMP_NUM_THREADS: "1"}}
  job_logging: {root: {level: ERROR}}
  sweeper: {params: {restore.match_color: "true,false"}}
"""
    assert gfpup("sweep", *words, *experiment(tmp_path, study)) == 0
    assert len(list((tmp_path / "out").glob("*/one_new.png"))) >= 1


def test_a_file_that_grows_by_aliases_is_refused_at_once(
    gfpup: Run, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    began = time.monotonic()
    assert gfpup("run", *words, *experiment(tmp_path, "\n".join(levels))) == 2
    assert time.monotonic() - began < 20
    assert "aliases" in (err := capfd.readouterr().err) and refused(err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "aliases"),
        ("[" * 500 + "]" * 500, "too deeply"),
        ("x" * 2_000_000, "at most 1000000 bytes"),
        ("a: [", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\nb: [", "not valid YAML"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(GfpupError, match=message):
        composition.check_size(tmp_path / "a.yaml")


def test_hydra_s_own_loader_is_back_afterwards(words: list[str]) -> None:
    import hydra._internal.hydra as internals

    before = internals.ConfigLoaderImpl
    assert hydra_app.main(["--cfg", "job"], command=["gfpup"]) == 0
    assert internals.ConfigLoaderImpl is before


def test_a_single_run_is_composed_once_and_as_hydra_composes_it(
    gfpup: Run, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compose, give = ConfigLoaderImpl.load_configuration, composition.CheckedLoader.load_configuration
    modes: list[RunMode] = []
    given: list[tuple[str, str]] = []

    def counted(self: Any, config_name: str, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any) -> Any:
        modes.append(run_mode)
        return compose(self, config_name, overrides, run_mode, *args, **kwargs)

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        config = give(self, *args, **kwargs)
        given.append((OmegaConf.to_yaml(config), OmegaConf.to_yaml(compose(self, *args, **kwargs))))
        return config

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    monkeypatch.setattr(composition.CheckedLoader, "load_configuration", watched)
    assert gfpup("run", *words, "--dry-run") == 0
    assert modes == [RunMode.MULTIRUN], "which Hydra takes to look for hydra.mode"
    assert len(given) == 2
    for config, fresh in given:
        assert config == fresh
