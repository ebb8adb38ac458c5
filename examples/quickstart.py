"""Protect a digit reader and audit the protection: `ntprune demo` as a script.

Run it again after a stop: protection and audit go on where they were.
"""

from pathlib import Path

import ntprune as ntp


def main() -> None:
    target = ntp.domain("blended:optdigits")
    if not Path("release").exists():
        source = ntp.domain("syndigits")
        model = ntp.pretrain("convnet", source, width=16, epochs=16)
        release = ntp.protect(
            model,
            source,
            target,
            sparsity=0.6,
            max_source_drop=0.75,
            # A quarter of the steps it would have otherwise, for a first look.
            rounds=8,
            inner=25,
            finish=300,
            checkpoint="release.partial/",
        )
        release.save("release/")
    audit = ntp.audit(
        "release/", target, protocol="quick", engine="process", workers=2, out="audit/"
    )
    print(f"mean gap {audit.mean_gap:+.3f}, SLC-AUC {audit.slc_auc:+.3f}; see audit/report.json")


# Worker processes import this file, so the work must not start on import.
if __name__ == "__main__":
    main()
