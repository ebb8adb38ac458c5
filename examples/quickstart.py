"""Protect a digit reader and audit the protection, in a few minutes on two cores."""

import ntprune as ntp


def main() -> None:
    source, target = ntp.domain("syndigits"), ntp.domain("blended:optdigits")
    model = ntp.pretrain("convnet", source, width=16, epochs=16)
    release = ntp.protect(model, source, target, sparsity=0.9, max_source_drop=1.0)
    release.save("release/")
    audit = ntp.audit("release/", target, protocol="quick", engine="process", workers=2)
    print(f"mean gap {audit.mean_gap:+.3f}, SLC-AUC {audit.slc_auc:+.3f}")
    audit.save("audit/")


# Worker processes import this file, so the work must not start on import.
if __name__ == "__main__":
    main()
