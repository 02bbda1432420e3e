"""Grids: what they come to, one engine load a model, resumption, and mistakes named before anything starts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from conftest import records, tts

from tts.catalog import builtin
from tts.errors import InputError
from tts.forecast import memory_bytes
from tts.sweep import read

GRID = """
benchmarks = ["samples", "nano-1"]
engine = "scripted"
limit = "4"
[[grid]]
strategy = "single"
[[grid]]
strategy = ["self-consistency", "best-of-n"]
n = [2, 4]
[[grid]]
strategy = "best-of-n"
n = 2
option.select = ["logprob-mean", "majority"]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "grid.toml"
    file.write_text(text)
    return file


def test_a_grid_is_every_combination_of_its_lists_once(tmp_path: Path) -> None:
    cells = read(write(tmp_path, GRID + '[[grid]]\nstrategy = "single"\n'))
    assert len(cells) == 2 * (1 + 4 + 2)
    assert len({c.name for c in cells}) == len(cells)
    assert {c.settings.option.get("select") for c in cells} == {None, "logprob-mean", "majority"}
    sizes = [c.settings.n or 1 for c in cells]
    assert sizes == sorted(sizes, reverse=True), "the largest n first, whose samples serve the smaller"


def test_runs_of_one_model_stand_together(tmp_path: Path) -> None:
    cells = read(write(tmp_path, 'benchmarks = "samples"\nmodel = ["a", "b"]\ntemperature = [0.5, 1.0]\n'))
    assert [c.settings.model for c in cells] == ["a", "a", "b", "b"]
    assert len({c.load for c in cells}) == 2


def test_runs_whose_engines_differ_share_no_load(tmp_path: Path) -> None:
    judges = 'benchmarks = "samples"\nverifier = "judge-score"\nstrategy = "best-of-n"\nverifier-model = ["a", "b"]\n'
    urls = judges.replace("verifier-model", "verifier-url")
    server = 'benchmarks = "samples"\nengine = "server"\nbase-url = "http://127.0.0.1:9/v1"\n'
    for text in (judges, urls, server + "[[grid]]\n[[grid]]\nbudget-seconds = 3\n"):
        assert len({c.load for c in read(write(tmp_path, text))}) == 2


def test_it_runs_resumes_and_shares_samples(tmp_path: Path) -> None:
    file, out = write(tmp_path, GRID), tmp_path / "out"
    first = tts("sweep", file, "--output", out, "--json")
    assert first.returncode == 0, first.stderr
    contents = json.loads(first.stdout)
    assert len(contents) == 14
    small, large = (records(out / f"samples-self-consistency-n{n}") for n in (2, 4))
    for few, many in zip(small, large, strict=True):
        assert [c["text"] for c in few["solution"]["candidates"]] == [
            c["text"] for c in many["solution"]["candidates"][:2]
        ]
    life = json.loads((out / "samples-self-consistency-n2" / "manifest.json").read_text())["lives"][0]
    assert life["engine"]["generated_tokens"] == 0, "all of it was in the journal of the larger run"
    with (out / "results.csv").open() as stream:
        assert len({row["run_id"] for row in csv.DictReader(stream)}) == 14
    (out / "samples-single" / "results.json").unlink()
    again = tts("sweep", file, "--output", out, "--json")
    assert {k: c["metrics"] for k, c in json.loads(again.stdout).items()} == {
        k: c["metrics"] for k, c in contents.items()
    }
    assert again.stderr.count("run ") == 1, again.stderr


def test_an_engine_that_cannot_start_takes_only_its_own_runs(tmp_path: Path) -> None:
    lines = ('benchmarks = "samples"', 'limit = "2"', "[[grid]]", 'model = "/none"', "[[grid]]", 'engine = "scripted"')
    text = "\n".join(lines)
    done = tts("sweep", write(tmp_path, text), "--output", tmp_path / "out", "--json")
    assert done.returncode == 1
    assert "no such model folder" in done.stderr or "vLLM is not installed" in done.stderr
    assert len(json.loads(done.stdout)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("benchmarks = [", "grid.toml"),
        ('strategy = "single"', "no benchmark"),
        ('benchmarks = "samples"\ntemprature = 1.0', "did you mean 'temperature'"),
        ('benchmarks = "samples"\noutput = "x"', "the sweep's own affair"),
        ('benchmarks = "samples"\nstrategy = "single"\nn = [1, 4]', "n=4"),
        ('benchmarks = "samples"\ntemperature = 0\nn = 4', "at temperature 0"),
        ('grid = 3\nbenchmarks = "samples"', "[[grid]]"),
    ],
)
def test_mistakes_are_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read(write(tmp_path, text))
    assert said in f"{error.value.message} {error.value.hint}"


def test_a_forecast_counts_what_the_sweep_will_ask_for(tmp_path: Path) -> None:
    file = write(tmp_path, GRID)
    planned = tts("plan", file, "--calibrate", "2", "--json")
    assert planned.returncode == 0, planned.stderr
    found = json.loads(planned.stdout)
    made = json.loads(tts("sweep", file, "--output", tmp_path / "out", "--json").stdout)
    assert {r["run"] for r in found["runs"]} == set(made)
    for run in found["runs"]:
        spent = made[run["run"]]["usage"]
        assert run["samples"] == spent["calls"]
        assert run["tokens"] == pytest.approx(spent["generated_tokens"], rel=0.5)
    assert found["total"]["samples"] == sum(r["samples"] for r in found["runs"])
    assert not (tmp_path / "runs").exists()


def test_a_forecast_and_a_match_are_two_things(tmp_path: Path) -> None:
    assert tts("plan").returncode == 2
    assert tts("plan", write(tmp_path, GRID), "--match", "x").returncode == 2


def test_memory_is_weights_and_what_running_sequences_hold() -> None:
    config = {
        "architectures": ["Qwen2ForCausalLM"], "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10, "tie_word_embeddings": True,
    }  # fmt: skip
    none, some = memory_bytes(config, 0, 100), memory_bytes(config, 3, 100)
    assert none is not None
    assert some is not None
    assert some - none == 3 * 100 * 2 * 2 * 4 * 2  # sequences × tokens × (k and v) × layers × head width × bytes
    assert memory_bytes({"architectures": ["Unknown"]}, 1, 1) is None


@pytest.mark.parametrize("file", sorted((builtin("evals") / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_recipes_are_valid(file: Path) -> None:
    assert len(read(file)) > 1
