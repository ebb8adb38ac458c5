"""Attack a released file once, beside training from scratch. Nothing is searched: no audit."""

import sys

import ntprune as ntp


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else "release"
    target = ntp.domain("blended:optdigits")
    # `ntprune attacks` lists them; the thief draws its 64 images from the target's pool.
    found = ntp.audit.single(folder, target, "regrow", budget=64, lr=3e-3, seed=0)
    print(f"regrow {found.accuracy:.1%}, from scratch {found.scratch:.1%} ({found.steps} steps)")
    # What was stolen is a model like any other: found.model(images) are its logits.


if __name__ == "__main__":
    main()
