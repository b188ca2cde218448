"""All results as one page of HTML that asks nothing of any network, and as JSON beside it."""

import numpy as np

from tinyhpe import bench
from tinyhpe.datasets import open_dataset
from tinyhpe.evaluation import SEED
from tinyhpe.files import written_by_rename
from tinyhpe.methods import load_model
from tinyhpe.pose.metrics import ANGLES, RANGES, summary
from tinyhpe.reproduce import figures
from tinyhpe.reproduce.outcomes import NONE, difference, of_seeds, spread, verdict
from tinyhpe.reproduce.plan import COLUMNS, DATA_SEED, LOSS_CURVES, PAPER_FIG9, ROBUSTNESS, SWEEPS
from tinyhpe.reproduce.trainings import PHOTOS, read_json, write_json

HTML, DATA, PAIRS = "report.html", "report.json", "pairs.json"
EFFICIENT, STANDARD = "siamese", "siamese-two-branch"
ZERO = "always zero"  # a method that looks at nothing, for comparison
ALL_ANGLES = (*ANGLES, "mean")


def write_report(plan, results, out):
    """Write report.html and report.json into the folder `out`, and return the path of the first one.

    Args:
        results: {name: the result of each seed}, as trainings.run_all() returns them.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if not (out / PAIRS).exists():
        write_json(out / PAIRS, bench.run(["ensemble"], report=lambda row: None))
    measured = read_json(out / PAIRS, {})
    data = {
        "plan": plan.told,
        "machine": measured["machine"],
        "ensemble": measured["ensemble"],
        "results": results,
    }
    columns = {name: results[name] for name in COLUMNS if name in results} | {ZERO: [answering_zero(plan)]}
    pages = Environment(loader=PackageLoader("tinyhpe.reproduce", "."), autoescape=True, undefined=StrictUndefined)
    page = pages.get_template("template.html").render(
        plan=plan,
        machine=measured["machine"],
        trainings=training_table(results),
        failures=[
            f"{name}, seed {seed}: {why}" for name in results for seed, why in failed(results[name]).items()
        ],
        tests={test: (error_table(test, columns), range_table(test, columns)) for test in plan.broad_sets},
        sweeps=sweep_table(columns),
        pairs=pair_table(measured["ensemble"]),
        questions=[(question, *answer(question, results, plan.broad_sets[0])) for question in plan.questions],
        robustness={photos: robustness_table(results, photos) for photos in plan.photo_sets(out)},
        figures=draw_all(plan, columns, out),
    )
    write_json(out / DATA, data)
    with written_by_rename(out / HTML) as file:
        file.write(page.encode())
    return out / HTML


def failed(of_name):
    return of_seeds(of_name, "failed")


def answering_zero(plan):
    """The result of a method that answers 0 for every angle."""
    opened = {test: open_dataset(spec, plan.size, plan.tested, SEED)[0] for test, spec in plan.test_sets.items()}
    return {"tests": {test: summary(np.zeros_like(c.poses), c.poses) for test, c in opened.items()}}


def rows_of(results, *cells):
    """A row for each name: a cell for each (keys in a result), mean and spread over the seeds."""
    return [[name, *(spread(of_seeds(of_name, *keys)) for keys in cells)] for name, of_name in results.items()]


def error_table(test, columns):
    """Fig. 9 as a table: errors of all images, the paper's last."""
    wanted = [("mae", angle) for angle in ALL_ANGLES] + [("mae_yaw60", "mean"), ("geodesic",)]
    rows = rows_of(columns, *(("tests", test, *keys) for keys in wanted))
    paper = [PAPER_FIG9.get(COLUMNS.get(name)) for name in columns]
    return {
        "head": [
            "method",
            *ALL_ANGLES,
            "mean where |yaw| < 60",
            "geodesic",
            "the paper's yaw / pitch / roll / mean",
        ],
        "rows": [
            [*row, " / ".join(map(str, known)) if known else NONE] for row, known in zip(rows, paper, strict=True)
        ],
    }


