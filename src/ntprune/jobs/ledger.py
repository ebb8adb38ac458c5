"""Results of finished jobs, one file each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ntprune.errors import AuditError
from ntprune.jobs.attempt import Failure
from ntprune.jobs.job import Job
from ntprune.release.atomic import write_file, writing


class Ledger:
    """A folder of `<job id>.json` files, and of `<job id>.failed.json` where a job gave no result.

    Every file is written by atomic rename, so a job is either done or not begun, whatever was
    killed and whenever. A job that failed is not done: it is tried again when it is next wanted.
    Several audits may share one ledger.

    Args:
        folder: created when the first result is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, job: Job) -> dict[str, Any] | None:
        """The result of `job`, or `None` if it has not been run.

        Raises:
            AuditError: its file is damaged, or of another job, or the ledger is not a folder.
        """
        file = self._file(job)
        try:
            kept = json.loads(file.read_bytes())
            result: dict[str, Any] = kept["result"]
            if (kept["function"], kept["spec"]) != (job.function, json.loads(job.canonical)):
                raise ValueError("of another job")
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise AuditError(f"{self.folder} is not a folder: choose another ledger") from error
        except (ValueError, LookupError, TypeError) as error:
            raise AuditError(
                f"{file} is damaged: delete it and run the same command again"
            ) from error
        return result

    def put(self, job: Job, result: dict[str, Any]) -> None:
        """Record `result`.

        Raises:
            OutputError: the folder is not writable or full.
        """
        self._write(self._file(job), job, {"result": result})
        failed = self._failed(job)
        with writing(failed):
            failed.unlink(missing_ok=True)

    def fail(self, job: Job, failure: Failure) -> None:
        """Record that `job` was tried and why it has no result.

        Raises:
            OutputError: the folder is not writable or full.
        """
        about = {"reason": failure.reason, "details": failure.details}
        self._write(self._failed(job), job, about)

    def drop(self, job: Job) -> None:
        """Forget that `job` was run: what it left behind is gone.

        Raises:
            OutputError: the folder is not writable.
        """
        file = self._file(job)
        with writing(file):
            file.unlink(missing_ok=True)

    def missing(self, jobs: list[Job]) -> list[Job]:
        """Those of `jobs` without a result, each once, in order."""
        unique = {job.id: job for job in jobs}
        return [job for job in unique.values() if not self._file(job).exists()]

    def _write(self, file: Path, job: Job, about: dict[str, Any]) -> None:
        document = {"function": job.function, "spec": job.spec, **about}
        text = json.dumps(document, sort_keys=True, indent=1, allow_nan=False)
        write_file(file, text.encode())

    def _file(self, job: Job) -> Path:
        return self.folder / f"{job.id}.json"

    def _failed(self, job: Job) -> Path:
        return self.folder / f"{job.id}.failed.json"
