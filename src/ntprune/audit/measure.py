"""Runs the jobs of a plan and hands over what they found."""

from __future__ import annotations

from ntprune.audit.assemble import Findings
from ntprune.audit.plan import Plan
from ntprune.audit.points import collect
from ntprune.audit.schema import Missing
from ntprune.engine import Progress
from ntprune.jobs import Context, Engine, Failure, Job, Ledger


def measure(
    plan: Plan, engine: Engine, context: Context, ledger: Ledger, progress: Progress
) -> Findings:
    """Make the controls, attack everything, and collect; what the ledger holds is not run.

    Raises:
        NtpruneError: a user's mistake that a job ran into.
    """
    controls = plan.control_jobs()
    _forget_lost(plan, controls, context, ledger)
    known = _known(ledger, list(controls.values()))
    made = engine(list(controls.values()), context, ledger, stage="controls", progress=progress)
    weights = {"release": plan.weights, "unprotected": plan.base}
    missing = []
    for name, control in zip(controls, made, strict=True):
        if isinstance(control, Failure):
            missing.append(Missing(subject=name, reason=control.reason))
        else:
            weights[name] = control["weights"]
    subjects = plan.point_jobs(weights)
    singles = plan.single_jobs(weights)
    # Longest first over all curves, so that the workers finish together.
    every = sorted(
        (job for jobs in subjects.values() for job in jobs), key=lambda job: -job.spec["n"]
    )
    every += singles.values()
    known += _known(ledger, every)
    found = engine(every, context, ledger, stage="attacks", progress=progress)
    outcomes = {job.id: outcome for job, outcome in zip(every, found, strict=True)}
    points = []
    for (subject, attack), jobs in subjects.items():
        there, lost = collect(subject, attack, jobs, [outcomes[job.id] for job in jobs])
        points += there
        missing += lost
    single = {name: outcomes[job.id] for name, job in singles.items()}
    missing += [
        Missing(subject=name, reason=outcome.reason)
        for name, outcome in single.items()
        if isinstance(outcome, Failure)
    ]
    return Findings(
        points=points,
        singles={n: one for n, one in single.items() if not isinstance(one, Failure)},
        costs=[cost for cost in [*made, *outcomes.values()] if not isinstance(cost, Failure)],
        missing=missing,
        reused=known,
    )


def _forget_lost(plan: Plan, controls: dict[str, Job], context: Context, ledger: Ledger) -> None:
    """Have a control made anew whose files are gone while something is still to be done to it."""
    for name, job in controls.items():
        made = ledger.get(job)
        if made is None or (context.produced / made["weights"]).is_dir():
            continue
        points = plan.point_jobs({name: made["weights"]})
        needing = [job for (subject, _), jobs in points.items() if subject == name for job in jobs]
        if ledger.missing([*needing, plan.source_job(made["weights"])]):
            ledger.drop(job)


def _known(ledger: Ledger, jobs: list[Job]) -> int:
    return len({job.id for job in jobs}) - len(ledger.missing(jobs))
