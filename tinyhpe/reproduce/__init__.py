"""The paper's figures and Table 1, and the questions that it leaves open: all trained, tested and reported anew.

plan        what is trained, on what, and which question each training answers
variants    the paper's method with one thing changed, for those questions
trainings   each training a run of tinyhpe.train in a folder of its own, several at a time, resumable
outcomes    the results as means, spreads and differences
figures     the paper's figures, from the results
report      all of it as one page of HTML, and its data as JSON
"""

from tinyhpe.reproduce.plan import FULL, QUICK, make_plan
from tinyhpe.reproduce.report import write_report
from tinyhpe.reproduce.trainings import run_all

__all__ = ["FULL", "QUICK", "make_plan", "run_all", "write_report"]