def range_table(test, columns):
    """Table 1: the error of each angle by its size."""
    wanted = [(angle, name) for angle in ANGLES for name in RANGES]
    rows = rows_of(columns, *(("tests", test, "ranges", *keys) for keys in wanted))
    return {"head": ["method", *(f"{angle} {name}" for angle, name in wanted)], "rows": rows}


def sweep_table(columns):
    """The error of the one angle that moves, by its size."""
    wanted = [("tests", test, "ranges", angle, name) for angle, test in SWEEPS.items() for name in RANGES]
    head = [f"{angle} {name}" for _, _, _, angle, name in wanted]
    return {"head": ["method", *head], "rows": rows_of(columns, *wanted)}


def training_table(results):
    """What each training has cost."""
    rows = [
        [name, max(of_seeds(of_name, "parameters").values(), default=NONE), spread(of_seeds(of_name, "seconds"))]
        for name, of_name in results.items()
    ]
    return {"head": ["training", "parameters", "seconds"], "rows": rows}


def pair_table(measured):
    """The law n - 1: both networks' times for all pairs of n images, and their ratio."""
    head = {
        "n": "images n",
        "ensemble_ms": "ensemble layer, ms",
        "siamese_ordered_ms": "two branches, ms",
        "ratio_unordered": "ratio, each pair once",
        "law_unordered": "n - 1",
        "ratio_ordered": "ratio, ordered pairs",
        "law_ordered": "2 (n - 1)",
    }
    rows = [[f"{row[key]:.1f}" if isinstance(row[key], float) else row[key] for key in head] for row in measured]
    return {"head": list(head.values()), "rows": rows}


def answer(question, results, test):
    """(a table of the question's trainings, a sentence for each that compares it with the first one)."""
    large = [("ranges", angle, name) for name in ("30-60", "60-99") for angle in ANGLES]
    wanted = [("mae", "mean"), ("geodesic",), ("mae_yaw60", "mean"), ("mae_beyond_yaw60", "mean"), *large]
    head = [
        "mean error",
        "geodesic",
        "|yaw| < 60",
        "|yaw| >= 60",
        *(f"{angle} {name}" for _, angle, name in large),
    ]
    asked = {name: results[name] for name in question.names}
    rows = rows_of(asked, *(("tests", test, *keys) for keys in wanted))
    first, *others = (of_seeds(results[name], "tests", test, question.judged, "mean") for name in question.names)
    verdicts = [
        verdict(name, difference(first, other)) for name, other in zip(question.names[1:], others, strict=True)
    ]
    return {"head": ["training", *head], "rows": rows}, verdicts


def robustness_table(results, photos):
    """Mean errors on photos made worse."""
    tried = {name: results[name] for name in ROBUSTNESS}
    found = [of_seeds(of_name, "robustness", photos) for of_name in tried.values()]
    names = next((list(by_name) for seeds in found for by_name in seeds.values()), [])
    rows = rows_of(tried, *(("robustness", photos, name, "mae", "mean") for name in names))
    return {"head": ["training", *names], "rows": rows}


def draw_all(plan, columns, out):
    """{name in the template: SVG, or {test set: SVG}}; the heads are None where no model of ours was trained."""
    training, _ = open_dataset(plan.settings.data, plan.size, plan.settings.heads, DATA_SEED)
    poses = {"trained on here": training.poses}
    for test in plan.broad_sets:
        poses[test] = open_dataset(plan.test_sets[test], plan.size, plan.tested, SEED)[0].poses
    heads, trained = None, of_seeds(columns[EFFICIENT], "parameters")
    if trained:
        photos, _ = open_dataset(f"300wlp:{out / PHOTOS}", plan.size, 0, 0)
        heads = figures.heads_with_axes(load_model(out / f"{EFFICIENT}-seed{min(trained)}"), photos, plan.size)
    paper = {name: PAPER_FIG9[theirs] for name, theirs in COLUMNS.items() if theirs}
    return {
        "convergence": figures.convergence({name: columns[name] for name in (EFFICIENT, STANDARD)}, len(training)),
        "histograms": figures.histograms(poses),
        "heads": heads,
        "losses": figures.loss_curves({f"{title}: {name}": columns[name] for title, name in LOSS_CURVES.items()}),
        "errors": {test: figures.errors(columns, test, paper) for test in plan.broad_sets},
    }
