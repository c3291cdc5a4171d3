"""The TOML file of a science model: what is refused, by its file, table and key."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from payload_runs import STACK_PYTHON, VALIDATION, needs_stack, run_python

pytest.importorskip("tomllib", reason="needs Python 3.11, as the images have")

GOOD = """\
[small.model]
pixels = 64
widths = [16, 32]
slope = 1
[small.training]
epochs = 2
optimizer = { name = "Adam", lr = 0.001 }
"""


@dataclass(frozen=True)
class Model:
    pixels: int
    widths: tuple[int, ...]
    slope: float = 0.1


@dataclass(frozen=True)
class Training:
    epochs: int
    optimizer: dict[str, Any]

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError("'epochs' is less than 1")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(VALIDATION / "cases"))
    yield importlib.import_module("sizes")
    del sys.modules["sizes"]


def test_tables_become_a_model_and_its_training(sizes: Any, tmp_path: Path) -> None:
    file = tmp_path / "jets.toml"
    file.write_text(GOOD)

    assert sizes.load(file, "small", Model, Training) == (
        Model(64, (16, 32), 1),
        Training(2, {"name": "Adam", "lr": 0.001}),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pixels =", "pixel =", "[small.model]: unknown key 'pixel' (did you mean 'pixels'?)"),
        ("pixels = 64\n", "", "[small.model]: no 'pixels', which is an integer"),
        ("64", "64.5", "[small.model]: 'pixels' is 64.5, not an integer"),
        ("64", "true", "[small.model]: 'pixels' is True, not an integer"),
        ("[16, 32]", "[16, '32']", "'widths' is [16, '32'], not a list, each of it an integer"),
        ("[16, 32]", "16", "[small.model]: 'widths' is 16, not a list, each of it an integer"),
        ("slope = 1", "slope = '1'", "[small.model]: 'slope' is '1', not a number"),
        ('{ name = "Adam", lr = 0.001 }', '"Adam"', "'optimizer' is 'Adam', not a table"),
        ("epochs = 2", "epochs = 0", "[small.training]: 'epochs' is less than 1"),
        ("small.training", "small.trainnig", "unknown table [small.trainnig] (did you mean 'train"),
        ("small.training", "full.training", "no table [small.training]"),
        ("small.", "smal.", "no table [small.model] (did you mean 'smal'?)"),
        ("[small.model]", "rows = 2\n[small.model]", "'rows' stands outside of tables such as ["),
        ("epochs = 2", "epochs 2", "Expected '=' after a key in a key/value pair (at line 6,"),
    ],
)
def test_a_mistake_is_one_line_with_file_table_and_key(
    sizes: Any, tmp_path: Path, old: str, new: str, said: str
) -> None:
    file = tmp_path / "jets.toml"
    file.write_text(GOOD.replace(old, new))

    with pytest.raises(SystemExit) as ended:
        sizes.load(file, "small", Model, Training)

    assert str(ended.value).startswith(f"error: {file}: ")
    assert said in str(ended.value)
    assert "\n" not in str(ended.value)


MISTAKES = [
    ("batch = 32", "batch = 33", "[small.training]: 3072 samples are no multiple of a batch of 33"),
    ("evaluations = 6", "evaluation = 6", "unknown key 'evaluation' (did you mean 'evaluations'?)"),
    ("evaluations = 6", "evaluations = 0", "'evaluations' is 0, not at least 1"),
    ("warm_up = 0.1", "warm_up = 10", "'warm_up' is 10, not a part of all steps"),
    ("reference = [2444, ", "reference = [", "a reference of 9 runs, not 10"),
    ('"Adam"', '"Adm"', "optimizer: name is 'Adm', not a class of torch.optim, Larc or Lamb"),
    ('name = "Adam", ', "", "optimizer: name is None, not a class of torch.optim"),
    ("lr = 0.001", "rate = 0.001", "optimizer: Adam has no 'rate', but lr, betas,"),
]
LOADED = """
import hepcnn, science
from pathlib import Path
for file in sorted(Path(sys.argv[1]).glob("*.toml")):
    science.file_of = lambda kind: file
    try:
        print("loaded", science.load(hepcnn.Jets, "small")[1].batch)
    except SystemExit as mistake:
        print(mistake)
"""


def run_text(text: str, folder: Path, *args: str) -> list[str]:
    """What a program says that sees the cases, in the stack."""
    program = folder / "program.py"
    program.write_text(f"import sys\nsys.path.insert(0, {str(VALIDATION / 'cases')!r})\n{text}")
    run = run_python([str(STACK_PYTHON), str(program), *args], folder / "out")
    assert run.exit == 0, run.output
    return run.output.splitlines()


@needs_stack
def test_the_file_of_a_model_is_held_against_its_class(tmp_path: Path) -> None:
    text = (VALIDATION / "cases/hepcnn.toml").read_text()
    for at, (old, new, _) in enumerate([("", "", ""), *MISTAKES]):
        (tmp_path / f"{at}.toml").write_text(text.replace(old, new, 1))

    first, *others = run_text(LOADED, tmp_path, str(tmp_path))

    assert first == "loaded 32"
    for said, (*_, wanted) in zip(others, MISTAKES, strict=True):
        assert wanted in said


EVERY_SCALE = """
import importlib, science
from pathlib import Path
for name in sorted(file.stem for file in Path(sys.path[0]).glob("*.toml")):
    kinds = [k for k in vars(importlib.import_module(name)).values() if isinstance(k, type)]
    (kind,) = (k for k in kinds if issubclass(k, science.Science) and science.name_of(k) == name)
    print(name, *(scale for scale in science.scales(kind) if science.load(kind, scale)))
"""


@needs_stack
def test_every_scale_of_every_model_is_what_its_classes_want(tmp_path: Path) -> None:
    scales = {words[0]: words[1:] for words in map(str.split, run_text(EVERY_SCALE, tmp_path))}

    assert scales.pop("cosmoflow") == ["small", "mlperf", "full"]
    assert len(scales) == 10
    assert all(found == ["small", "full"] for found in scales.values())


NO_REFERENCE = """
from dataclasses import replace
from types import SimpleNamespace
import hepcnn, science, trainer
from training import Bound
class Out:
    world = 1
    def check(self, name, ok, detail): print(name, ok, detail)
    def info(self, *_): pass
class Learns(hepcnn.Jets):
    def criterion(self, *_): return {"learns": Bound(1, "<", 2)}
trainer.name_of = lambda _: "hepcnn"
science, training = science.load(hepcnn.Jets, "small")
science = Learns(science.pixels, science.widths, science.dense)
result = SimpleNamespace(curve=[0], trivial=0, classical=0, shards=True, equal_parameters=True)
result.to_target = lambda *_: (2000.0, 1.0)
trainer.judge(Out(), science, replace(training, reference=()), {1: result})
"""


@needs_stack
def test_without_a_reference_the_check_fails_and_says_what_to_copy_where(tmp_path: Path) -> None:
    (told,) = [
        line for line in run_text(NO_REFERENCE, tmp_path) if line.startswith("samples_to_target")
    ]
    assert told == (
        "samples_to_target False AUC 0.82 after 2000 samples, and there is no reference yet: copy"
        " the 'samples to target' that `hepcnn.py --seeds 11 12 13 14 15 16 17 18 19 20` reports to"
        " 'reference' in hepcnn.toml"
    )
