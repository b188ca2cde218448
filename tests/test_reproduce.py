"""`tinyhpe reproduce`: trainings that go on where they were, and a page that asks nothing of any network."""

import json
import re

import pytest

from tinyhpe import reproduce
from tinyhpe.errors import InputError
from tinyhpe.reproduce import outcomes, plan, report, trainings

FEW = {"siamese": "the paper", "siamese-two-branch": "", "direct": "", "hopenet": "HopeNet"}
SMALL = {"quick": True, "heads": 64, "input_size": 32, "epochs": 4, "tested": 40, "photos": 5, "seeds": 1}
PAIR = dict.fromkeys(
    ["n", "ensemble_ms", "siamese_ordered_ms", "ratio_unordered", "law_unordered", "ratio_ordered", "law_ordered"],
    3.0,
)


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Few methods and one question, in an empty folder whose pairs are measured already."""
    question = plan.Question("Does it help?", "A question.", ("siamese", "siamese-quarter"))
    for module in plan, report:
        monkeypatch.setattr(module, "COLUMNS", FEW)
        monkeypatch.setattr(module, "ROBUSTNESS", ("siamese",))
    monkeypatch.setattr(plan, "QUESTIONS", (question,))
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    out.mkdir()
    trainings.write_json(out / report.PAIRS, {"machine": {"cores": 2}, "ensemble": [PAIR]})
    return reproduce.make_plan({**SMALL, "device": "cpu"}), out


def test_everything_is_trained_once_and_told_on_one_page_that_requests_nothing(few):
    small, out = few
    results, problems = reproduce.run_all(small, out)
    assert problems == []
    assert set(results) == {*FEW, "siamese-quarter"}
    page = reproduce.write_report(small, results, out).read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)|url\((?!#)|@import|<script|<link|<iframe""", page)
    assert not re.search(r"<t[dh][^>]*>\s*</t[dh]>|>nan\b|\{\{|undefined", page)
    assert len(re.findall("<svg", page)) == len(re.findall("<figcaption><b>Figs?\\. ", page)) == 5
    data = json.loads((out / report.DATA).read_text(), parse_constant=pytest.fail)
    told = [f"{result['tests']['rendered-broad']['mae']['mean']:.2f}" for (result,) in data["results"].values()]
    assert all(f">{number}</td>" in page for number in told)

    before = {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    reproduce.run_all(small, out)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")} == before
    other = reproduce.make_plan({**SMALL, "epochs": 5, "device": "cpu"})
    with pytest.raises(InputError, match="was started with epochs 4, not 5"):
        reproduce.run_all(other, out)


def test_a_training_that_fails_is_said_and_tried_again_and_the_others_are_told(few, monkeypatch):
    small, out = few
    monkeypatch.setattr(trainings, "train_and_test", lambda *_: (_ for _ in ()).throw(InputError("it diverged")))
    trainings.work(small, "direct", 0, out / "direct-seed0")
    assert not trainings.is_done(out / "direct-seed0")
    failed = {name: [{"failed": "it diverged"}] for name in small.names}
    page = reproduce.write_report(small, failed, out).read_text(encoding="utf-8")
    assert "direct, seed 0: it diverged" in page


def test_differences_are_taken_seed_by_seed_with_the_interval_of_student():
    mean, low, high = outcomes.difference({0: 10.0, 1: 12.0, 2: 11.0}, {0: 11.0, 1: 13.5, 2: 12.5, 3: 99.0})
    assert mean == pytest.approx(4 / 3)
    assert high - mean == pytest.approx(4.302653 * 0.288675 / 3**0.5, rel=1e-5)
    assert mean - low == pytest.approx(high - mean)
    assert outcomes.difference({0: 1.0}, {0: 2.0}) is None


def test_nobodys_folders_are_told_and_a_missing_file_of_weights_ends_it_at_once(few, tmp_path):
    _, out = few
    options = {**SMALL, "device": "cpu", "data": f"300wlp:{tmp_path}", "test": [f"aflw2000:{tmp_path}"]}
    from_photos = reproduce.make_plan({**options, "init": str(tmp_path / "none.safetensors")})
    assert str(tmp_path) in json.dumps(from_photos.written)
    assert str(tmp_path) not in json.dumps(from_photos.told)
    assert from_photos.told["lr"] == plan.PAPER["lr"]
    with pytest.raises(InputError, match=r"none\.safetensors"):
        reproduce.run_all(from_photos, out)
